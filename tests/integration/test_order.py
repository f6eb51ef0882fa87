"""Many publish into one group at once: all of its members, over whatever transport and in whatever encoding, see one order."""

import contextlib
import json
import socket
import threading
import unittest

from api import ApiTest
from client import Http, Poller, Sse, WebSocket
from harness import PATIENCE_S, wait_until

GROUP = "kept.order"
PUBLISHERS, EACH, MEMBERS, LATE = 20, 50, 200, 30
TOTAL = PUBLISHERS * EACH
CONFIG = 'groups: [{match: "kept.**", history-envelopes: 1000, history: anyone, publish: anyone}]\n'


class Member:
    """A client, and what it has seen so far: the offset, who published it, and that one's count."""

    def __init__(self, client, first=()):
        self.client, self.got = client, []
        self.take(first)

    def take(self, envelopes):
        self.got += [(envelope["offset"], *envelope["data"]) for envelope in envelopes if envelope["eventName"] == "n"]

    def read(self):
        self.take([self.client.receive()])


class PollingMember(Member):
    def __init__(self, poller):
        super().__init__(poller, poller.first)

    def read(self):
        self.take(self.client.poll())


KINDS = (
    lambda port, **query: Member(WebSocket(port, **query)),
    lambda port, **query: Member(WebSocket(port, protocol="msgpack", **query)),
    lambda port, **query: Member(Sse(port, **query)),
    lambda port, **query: PollingMember(Poller(port, wait=2000, **query)),
    lambda port, **query: PollingMember(Poller(port, wait=2000, codec="msgpack", **query)),
    lambda port, **query: PollingMember(Poller(port, wait=0, **query)),
)


class Order(ApiTest):
    workers = 4
    config = CONFIG

    def by_websocket(self, publisher, codec):
        with WebSocket(self.daemon.port, protocol=codec) as ws:
            for number in range(EACH):
                ws.send("n", [publisher, number], to={"group": GROUP})
            ws.call("rtc.join", {"group": "fence"}, id=EACH + 1)

    def by_api(self, publisher, size):
        """That many at a time; each is answered before the next."""
        bodies = [{"group": GROUP, "event": "n", "data": [publisher, number]} for number in range(EACH)]
        with Http(self.daemon.port) as http:
            for at in range(0, EACH, size):
                batch = bodies[at:at + size]
                answer = http.request("POST", "/api/v1/publish", json.dumps(batch if size > 1 else batch[0]).encode(), self.headers("operator"))
                self.assertEqual(answer.status, 200)
                self.assertNotIn(b"error", answer.body)

    def by_admin_socket(self, publisher):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE_S)
            link.connect(self.daemon.admin_path)
            for number in range(EACH):
                line = {"eventName": "publish", "id": number + 1, "data": {"group": GROUP, "event": "n", "data": [publisher, number]}}
                link.sendall(json.dumps(line).encode() + b"\n")
            file = link.makefile("rb")
            for number in range(EACH):
                self.assertEqual(json.loads(file.readline())["data"]["recipients"] >= MEMBERS, True)

    def publisher(self, number):
        ways = (lambda: self.by_websocket(number, None), lambda: self.by_websocket(number, "msgpack"), lambda: self.by_api(number, 1),
                lambda: self.by_api(number, 10), lambda: self.by_admin_socket(number))
        return ways[number % len(ways)]

    def come_late(self, number, known):
        """One more member, that says it has seen the first `known`: it gets just what followed."""
        ws = WebSocket(self.daemon.port, protocol="msgpack" if number % 2 else None)
        joined = ws.call("rtc.join", {"group": GROUP, "since": {"epoch": self.epoch, "offset": known}})["data"]
        self.assertTrue(joined["recovered"], joined)
        return known, Member(ws)

    def read_all(self, members):
        while any(len(member.got) < TOTAL for member in members):
            for member in members:
                if len(member.got) < TOTAL:
                    member.read()

    def test_members_of_all_kinds_see_one_order_without_gap_or_double(self):
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: [member.client.drop() if isinstance(member.client, WebSocket) else member.client.close() for member in members])
            members = [KINDS[number % len(KINDS)](self.daemon.port, group=GROUP) for number in range(MEMBERS)]
            self.epoch = WebSocket(self.daemon.port).call("rtc.history", {"group": GROUP})["data"]["epoch"]
            failures = []

            def run(work, *arguments):
                try:
                    work(*arguments)
                except BaseException as error:
                    failures.append(error)
                    raise
            publishers = [threading.Thread(target=run, args=(self.publisher(number),)) for number in range(PUBLISHERS)]
            readers = [threading.Thread(target=run, args=(self.read_all, members[kind::len(KINDS)])) for kind in range(len(KINDS))]
            for thread in [*readers, *publishers]:
                thread.start()
            late = []
            for number in range(LATE):
                wait_until(lambda: self.daemon.counter("messages_published") >= TOTAL * number // LATE, "more to be published")
                offset = int(self.daemon.admin("history", group=GROUP, last=1)["offset"])
                late.append(self.come_late(number, (0, 1, offset // 2, max(offset - 1, 0), offset)[number % 5]))
            for thread in [*publishers, *readers]:
                thread.join()
            self.assertEqual(failures, [])
            members += [member for _, member in late]
            self.judge(members[:MEMBERS], late)

    def judge(self, members, late):
        order = members[0].got
        self.assertEqual([offset for offset, _, _ in order], list(range(1, TOTAL + 1)))
        for publisher in range(PUBLISHERS):
            self.assertEqual([number for _, who, number in order if who == publisher], list(range(EACH)))
        for number, member in enumerate(members):
            self.assertTrue(member.got == order, f"member {number} saw another order")
        for known, member in late:
            while len(member.got) < TOTAL - known:
                member.read()
            self.assertTrue(member.got == order[known:], f"who came late, after {known}, saw another order")


if __name__ == "__main__":
    unittest.main()
