"""Slow clients: bounded by bytes, by count and by time, on every transport; told what becomes of them, and what they lost."""

import unittest

from client import UNNUMBERED, Poller, Sse, WebSocket
from harness import Daemon, wait_until

GROUPS = """groups:
  - match: "drop.*"
    slow: drop-oldest
  - match: "latest.*"
    slow: latest
"""
LARGE = 20000


def publish_many(daemon, group, numbers, size=0, event="n"):
    text = "x" * size
    daemon.rtcctl("publish", "--group", group, "--stream",
                  input="".join('{"eventName":"%s","data":{"number":%d,"text":"%s"}}\n' % (event, n, text) for n in numbers))


class Account:
    """What one client got of a group whose envelopes are numbered from 1: in order, and told of all that it did not get."""

    def __init__(self, test):
        self.test, self.newest, self.got, self.lost = test, 0, 0, 0

    def take(self, envelope):
        if envelope["eventName"] == "rtc.gap":
            self.test.assertGreater(envelope["data"]["lost"], 0)
            self.test.assertEqual(envelope["group"], envelope["data"]["group"])
            self.lost += envelope["data"]["lost"]
        elif envelope["eventName"] == "n":
            number = envelope["data"]["number"]
            self.test.assertGreater(number, self.newest)
            self.newest = number
            self.got += 1
            self.test.assertGreaterEqual(self.got + self.lost, number)

    def until(self, client, count):
        while self.newest < count:
            self.take(client.receive())
        self.test.assertEqual(self.got + self.lost, count)
        return self


class Closing(unittest.TestCase):
    """Groups that say nothing: slow clients are closed, and told so where a transport is there to tell them."""

    def overfeed(self, daemon, group="g"):
        count = 0
        while daemon.counter("slow_consumers_closed") == 0:
            publish_many(daemon, group, range(count + 1, count + 21), LARGE)
            count += 20
        return count

    def test_a_websocket_is_told_and_comes_back_to_a_new_connection(self):
        with Daemon({"queue.bytes": "128KiB"}, workers=1) as daemon, WebSocket(daemon.port, group="g") as slow:
            self.overfeed(daemon)
            self.assertEqual(slow.closing(), (4413, {"reason": "slow-consumer", "reconnect": True}))
            with WebSocket(daemon.port, token=slow.token, received=slow.received) as back:
                self.assertFalse(back.welcome["data"]["resumed"])
                self.assertNotEqual(back.id, slow.id)

    def test_an_event_stream_is_told(self):
        with Daemon({"queue.bytes": "128KiB"}, workers=1) as daemon, Sse(daemon.port, group="g") as slow:
            self.overfeed(daemon)
            self.assertEqual(slow.expect("rtc.close")["data"], {"reason": "slow-consumer", "reconnect": True})

    def test_a_poller_that_does_not_poll_finds_a_new_connection(self):
        with Daemon({"queue.bytes": "128KiB"}, workers=1) as daemon, Poller(daemon.port, wait=0, group="g") as slow:
            self.assertLessEqual(self.overfeed(daemon), 100)
            (welcome,) = slow.poll()
            self.assertFalse(welcome["data"]["resumed"])
            self.assertNotEqual(welcome["data"]["connectionId"], slow.id)

    def test_one_that_keeps_much_waiting_for_long_is_closed(self):
        options = {"queue.bytes": "64MiB", "queue.envelopes": 100000, "queue.soft-bytes": "32KiB", "queue.soft-time": "300ms",
                   "queue.time": "1h"}
        with Daemon(options, workers=1) as daemon, WebSocket(daemon.port, group="g") as slow:
            publish_many(daemon, "g", range(1, 401), LARGE)
            wait_until(lambda: daemon.counter("slow_consumers_closed") == 1, "the slow one to be closed")
            self.assertEqual(slow.closing()[0], 4413)


