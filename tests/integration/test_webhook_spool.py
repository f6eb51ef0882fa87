"""The spool of webhooks: what waits for them outlives the daemon, however it ends. Read here by a reader of its own."""

import json
import os
import random
import resource
import struct
import tempfile
import unittest
import zlib

import receivers
from client import WebSocket
from harness import Daemon, limit_files, set_limit, wait_until
from receivers import Receiver

QUICK = {"timeout": "20s", "retry-delay": "5ms", "retry-delay-max": "40ms", "breaker-failures": 1000}
MAGIC = b"rtcdspl1"


def read_spool(path):
    """The events that wait, as (webhook, event), by the format in rtcd(8)."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != MAGIC:
        raise ValueError("no spool")
    waiting, at = {}, 8
    while at + 8 <= len(data):
        length, checksum = struct.unpack_from("<II", data, at)
        body = data[at + 8:at + 8 + length]
        if length < 9 or len(body) < length or zlib.crc32(body) != checksum:
            break
        kind, number = struct.unpack_from("<BQ", body)
        if kind == 1:
            name_end = 18 + body[17]
            waiting[number] = (body[18:name_end].decode(), json.loads(body[name_end:]))
        else:
            waiting.pop(number, None)
        at += 8 + length
    return list(waiting.values())


class Spool(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="rtcd-test-spool-"))
        self.path = os.path.join(self.folder, "spool")

    def start(self, *webhooks, **more):
        config = json.dumps({"webhooks": [{"name": f"hook{index}", "events": ["epoch", "connected", "disconnected"], **QUICK, **webhook}
                                          for index, webhook in enumerate(webhooks)]})
        options = {"hooks.spool": self.path, **{f"hooks.{name.replace('_', '-')}": value for name, value in more.items()}}
        return self.enterContext(Daemon(options, config=config))

    def row(self, daemon):
        columns = "webhook state waiting delivered asked failed dropped error".split()
        return dict(zip(columns, daemon.admin("list.webhooks")["rows"][0]))

    def come_and_go(self, daemon, count=1):
        for _ in range(count):
            client = WebSocket(daemon.port)
            client.close()
            wait_until(lambda: not daemon.connections(), "no connection")

    def kill(self, daemon):
        daemon.process.kill()
        daemon.process.wait()

    def test_what_waits_arrives_after_a_kill(self):
        receiver = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url})
        self.come_and_go(daemon, 10)
        self.assertEqual(self.row(daemon)["waiting"], 21)
        waiting = read_spool(self.path)
        self.assertEqual(len(waiting), 21)
        self.assertEqual({name for name, _ in waiting}, {"hook0"})
        self.kill(daemon)
        self.assertEqual(read_spool(self.path), waiting)
        daemon.start()
        receiver.start()
        told = receiver.expect(22)
        self.assertEqual(told[:21], [event for _, event in waiting])
        self.assertEqual((told[21]["type"], told[21]["data"]["sequence"]), ("rtcd.epoch", 1))
        self.assertNotEqual(told[21]["data"]["epoch"], told[0]["data"]["epoch"])
        wait_until(lambda: self.row(daemon)["waiting"] == 0, "all delivered")
        self.assertEqual(read_spool(self.path), [])
        self.assertEqual(os.path.getsize(self.path), len(MAGIC))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_nothing_is_lost_in_a_row_of_kills(self):
        """Killed at any moment, with a receiver that fails now and then: all that was seen waiting arrives; doubles have one id."""
        flaky = random.Random(7)

        def behaviour(handler, _):
            handler.answer(flaky.choice((204, 204, 500)))
        receiver = self.enterContext(Receiver(behaviour))
        daemon = self.start({"url": receiver.url, "batch": 4})
        seen = {}
        for _ in range(12):
            receiver.stop()
            self.come_and_go(daemon, 3)
            self.assertGreaterEqual(self.row(daemon)["waiting"], 6)
            seen.update({event["id"]: event for _, event in read_spool(self.path)})
            receiver.start()
            wait_until(lambda: self.row(daemon)["delivered"] > 0 or self.row(daemon)["failed"] > 3, "a request")
            self.kill(daemon)
            daemon.start()
        wait_until(lambda: self.row(daemon)["waiting"] == 0, "all delivered")
        told = {}
        for event in receiver.events():
            self.assertEqual(told.setdefault(event["id"], event), event)
        self.assertEqual({id: told.get(id) for id in seen}, seen)
        self.assertGreaterEqual(len(seen), 12 * 6)

    def test_what_waits_arrives_after_a_stop(self):
        receiver = self.enterContext(Receiver(receivers.status(500)))
        daemon = self.start({"url": receiver.url})
        self.enterContext(WebSocket(daemon.port))
        wait_until(lambda: self.row(daemon)["waiting"] == 2, "two events")
        daemon.stop()
        self.assertIn(f"webhook hook0: 3 events wait for it in {self.path}", daemon.log())
        receiver.behave(receivers.good)
        daemon.start()
        told = receiver.expect(4)
        self.assertEqual([event["type"] for event in told], ["rtcd.epoch", "rtcd.connected", "rtcd.disconnected", "rtcd.epoch"])
        self.assertEqual(told[2]["data"]["reason"], "shutdown")

    def test_a_torn_or_corrupt_end_is_cut(self):
        receiver = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url})
        self.come_and_go(daemon, 3)
        self.kill(daemon)
        with open(self.path, "rb") as file:
            whole = file.read()
        last = 8
        while last + 8 + struct.unpack_from("<I", whole, last)[0] < len(whole):
            last += 8 + struct.unpack_from("<I", whole, last)[0]
        ends = [whole[:last + 3], whole[:last + 11], whole[:-1], whole[:-1] + b"!", whole[:last] + b"\xff" * 50, whole[:last] + bytes(200)]
        for end in ends:
            with self.subTest(end=end[last:]):
                with open(self.path, "wb") as file:
                    file.write(end)
                kept = read_spool(self.path)
                self.assertEqual(len(kept), 6)
                daemon.start()
                self.assertIn(f"{self.path}: its last {len(end) - last} bytes are torn or corrupt, and were cut off", daemon.log())
                self.assertEqual(read_spool(self.path)[:6], kept)
                self.kill(daemon)
        daemon.start()
        receiver.start()
        receiver.expect(6)

    def test_it_stays_small_while_events_are_delivered(self):
        receiver = self.enterContext(Receiver())
        stuck = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url}, {"url": stuck.url, "events": "epoch"})
        for _ in range(30):
            self.come_and_go(daemon, 10)
            self.assertLess(os.path.getsize(self.path), 300000)
        receiver.expect(601)
        wait_until(lambda: [(name, event["type"]) for name, event in read_spool(self.path)] == [("hook1", "rtcd.epoch")], "one event in the spool")

    def test_beyond_its_bound_events_wait_in_memory_alone(self):
        receiver = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url}, spool_bytes="4KiB")
        self.come_and_go(daemon, 10)
        self.assertLessEqual(os.path.getsize(self.path), 4096)
        kept = len(read_spool(self.path))
        self.assertEqual(daemon.counter("webhook_unspooled"), 21 - kept)
        self.assertEqual(daemon.log().count("wait in memory alone"), 1)
        receiver.start()
        receiver.expect(21)

    def test_a_full_disk_is_told_of_once(self):
        receiver = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url})
        daemon.stop()
        daemon.before_start = limit_files(resource.RLIM_INFINITY)
        daemon.start()
        self.come_and_go(daemon, 50)
        set_limit(daemon, os.path.getsize(self.path))
        self.come_and_go(daemon, 1)
        receiver.start()
        receiver.expect(104)
        wait_until(lambda: self.row(daemon)["waiting"] == 0, "all delivered")
        set_limit(daemon)
        self.assertEqual([daemon.log().count(words) for words in ("wait in memory alone", "it cannot be written: ")], [1, 1], daemon.log())
        self.come_and_go(daemon, 1)
        receiver.expect(106)
        wait_until(lambda: os.path.getsize(self.path) == len(MAGIC), "an empty spool")

    def test_dropped_events_leave_it(self):
        receiver = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url, "queue": 5, "retry-delay": "1h", "retry-delay-max": "1h"})
        self.come_and_go(daemon, 300)
        self.assertEqual(self.row(daemon)["waiting"], 5)
        self.kill(daemon)
        daemon.start()
        self.assertEqual(self.row(daemon)["waiting"], 5)
        self.assertEqual(len(read_spool(self.path)), 5)

    def test_each_event_is_on_the_disk_where_that_is_asked_for(self):
        receiver = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url}, spool_sync="each")
        self.come_and_go(daemon, 3)
        receiver.start()
        receiver.expect(7)
        wait_until(lambda: read_spool(self.path) == [], "an empty spool")

    def test_events_for_nobody_are_told_of_and_forgotten(self):
        receiver = self.enterContext(Receiver(is_up=False))
        daemon = self.start({"url": receiver.url})
        self.come_and_go(daemon)
        self.kill(daemon)
        daemon.write_config("")
        daemon.start()
        self.assertIn("3 events in it were for webhooks that are no longer in the config, and are lost", daemon.log())
        self.assertEqual(daemon.counter("webhook_dropped"), 3)
        self.assertEqual(read_spool(self.path), [])

    def test_what_cannot_be_a_spool_is_not_touched(self):
        cases = ((b"something else\n", 0o600, "it is no spool"), (MAGIC, 0o640, "its mode is 0640"))
        for content, mode, problem in cases:
            with self.subTest(problem=problem):
                with open(self.path, "wb") as file:
                    file.write(content)
                os.chmod(self.path, mode)
                daemon = Daemon({"hooks.spool": self.path}, config="")
                self.addCleanup(daemon.directory.cleanup)
                with self.assertRaisesRegex(AssertionError, f"(?s)ended with 78:.*{problem}"):
                    daemon.start()
                with open(self.path, "rb") as file:
                    self.assertEqual(file.read(), content)

    def test_what_lies_in_the_way_of_a_new_one_keeps_no_later_start_from_it(self):
        with open(self.path + ".new", "wb") as file:
            file.write(b"left here by somebody\n")
        os.chmod(self.path + ".new", 0o644)
        daemon = self.start({"url": "http://127.0.0.1:9/"})
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        daemon.stop()
        daemon.start()
        self.assertEqual(self.row(daemon)["waiting"], 2)

    def test_two_daemons_do_not_share_one(self):
        self.start({"url": "http://127.0.0.1:9/"})
        other = Daemon({"hooks.spool": self.path}, config="")
        self.addCleanup(other.directory.cleanup)
        with self.assertRaisesRegex(AssertionError, "(?s)ended with 78:.*another daemon uses it"):
            other.start()


if __name__ == "__main__":
    unittest.main()
