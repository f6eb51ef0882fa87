"""Who takes part in a soak: clients that stay and must get everything, and all those who come, go, misbehave or look on.

Each kind runs in a thread of its own until the round is over. What is wrong with what a client got is a complaint; who hears a
complaint ends the soak as failed.
"""

import collections
import contextlib
import json
import os
import random
import socket
import sys
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), folder) for folder in ("clients", "integration")]

from rig import DAMAGES     # noqa: E402
import client               # noqa: E402
from client import Http, Poller, Sse, WebSocket, connect, frame, reset      # noqa: E402
from harness import PATIENCE_S, AdminError, wait_until      # noqa: E402

WAYS = [(transport, protocol) for transport in ("websocket", "sse", "longpoll", "shortpoll") for protocol in ("json", "msgpack")
        if (transport, protocol) != ("sse", "msgpack")]
GROUPS = [f"soak-{number}" for number in range(6)]
GROUPS_EACH = 2
PER_WAY = 3
RATE = 120                  # numbers published each second: a third by clients, the others by the admin socket
TEXT = "x" * 200
ENDS = (EOFError, ConnectionError, TimeoutError, client.Closed, AssertionError, OSError, ValueError, IndexError)


class Member:
    """What one client has got: of each group and publisher the last number."""

    def __init__(self, name, way, groups, address, publishes):
        self.name, self.way, self.groups, self.address, self.publishes = name, way, groups, address, publishes
        self.last = collections.Counter()
        self.replies, self.resumed = set(), 0


class Steady:
    """Clients of librtc behind the cutting proxy, over all transports and protocols. Nobody of them may miss or double anything."""

    def __init__(self, driver, proxy, complain):
        self.driver, self.proxy, self.complain = driver, proxy, complain
        self.members, self.received, self.resumed, self.cuts = {}, 0, 0, 0
        self.published = collections.Counter()      # by group and publisher
        self.changed = threading.Condition()

    def take(self, seen):
        """A thing that the driver saw."""
        if seen is None:
            return
        member, saw = self.members.get(seen["client"]), seen["saw"]
        if member is None or saw in ("state", "reconnecting", "policy", "token", "stopped"):
            return
        with self.changed:
            if saw == "event":
                self.number(member, seen)
            elif saw == "reply" and "data" in seen:
                member.replies.add(seen["id"])
            elif saw == "reconnected" and seen["resumed"]:
                self.resumed += 1
            else:
                self.complain(f"{member.name} ({'/'.join(member.way)}): {json.dumps(seen)[:300]}")
            self.changed.notify_all()

    def number(self, member, seen):
        publisher, number, _ = seen["data"]
        key = seen["group"], publisher
        if number != member.last[key] + 1:
            self.complain(f"{member.name} ({'/'.join(member.way)}): {key}: {number} came after {member.last[key]}")
        member.last[key] = max(member.last[key], number)
        self.received += 1

    def open(self, round_number):
        self.members, self.published = {}, collections.Counter()
        for number in range(PER_WAY * len(WAYS)):
            way, address = WAYS[number % len(WAYS)], self.proxy.fresh()
            groups = [GROUPS[(number + step) % len(GROUPS)] for step in range(GROUPS_EACH)]
            # One of each way publishes too.
            member = Member(f"r{round_number}m{number}", way, groups, address, number < len(WAYS))
            self.members[member.name] = member
            self.driver.do(member.name, "build", url=f"http://{address}:{self.proxy.port}/rtc", transports=[way[0]], protocols=[way[1]],
                           reconnectDelays=[0, 50, 200], reconnectJitter=0, upgrade=0, keepAlive=1000, timeout=3000, openTimeout=3000)
            self.driver.do(member.name, "on", event="n", handler="n")
            self.driver.do(member.name, "start")
            for group in groups:
                self.driver.do(member.name, "join", group=group, id=len(member.groups) + groups.index(group))
        self.wait(lambda: all(len(member.replies) == GROUPS_EACH for member in self.members.values()), "all to have joined")

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_S * 2):
                self.complain(f"waited in vain for {what}: {self.behind()}")

    def behind(self):
        return [f"{m.name} {'/'.join(m.way)} {key} {m.last[key]}/{count}" for m in self.members.values()
                for key, count in self.published.items() if key[0] in m.groups and m.last[key] < count][:10]

    def publish(self, member, group):
        key = group, member.name
        with self.changed:
            self.published[key] += 1
            number = self.published[key]
        self.driver.do(member.name, "sendTo", to={"group": group}, event="n", data=[member.name, number, TEXT])

    def publish_all(self, until, admin):
        """At a bounded rate, by the admin socket and by the members that publish."""
        publishers = [member for member in self.members.values() if member.publishes]
        chance, count, started = random.Random(), 0, time.monotonic()
        while not until.wait(max(0, started + count / RATE - time.monotonic())):
            count += 1
            if count % 3 == 0:
                member = chance.choice(publishers)
                self.publish(member, chance.choice(member.groups))
            else:
                group = chance.choice(GROUPS)
                with self.changed:
                    self.published[group, "admin"] += 1
                    number = self.published[group, "admin"]
                admin.publish("n", ["admin", number, TEXT], group=group)

    def cut(self, until):
        """Breaks one link after the other."""
        chance = random.Random()
        members = list(self.members.values())
        while not until.wait(0.3):
            member, damage = chance.choice(members), chance.choice(DAMAGES)
            # That a long poll is dead shows only when it should have ended empty, which is later than the daemon waits for anybody here.
            if (member.way[0], damage) != ("longpoll", "stall"):
                self.cuts += self.proxy.command("now", member.address, chance.choice(("up", "down")), damage)["links"]

    def close(self):
        """Once everybody has everything."""
        self.wait(lambda: not self.behind(), "everybody to have everything")
        for name in list(self.members):
            self.driver.do(name, "free")
        self.members = {}
        self.proxy.command("forget")


