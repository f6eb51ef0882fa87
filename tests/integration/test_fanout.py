"""Groups under pressure: many names, names that were chosen to collide, many members, many publishers, rights that end meanwhile."""

import itertools
import json
import threading
import unittest

from client import TEXT, Http, WebSocket, frame
from harness import Daemon, DaemonTest, has_plain_memory, memory_bytes, processor_s, wait_until

SLACK = 256 << 10


def join_all(ws, groups):
    """Joins them with as few waits as possible. How many were refused, by code."""
    refused = {}
    for at in range(0, len(groups), 500):
        part = groups[at:at + 500]
        ws.send_raw(b"".join(frame(TEXT, json.dumps({"eventName": "rtc.join", "data": {"group": group}, "id": 1}).encode()) for group in part))
        for _ in part:
            code = ws.expect("rtc.reply").get("error", {}).get("code")
            if code:
                refused[code] = refused.get(code, 0) + 1
    return refused


class Names(unittest.TestCase):
    def test_an_explosion_of_names_is_refused_and_what_it_cost_comes_back(self):
        with Daemon({"connection.groups": 3000}, workers=1) as daemon:
            with WebSocket(daemon.port) as ws:
                join_all(ws, ["warm"])
                ws.close()
            wait_until(lambda: not daemon.connections(), "it to go")
            before = memory_bytes(daemon)
            with WebSocket(daemon.port) as ws:
                names = [f"{number:06d}" + "n" * 240 for number in range(6000)]
                self.assertEqual(join_all(ws, names), {"forbidden": 3000})
                self.assertEqual(daemon.admin("status")["groups"], 3000)
                self.assertEqual(join_all(ws, ["n" * 256, "", "a\nb", "\u2028"]), {"bad-envelope": 4})
                ws.close()
            wait_until(lambda: daemon.admin("status")["groups"] == 0, "the groups to go")
            if has_plain_memory():
                wait_until(lambda: memory_bytes(daemon) < before + (1 << 20), "the memory to come back")

    def test_names_that_collide_under_a_plain_hash_cost_no_more_than_others(self):
        # Under the hash of djb2, with factor 33, these pairs are the same; so is every row of them.
        colliding = ["".join(pairs) for pairs in itertools.islice(itertools.product(("Ez", "FY"), repeat=16), 16000)]
        plain = [f"{number * 2654435761 % (1 << 32):032x}" for number in range(16000)]

        def cost(names):
            with Daemon({"connection.groups": 1000}, workers=1) as daemon:
                clients = [WebSocket(daemon.port) for _ in range(16)]
                before = processor_s(daemon)
                for at, client in enumerate(clients):
                    self.assertEqual(join_all(client, names[at::16]), {})
                spent = processor_s(daemon) - before
                for client in clients:
                    client.drop()
                return spent
        self.assertLess(cost(colliding), 2 * cost(plain) + 0.1)


class Members(unittest.TestCase):
    def test_a_large_message_to_ten_thousand_is_held_once(self):
        count, size = 10000, 60000
        with Daemon({"limits.connections-per-address": "unlimited"}, workers=1) as daemon:
            with Http(daemon.port) as http:
                for _ in range(count):
                    response = http.request("GET", "/rtc/poll?group=big&wait=0")
                    self.assertEqual(response.status, 200)
                token = response.json()["messages"][0]["data"]["connectionToken"]
                self.assertEqual(daemon.publish("warm", "", group="other"), 0)
                before = memory_bytes(daemon)
                self.assertEqual(daemon.publish("n", "x" * size, group="big"), count)
                wait_until(lambda: daemon.counter("messages_delivered") >= count, "all to have it")
                grown = memory_bytes(daemon) - before
                if has_plain_memory():
                    self.assertLess(grown, 2 * 65536 + 128 * count + SLACK)
                response = http.request("GET", "/rtc/poll", token=token, received=0, wait=0)
                self.assertEqual(response.json()["messages"][-1]["data"], "x" * size)


class Order(unittest.TestCase):
    PUBLISHERS, MEMBERS, EACH = 20, 30, 100

    def publish(self, port, publisher):
        with WebSocket(port) as ws:
            for number in range(self.EACH):
                ws.send("n", [publisher, number], to={"group": "g"})
            self.assertNotIn("error", ws.call("last", to={"group": "nobody"}))
            ws.close()

    def test_each_publishers_envelopes_reach_each_member_in_order_and_once(self):
        options = {"publish.to-group": "anyone", "queue.bytes": "64MiB", "queue.envelopes": 100000, "queue.time": "1h"}
        with Daemon(options, workers=3) as daemon:
            members = [WebSocket(daemon.port, group="g") for _ in range(self.MEMBERS)]
            threads = [threading.Thread(target=self.publish, args=(daemon.port, publisher)) for publisher in range(self.PUBLISHERS)]
            for thread in threads:
                thread.start()
            orders = set()
            for member in members:
                got = [member.expect("n")["data"] for _ in range(self.PUBLISHERS * self.EACH)]
                for publisher in range(self.PUBLISHERS):
                    self.assertEqual([number for by, number in got if by == publisher], list(range(self.EACH)))
                orders.add(json.dumps(got))
            self.assertEqual(len(orders), 1)
            for thread in threads:
                thread.join()
            for member in members:
                self.assertEqual(member.call("x", to={"group": "nobody"}).get("error"), None)
                member.drop()


class Rights(DaemonTest):
    """Nothing reaches who was put out, from the answer to the command on, however fast others publish."""
    options = {"publish.to-group": "anyone", "limits.connections-per-address": "unlimited", "connection.claimed-users": "true"}
    ROUNDS = 15

    def race(self, put_out):
        """Each round puts one member out while a client publishes without a break. Number 0 is no part of the race."""
        numbers, is_over = itertools.count(1), threading.Event()
        latest = [0]

        def publish():
            with WebSocket(self.daemon.port) as ws:
                while not is_over.is_set():
                    latest[0] = next(numbers)
                    ws.send("n", latest[0], to={"group": "g"})
                    if latest[0] % 50 == 0:
                        ws.call("pace", to={"group": "nobody"})
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            for _ in range(self.ROUNDS):
                with WebSocket(self.daemon.port, group="g", user="ann") as member:
                    member.expect("n")
                    put_out(member)
                    bound = latest[0] + 1       # one may be on its way to the daemon already
                    wait_until(lambda: latest[0] > bound + 20, "more to be published")
                    for got in self.last_of(member):
                        self.assertLessEqual(got, bound)
        finally:
            is_over.set()
            thread.join()

    def last_of(self, member):
        """What still comes until the client has an answer, or the end."""
        member.send("rtc.ping", "done")
        got = []
        try:
            while True:
                envelope = member.receive()
                if envelope["eventName"] in ("rtc.pong", "rtc.close"):
                    return got
                if envelope["eventName"] == "n":
                    got.append(envelope["data"])
        except (EOFError, ConnectionError):
            return got

    def test_after_a_member_was_taken_out_of_the_group(self):
        self.race(lambda member: self.daemon.admin("leave", connection=member.id, group="g"))

    def test_after_a_connection_was_ended(self):
        self.race(lambda member: self.daemon.admin("disconnect", connection=member.id))

    def test_after_a_user_was_put_out(self):
        self.race(lambda member: self.daemon.admin("disconnect", user="ann"))


if __name__ == "__main__":
    unittest.main()
