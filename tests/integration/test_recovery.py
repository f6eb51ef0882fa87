"""Whoever comes back is told just what he missed, from every offset that there is, was, or never was; or that he cannot be."""

import json
import os
import tempfile
import unittest

from api import ApiTest
from client import Poller, WebSocket

HELD, PUBLISHED = 50, 70
FORGOTTEN = PUBLISHED - HELD
CONFIG = f"""
groups:
  - {{match: "held.**", history-envelopes: {HELD}, history: anyone}}
  - {{match: "large.**", history-envelopes: 1000, history: anyone}}
  - {{match: "small.**", history-envelopes: 1000, history-bytes: 4KiB, history: anyone}}
"""


def numbers(envelopes):
    return [(envelope["offset"], envelope["data"]) for envelope in envelopes]


def followed(offset, last=PUBLISHED):
    return [(number, number) for number in range(offset + 1, last + 1)]


class Recovery(ApiTest):
    config = CONFIG

    def fill(self, group, count=PUBLISHED):
        bodies = [{"group": group, "event": "n", "data": number} for number in range(1, count + 1)]
        self.assertEqual(len(self.call("publish", bodies, "operator").json()), count)
        return self.call("history", {"group": group, "last": 1}).json()["epoch"]

    def expected(self, offset):
        """Whether it can be recovered, and what it is sent."""
        return (True, followed(offset)) if FORGOTTEN <= offset <= PUBLISHED else (False, [])

    def join_websocket(self, codec):
        """Joins, and what came before the next envelope that is published, which is told apart by its offset."""
        def join(group, **asked):
            with WebSocket(self.daemon.port, protocol=codec) as ws:
                joined = ws.call("rtc.join", {"group": group, **asked})["data"]
                ws.send("rtc.join", {"group": "fence"}, id=2)
                got = []
                while True:
                    envelope = ws.receive()
                    if envelope["eventName"] == "rtc.reply":
                        return joined["recovered"], numbers(got)
                    got.append(envelope)
        return join

    def join_poll(self, group, **asked):
        with Poller(self.daemon.port, wait=0) as poller:
            poller.send({"eventName": "rtc.join", "data": {"group": group, **asked}, "id": 1}, {"eventName": "rtc.join", "data": {"group": "fence"}, "id": 2})
            got = []
            while not got or got[-1].get("id") != 2:
                got += poller.poll(2000)
            self.assertEqual((got[0]["eventName"], got[0]["id"]), ("rtc.reply", 1))
            return got[0]["data"]["recovered"], numbers(got[1:-1])

    def test_joining_since_every_offset(self):
        epoch = self.fill("held.join")
        for name, join in (("websocket", self.join_websocket(None)), ("msgpack", self.join_websocket("msgpack")), ("poll", self.join_poll)):
            for offset in range(PUBLISHED + 3):
                with self.subTest(way=name, offset=offset):
                    self.assertEqual(join("held.join", since={"epoch": epoch, "offset": offset}), self.expected(offset))
            self.assertEqual(join("held.join", since={"epoch": epoch[:-1] + "?", "offset": PUBLISHED}), (False, []))
            for last in range(HELD + 3):
                with self.subTest(way=name, last=last):
                    recovered, got = join("held.join", last=last)
                    self.assertEqual(got, followed(PUBLISHED - min(last, HELD)))
                    self.assertEqual(recovered, last > 0)

    def test_asking_since_every_offset(self):
        epoch = self.fill("held.asked")
        with WebSocket(self.daemon.port) as ws:
            for offset in range(PUBLISHED + 3):
                with self.subTest(offset=offset):
                    told = ws.call("rtc.history", {"group": "held.asked", "since": {"epoch": epoch, "offset": offset}}, id=offset + 1)["data"]
                    self.assertEqual((told["recovered"], numbers(told["envelopes"])), self.expected(offset))
                    self.assertEqual((told["epoch"], told["offset"]), (epoch, PUBLISHED))
                    told = self.call("history", {"group": "held.asked", "since": f"{epoch}:{offset}"}, "viewer").json()
                    rows = [(int(position.partition(":")[2]), data) for position, _, _, data in told["rows"]]
                    self.assertEqual((told["recovered"], rows), self.expected(offset))

    def test_a_page_begins_where_it_was_asked_for_and_says_whether_more_follows(self):
        epoch = self.fill("held.page")
        with WebSocket(self.daemon.port, protocol="msgpack") as ws:
            for limit in (1, 2, 7, HELD, HELD + 1):
                for offset in range(FORGOTTEN, PUBLISHED + 1):
                    since = {"epoch": epoch, "offset": offset}
                    told = ws.call("rtc.history", {"group": "held.page", "since": since, "limit": limit}, id=1000 * limit + offset)["data"]
                    got = numbers(told["envelopes"])
                    self.assertEqual(got, followed(offset)[:limit])
                    self.assertEqual(told["recovered"], PUBLISHED - offset <= limit)
                    self.assertEqual(told.get("more", False), not told["recovered"])
                told = ws.call("rtc.history", {"group": "held.page", "limit": limit}, id=1000 * limit)["data"]
                self.assertEqual(numbers(told["envelopes"]), followed(PUBLISHED - min(limit, HELD)))

    def test_page_by_page_all_is_read(self):
        """By number, and by what one answer may hold; while more is published."""
        epoch = self.fill("held.read")
        with WebSocket(self.daemon.port) as ws:
            for offset in (FORGOTTEN, PUBLISHED - 1, PUBLISHED):
                got, told, number = [], {"more": True}, 1000 * offset
                while told.get("more"):
                    since = {"epoch": epoch, "offset": got[-1][0] if got else offset}
                    number += 1
                    told = ws.call("rtc.history", {"group": "held.read", "since": since, "limit": 7}, id=number)["data"]
                    got += numbers(told["envelopes"])
                self.assertEqual((got, told["recovered"]), (followed(offset), True))
            for offset in (FORGOTTEN - 1, PUBLISHED + 1):
                told = ws.call("rtc.history", {"group": "held.read", "since": {"epoch": epoch, "offset": offset}, "limit": 7}, id=offset + 1)["data"]
                self.assertEqual((told["recovered"], told["envelopes"], "more" in told), (False, [], False))
            bodies = [{"group": "large.g", "event": "n", "data": f"{number} {'x' * 3000}"} for number in range(1, 101)]
            self.call("publish", bodies[:20])
            self.call("publish", bodies[20:40])
            got, pages, since = [], 0, {"epoch": self.call("history", {"group": "large.g"}).json()["epoch"], "offset": 0}
            while len(got) < 100:
                told = ws.call("rtc.history", {"group": "large.g", "since": {**since, "offset": len(got)}}, id=500000 + pages)["data"]
                got += [envelope["offset"] for envelope in told["envelopes"]]
                self.assertLessEqual(len(json.dumps(told)), 70 * 1024)
                if pages < 3:
                    self.call("publish", bodies[40 + 20 * pages:60 + 20 * pages])
                pages += 1
            self.assertEqual((got, told["recovered"]), (list(range(1, 101)), True))
            self.assertGreater(pages, 4)

    def test_what_went_on_meanwhile_follows_what_was_missed(self):
        """Comes and goes again and again, each time from where it was: nothing twice, nothing left out."""
        epoch = self.fill("held.on", 1)
        got, published = [(1, 1)], 1
        for step in (1, 5, 0, 20, 49, 3, 50, 1):
            bodies = [{"group": "held.on", "event": "n", "data": number} for number in range(published + 1, published + step + 1)]
            if bodies:
                self.call("publish", bodies)
            published += step
            with WebSocket(self.daemon.port) as ws:
                joined = ws.call("rtc.join", {"group": "held.on", "since": {"epoch": epoch, "offset": got[-1][0]}})["data"]
                self.assertTrue(joined["recovered"], step)
                self.daemon.publish("n", published + 1, group="held.on")
                published += 1
                while got[-1][0] < published:
                    got += numbers([ws.expect("n")])
        self.assertEqual(got, followed(0, published))

    def test_histories_bounded_by_bytes_never_lie(self):
        """How many are held is the daemon's to know: what is told is without a gap up to the newest, or it is not recovered."""
        bodies = [{"group": "small.g", "event": "n", "data": [number, "x" * (number * 37 % 400)]} for number in range(1, 201)]
        self.call("publish", bodies)
        epoch = self.call("history", {"group": "small.g", "last": 1}).json()["epoch"]
        recovered = []
        with WebSocket(self.daemon.port) as ws:
            for offset in range(201):
                told = ws.call("rtc.history", {"group": "small.g", "since": {"epoch": epoch, "offset": offset}}, id=offset + 1)["data"]
                offsets = [envelope["offset"] for envelope in told["envelopes"]]
                self.assertEqual(offsets, list(range(offset + 1, 201)) if told["recovered"] else [])
                self.assertEqual([envelope["data"][0] for envelope in told["envelopes"]], offsets)
                recovered.append(told["recovered"])
        self.assertEqual(recovered, sorted(recovered))
        self.assertTrue(1 < recovered.count(True) < 150, json.dumps(recovered))

    def test_what_was_made_to_be_forgotten_is_not_recovered_from_any_offset(self):
        epoch = self.fill("held.cleared")
        self.assertEqual(self.call("clear.history", {"group": "held.cleared"}).status, 204)
        join = self.join_websocket(None)
        for offset in range(PUBLISHED + 2):
            self.assertEqual(join("held.cleared", since={"epoch": epoch, "offset": offset}), (offset == PUBLISHED, []))


class RecoveryFromDisk(Recovery):
    """The same, of histories that were written to the disk."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="rtcd-test-")
        cls.options = {"history.store": "disk", "history.path": os.path.join(cls.folder.name, "history"), "history.sync": "interval",
                       "history.sync-interval": "10ms"}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def fill(self, group, *count):
        """And the daemon starts once more before it is asked."""
        epoch = super().fill(group, *count)
        self.daemon.stop()
        self.daemon.start()
        return epoch


if __name__ == "__main__":
    unittest.main()
