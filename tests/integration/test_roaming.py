"""Clients that roam at random between transports and workers, over links that break at any moment: each gets every envelope
once and in order."""

import random
import unittest

from client import Poller, Sse, WebSocket, reset
from harness import DaemonTest

ROUNDS, STEPS, CLIENTS = 30, 60, 8
ENVELOPES_MAX = 200     # fewer than resume.envelopes: nothing is forgotten


class Roamer:
    """One client, and what it has received so far."""

    def __init__(self, port, group):
        self.port, self.received, self.token = port, 0, None
        self.transport = WebSocket(port, group=group)
        self.token = self.transport.token

    def link(self):
        return self.transport.http.link if isinstance(self.transport, (Sse, Poller)) else self.transport.link

    def leave(self, chance):
        """Leaves the present transport: abruptly, politely, or not at all."""
        how = chance.choice(["reset", "close", "stay"])
        if how == "reset":
            reset(self.link())
        elif how == "close":
            self.link().close()

    def move(self, chance):
        kind = chance.choice(["websocket", "msgpack", "sse"] + ["poll"] * (not isinstance(self.transport, Poller)))
        if kind == "sse":
            self.transport = Sse(self.port, token=self.token, headers={"Last-Event-ID": str(self.received)})
        elif kind == "poll":
            self.transport = Poller(self.port, token=self.token, wait=0, received=self.received)
            self.take_all(self.transport.first)
        else:
            self.transport = WebSocket(self.port, kind if kind == "msgpack" else None, token=self.token, received=self.received)
        assert self.transport.welcome["data"]["resumed"], self.transport.welcome

    def take(self, number):
        assert number == self.received + 1, f"{number} came after {self.received}"
        self.received = number

    def take_all(self, envelopes):
        for envelope in envelopes:
            if envelope["eventName"] == "n":
                self.take(envelope["data"])

    def read(self, target):
        """Until it has the envelope with that number."""
        while self.received < target:
            if isinstance(self.transport, Poller):
                self.transport.received = self.received
                self.take_all(self.transport.poll())
            else:
                self.take(self.transport.expect("n")["data"])


class Roaming(DaemonTest):
    options = {"resume.window": "30s", "connection.keep-alive": "1s", "connection.timeout": "20s", "publish.to-group": "anyone",
               "limits.connections-per-address": "unlimited"}
    workers = 2

    def publish(self, publisher, group, count):
        for _ in range(count):
            self.published += 1
            publisher.send("n", self.published, to={"group": group})

    def roam(self, seed):
        chance = random.Random(seed)
        group, self.published = f"g{seed}", 0
        roamers = [Roamer(self.daemon.port, group) for _ in range(CLIENTS)]
        with WebSocket(self.daemon.port) as publisher:
            for _ in range(STEPS):
                self.publish(publisher, group, min(chance.randrange(6), ENVELOPES_MAX - self.published))
                roamer = chance.choice(roamers)
                if chance.random() < 0.5:
                    roamer.read(chance.randint(roamer.received, self.published))
                elif chance.random() < 0.3:
                    with self.daemon.paused():
                        self.publish(publisher, group, min(3, ENVELOPES_MAX - self.published))
                        roamer.leave(chance)
                    roamer.move(chance)
                else:
                    roamer.leave(chance)
                    roamer.move(chance)
            for roamer in roamers:
                roamer.read(self.published)
                roamer.link().close()

    def test_every_envelope_comes_once_and_in_order(self):
        for _ in range(ROUNDS):
            seed = random.randrange(1 << 32)
            with self.subTest(seed=seed):
                self.roam(seed)


if __name__ == "__main__":
    unittest.main()