class Admin:
    """One connection to the admin socket, one command at a time."""

    def __init__(self, path):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(PATIENCE_S)
        self.link.connect(path)
        self.lines = self.link.makefile("rb")

    def call(self, command, **data):
        self.link.sendall(json.dumps({"eventName": command, "data": data, "id": 1}).encode() + b"\n")
        reply = json.loads(self.lines.readline())
        if "error" in reply:
            raise AdminError(reply["error"]["code"], reply["error"]["message"])
        return reply["data"]

    def publish(self, event, data, **to):
        return self.call("publish", event=event, data=data, **to)

    def close(self):
        self.lines.close()
        self.link.close()


class Others:
    """Everybody else. `daemon.tls_port` is where TLS is spoken."""

    def __init__(self, daemon, complain):
        self.daemon, self.complain, self.done = daemon, complain, collections.Counter()

    def loop(self, until, pause_s, *acts):
        chance = random.Random()
        while not until.wait(pause_s):
            act = chance.choice(acts)
            act(chance)
            self.done[act.__name__] += 1

    def come_and_go(self, until):
        self.loop(until, 0.02, self.visit, self.visit, self.resume, self.poll, self.shake_hands, self.nonsense, self.bad_frames, self.leave_halfway)

    def look_on(self, until):
        self.loop(until, 0.2, self.listings, self.listings, self.reload, self.bad_reload)

    def be_slow(self, until):
        self.loop(until, 2, self.read_nothing)

    def visit(self, chance):
        """Joins, hears itself, goes in one of the ways there are."""
        group, protocol = f"visit-{chance.random()}", chance.choice((None, "msgpack"))
        with WebSocket(self.daemon.port, protocol, user=chance.choice((None, "u1", "u2"))) as ws:
            ws.call("rtc.join", {"group": group})
            for number in range(5):
                ws.send("n", number, to={"group": group})
            got = [ws.expect("n")["data"] for _ in range(5)]
            if got != list(range(5)):
                self.complain(f"a visitor got {got}")
            chance.choice((ws.close, ws.drop, lambda: reset(ws.link)))()

    def resume(self, chance):
        """Breaks off, misses some, comes back for them over another transport."""
        group = f"resume-{chance.random()}"
        first = WebSocket(self.daemon.port, group=group)
        reset(first.link)
        for number in range(3):
            self.daemon.publish("n", number, group=group)
        if chance.random() < 0.5:
            with WebSocket(self.daemon.port, token=first.token, received=0) as back:
                got = [back.expect("n")["data"] for _ in range(3)]
                back.close()
        else:
            with Sse(self.daemon.port, token=first.token, headers={"Last-Event-ID": "0"}) as back:
                got = [back.expect("n")["data"] for _ in range(3)]
            with Http(self.daemon.port) as http:
                http.request("DELETE", "/rtc/connection", token=first.token)
        if got != [0, 1, 2]:
            self.complain(f"after a resume came {got}")

    def poll(self, chance):
        group = f"poll-{chance.random()}"
        with Poller(self.daemon.port, group=group, wait=chance.choice((0, 2000))) as poller:
            poller.send({"eventName": "n", "data": 1, "to": {"group": group}}, {"eventName": "n", "data": 2, "to": {"group": group}})
            got = poller.gather(2)
            if got != [1, 2]:
                self.complain(f"polls brought {got}")
            if chance.random() < 0.5:
                with Http(self.daemon.port) as http:
                    http.request("DELETE", "/rtc/connection", token=poller.token)

    def shake_hands(self, chance):
        with WebSocket(self.daemon.tls_port) as ws:
            ws.call("rtc.join", {"group": "tls"})
            if chance.random() < 0.5:
                ws.close()

    def nonsense(self, chance):
        """Bytes that are no request, to the plain and to the TLS port."""
        for port in (self.daemon.port, self.daemon.tls_port):
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as link, contextlib.suppress(*ENDS):
                link.sendall(chance.choice((b"\0" * 50, b"GET / HTTP/9\r\n\r\n", b"POST /rtc/negotiate HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                                            b"\x16\x03\x01\x00\x05hello", chance.randbytes(300))))
                link.shutdown(socket.SHUT_WR)
                while link.recv(4096):
                    pass

    def bad_frames(self, chance):
        with WebSocket(self.daemon.port, group="bad") as ws:
            ws.send_raw(chance.choice((frame(3, b"x"), frame(1, b"\xff"), frame(1, b"x", mask=None), frame(1, b"", length=1 << 62), frame(9, b"x" * 126))))
            ws.closing()

    def leave_halfway(self, chance):
        """In the middle of a head, a body, a frame, a fragmented message."""
        link = connect(self.daemon.port)
        text = b"POST /rtc/negotiate HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{"
        link.sendall(text[:chance.randrange(1, len(text))])
        reset(link)
        ws = WebSocket(self.daemon.port)
        half = frame(1, b'{"eventName":"n"', final=False) + frame(0, b"x" * 500)
        ws.send_raw(half[:chance.randrange(1, len(half))])
        reset(ws.link)

    def listings(self, chance):
        for command in ("list.connections", "list.groups", "list.users", "status", "show.config"):
            self.daemon.admin(command)
        for row in self.daemon.connections()[:2]:
            with contextlib.suppress(AdminError):       # it may be gone by now
                self.daemon.admin("show.connection", connection=row["id"])

    def reload(self, chance):
        self.daemon.write_config(self.daemon.good_config(chance.choice((50, 60))))
        self.daemon.admin("reload")

    def bad_reload(self, chance):
        self.daemon.write_config(self.daemon.good_config(50) + chance.choice(("nonsense: 1\n", "workers: many\n", "auth: {keys: [/nowhere alg=HS256]}\n", "a: [")))
        try:
            self.daemon.admin("reload")
        except AdminError:
            return
        self.complain("a bad config was taken")

    def read_nothing(self, chance):
        """A member that does not read while much is published is closed; the daemon keeps no more than its bound for it."""
        before = self.daemon.counter("slow_consumers_closed")
        slow = WebSocket(self.daemon.port)
        slow.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.call("rtc.join", {"group": "slow"})
        for _ in range(300):
            self.daemon.publish("n", "x" * 30000, group="slow")
            if self.daemon.counter("slow_consumers_closed") > before:
                break
        wait_until(lambda: self.daemon.counter("slow_consumers_closed") > before, "the slow one to be closed")
        slow.drop()