class Dropping(unittest.TestCase):
    OPTIONS = {"queue.bytes": "128KiB", "queue.envelopes": 64}

    def overfeed(self, daemon, group):
        """Until some was dropped, and more behind it. How many were published."""
        count = 0
        while daemon.counter("envelopes_dropped") < 100:
            publish_many(daemon, group, range(count + 1, count + 41), LARGE)
            count += 40
        return count

    def check(self, client, daemon, count):
        account = Account(self).until(client, count)
        self.assertGreaterEqual(account.lost, 100)
        self.assertEqual(account.lost, daemon.counter("envelopes_dropped"))
        self.assertEqual(daemon.counter("slow_consumers_closed"), 0)
        self.assertEqual([c["id"] for c in daemon.connections()], [client.id])

    def test_a_slow_websocket_loses_the_oldest_and_is_told_how_many(self):
        for protocol in ("json", "msgpack"):
            with Daemon(self.OPTIONS, config=GROUPS, workers=1) as daemon, WebSocket(daemon.port, protocol, group="drop.1") as slow:
                count = self.overfeed(daemon, "drop.1")
                self.check(slow, daemon, count)
                self.assertEqual(slow.call("rtc.join", {"group": "x"}, id=1)["data"]["group"], "x")

    def test_a_slow_event_stream_loses_the_oldest_and_its_numbers_have_no_hole(self):
        with Daemon(self.OPTIONS, config=GROUPS, workers=1) as daemon, Sse(daemon.port, group="drop.1") as slow:
            count = self.overfeed(daemon, "drop.1")
            self.check(slow, daemon, count)
            self.assertEqual(slow.last_id, str(slow.received))
            # What came can be resumed from.
            slow.close()
            publish_many(daemon, "drop.1", [count + 1])
            with Sse(daemon.port, token=slow.token, headers={"Last-Event-ID": slow.last_id}) as back:
                self.assertTrue(back.welcome["data"]["resumed"])
                self.assertEqual(back.expect("n")["data"]["number"], count + 1)

    def test_a_poller_that_does_not_poll_loses_the_oldest(self):
        with Daemon(self.OPTIONS, config=GROUPS, workers=1) as daemon, Poller(daemon.port, wait=0, group="drop.1") as slow:
            publish_many(daemon, "drop.1", range(1, 1001))
            wait_until(lambda: daemon.counter("messages_delivered") == 1000, "all to be queued")
            account = Account(self)
            while account.newest < 1000:
                for envelope in slow.poll():
                    account.take(envelope)
            self.assertEqual(account.got + account.lost, 1000)
            self.assertTrue(50 <= account.got <= 64, account.got)
            self.assertEqual(daemon.counter("gaps_told"), 1)

    def test_what_is_sent_again_after_a_reconnect_is_what_was_sent_before(self):
        with Daemon(self.OPTIONS, config=GROUPS, workers=1) as daemon:
            slow = WebSocket(daemon.port, group="drop.1")
            publish_many(daemon, "drop.1", range(1, 31))
            first = [slow.expect("n")["data"]["number"] for _ in range(30)]
            slow.drop()
            wait_until(lambda: daemon.connections()[0]["state"] == "parked", "parked")
            publish_many(daemon, "drop.1", range(31, 501))
            wait_until(lambda: daemon.counter("messages_delivered") == 500, "all to be queued")
            with WebSocket(daemon.port, token=slow.token, received=10) as back:
                self.assertTrue(back.welcome["data"]["resumed"])
                self.assertEqual([back.receive()["data"]["number"] for _ in range(20)], first[10:])
                account = Account(self)
                account.newest = account.got = 30
                account.until(back, 500)
                self.assertGreater(account.lost, 0)

    def test_what_waits_too_long_is_dropped_and_the_connection_stays(self):
        options = {"queue.bytes": "64MiB", "queue.envelopes": 100000, "queue.soft-bytes": "64MiB", "queue.time": "300ms"}
        with Daemon(options, config=GROUPS, workers=1) as daemon, WebSocket(daemon.port, group="drop.1") as slow:
            publish_many(daemon, "drop.1", range(1, 401), LARGE)
            wait_until(lambda: daemon.counter("envelopes_dropped"), "the old ones to be dropped")
            publish_many(daemon, "drop.1", [401])
            Account(self).until(slow, 401)
            self.assertEqual(daemon.counter("slow_consumers_closed"), 0)

    def test_a_group_that_drops_does_not_save_who_has_too_much_of_another(self):
        with Daemon(self.OPTIONS, config=GROUPS, workers=1) as daemon, Poller(daemon.port, wait=0, group=["drop.1", "other"]):
            publish_many(daemon, "drop.1", range(1, 100))
            publish_many(daemon, "other", range(1, 66))
            wait_until(lambda: daemon.counter("slow_consumers_closed") == 1, "the slow one to be closed")


class Latest(unittest.TestCase):
    def test_between_two_polls_only_the_newest_of_each_name_waits(self):
        with Daemon(config=GROUPS, workers=1) as daemon, Poller(daemon.port, wait=0, group="latest.1") as poller:
            for event in ("n", "m"):
                publish_many(daemon, "latest.1", range(1, 101), event=event)
            wait_until(lambda: daemon.counter("messages_delivered") == 200, "all to be queued")
            gap, n, m = [e for e in poller.poll() if e["eventName"] not in UNNUMBERED]
            self.assertEqual(gap["data"], {"group": "latest.1", "lost": 198})
            self.assertEqual([(e["eventName"], e["data"]["number"]) for e in (n, m)], [("n", 100), ("m", 100)])

    def test_a_client_that_takes_what_there_is_gets_all(self):
        with Daemon(config=GROUPS, workers=1) as daemon, WebSocket(daemon.port, group="latest.1") as quick:
            publish_many(daemon, "latest.1", range(1, 301))
            self.assertEqual(Account(self).until(quick, 300).lost, 0)

    def test_a_slow_websocket_gets_the_newest_when_it_reads_again(self):
        with Daemon({"queue.bytes": "4MiB"}, config=GROUPS, workers=1) as daemon, WebSocket(daemon.port, group="latest.1") as slow:
            count = 0
            while daemon.counter("envelopes_dropped") < 100:
                publish_many(daemon, "latest.1", range(count + 1, count + 41), LARGE)
                count += 40
            self.assertLess(daemon.admin("show.connection", connection=slow.id)["unsent"], 60)
            Account(self).until(slow, count)

    def test_a_reload_changes_what_becomes_of_later_envelopes(self):
        with Daemon(config="groups: [{match: g}]\n", workers=1) as daemon, Poller(daemon.port, wait=0, group="g") as poller:
            publish_many(daemon, "g", [1, 2])
            wait_until(lambda: daemon.counter("messages_delivered") == 2, "both to be queued")
            daemon.write_config("groups: [{match: g, slow: latest}]\n")
            daemon.admin("reload")
            publish_many(daemon, "g", [3, 4])
            wait_until(lambda: daemon.counter("messages_delivered") == 4, "both to be queued")
            self.assertEqual([e["eventName"] for e in poller.poll()], ["n", "n", "rtc.gap", "n"])


if __name__ == "__main__":
    unittest.main()
