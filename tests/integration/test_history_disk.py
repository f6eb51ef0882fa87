"""Histories on disk: what is there after a restart, after a crash, with a full disk and with a file that is not right."""

import json
import os
import tempfile
import threading
import unittest

from api import ApiTest
from client import WebSocket
from harness import AdminError, Daemon, limit_files, set_limit, wait_until

CONFIG = """
groups:
  - {match: "state.**", history-envelopes: 50, history-keep: latest-per-key, history: anyone, publish: anyone}
  - {match: "short.**", history-envelopes: 5, history: anyone, publish: anyone}
  - {match: "**", history-envelopes: 10000, history-bytes: 64MiB, history: anyone, publish: anyone}
"""


def disk(config=CONFIG, **options):
    """A daemon that keeps histories on disk, in a folder of its own."""
    daemon = Daemon({"history.store": "disk", **options}, config=config)
    folder = os.path.join(daemon.directory.name, "history")
    daemon.arguments += ["--set", f"history.path={folder}"]
    daemon.folder = folder
    return daemon


def kill(daemon):
    daemon.process.kill()
    daemon.process.wait()


def restart(daemon, is_crash=False):
    if is_crash:
        kill(daemon)
    else:
        daemon.stop()
    daemon.start()


def history(daemon, group, **asked):
    return daemon.admin("history", group=group, **asked)


def rows(daemon, group, **asked):
    return [(int(row[0].partition(":")[2]), row[2], row[3]) for row in history(daemon, group, **asked)["rows"]]


def end(daemon):
    """A start that is refused, and why."""
    try:
        daemon.start()
    except AssertionError as error:
        return daemon.process.returncode, str(error)
    raise AssertionError("it started")


class Restart(unittest.TestCase):
    def test_all_is_there_again_after_a_restart(self):
        for sync in ("each", "interval", "never"):
            with self.subTest(sync=sync), disk(**{"history.sync": sync, "history.sync-interval": "10s"}) as daemon:
                for number in range(1, 21):
                    daemon.publish("n", number, group="stream")
                    daemon.publish("n", number, group="short.g")
                    daemon.publish("n", None if number % 4 == 0 else number, group="state.g", key=f"k{number % 6}")
                with WebSocket(daemon.port, protocol="msgpack") as ws:
                    ws.call("n", {"bytes": b"\x00\xff"}, to={"group": "stream"})
                groups = ("stream", "short.g", "state.g")
                before = {group: history(daemon, group) for group in groups}
                epochs = {group: before[group]["epoch"] for group in groups}
                since = {group: [history(daemon, group, since=f"{epochs[group]}:{offset}") for offset in range(23)] for group in groups}
                restart(daemon)
                self.assertEqual({group: history(daemon, group) for group in groups}, before)
                self.assertEqual({group: [history(daemon, group, since=f"{epochs[group]}:{offset}") for offset in range(23)] for group in groups},
                                 since)
                daemon.publish("n", "next", group="stream")
                self.assertEqual(rows(daemon, "stream", last=1), [(22, "", "next")])
                wait_until(lambda daemon=daemon, sync=sync: sync == "interval" or daemon.counter("history_stored") == 1, "the disk")

    def test_offsets_that_were_given_to_nothing_held_are_not_given_again(self):
        with disk() as daemon:
            daemon.publish("n", 1, group="state.g")
            daemon.publish("n", 1, group="state.g", key="a")
            daemon.publish("n", 1, group="state.g")
            before = history(daemon, "state.g")
            restart(daemon)
            self.assertEqual(history(daemon, "state.g"), before)
            self.assertEqual(before["offset"], 3)

    def test_what_was_cleared_or_has_lost_its_rule_does_not_come_back(self):
        with disk() as daemon:
            for group in ("cleared", "kept", "stream"):
                daemon.publish("n", "secret word", group=group)
            epoch = history(daemon, "cleared")["epoch"]
            daemon.rtcctl("clear", "history", "cleared")
            restart(daemon, is_crash=True)
            self.assertEqual((rows(daemon, "cleared"), history(daemon, "cleared")["epoch"]), ([], epoch))
            self.assertFalse(history(daemon, "cleared", since=f"{epoch}:0")["recovered"])
            daemon.stop()
            daemon.write_config('groups: [{match: "kept", history-envelopes: 5}]\n')
            daemon.start()
            self.assertEqual(rows(daemon, "kept"), [(1, "", "secret word")])
            daemon.stop()
            daemon.write_config(CONFIG)
            daemon.start()
            with self.assertRaises(AdminError):
                history(daemon, "stream")
            daemon.publish("n", 2, group="stream")
            self.assertEqual(rows(daemon, "stream"), [(1, "", 2)])

    def test_another_kind_of_history_begins_empty(self):
        with disk() as daemon:
            daemon.publish("n", 1, group="short.g", key="a")
            epoch = history(daemon, "short.g")["epoch"]
            daemon.stop()
            daemon.write_config('groups: [{match: "**", history-envelopes: 5, history-keep: latest-per-key}]\n')
            daemon.start()
            self.assertEqual(rows(daemon, "short.g"), [])
            self.assertFalse(history(daemon, "short.g", since=f"{epoch}:0")["recovered"])
            daemon.publish("n", 2, group="short.g", key="a")
            restart(daemon)
            self.assertEqual(rows(daemon, "short.g"), [(2, "a", 2)])

    def test_a_file_that_was_not_in_use_meanwhile_is_out_of_date(self):
        with disk() as daemon:
            daemon.publish("n", 1, group="g")
            epoch = history(daemon, "g")["epoch"]
            daemon.stop()
            daemon.arguments += ["--set", "history.store=memory"]
            daemon.start()
            daemon.publish("n", 2, group="g")
            daemon.stop()
            daemon.arguments += ["--set", "history.store=disk"]
            daemon.start()
            self.assertEqual(rows(daemon, "g"), [(1, "", 1)])
            self.assertFalse(history(daemon, "g", since=f"{epoch}:1")["recovered"])


class Crash(unittest.TestCase):
    def test_with_each_what_was_acknowledged_is_there_and_since_goes_on(self):
        with disk() as daemon:
            with WebSocket(daemon.port) as ws:
                for number in range(1, 6):
                    ws.call("n", number, to={"group": "g"}, id=number)
            epoch = history(daemon, "g")["epoch"]
            restart(daemon, is_crash=True)
            self.assertEqual(rows(daemon, "g"), [(number, "", number) for number in range(1, 6)])
            daemon.publish("n", 6, group="g")
            after = history(daemon, "g", since=f"{epoch}:3")
            self.assertEqual((after["epoch"], after["recovered"], [row[3] for row in after["rows"]]), (epoch, True, [4, 5, 6]))
            self.assertGreater(after["offset"], 1 << 20)
            for lost in (6, 7, 1000):
                self.assertFalse(history(daemon, "g", since=f"{epoch}:{lost}")["recovered"])
            self.assertTrue(history(daemon, "g", since=f"{epoch}:5")["recovered"])
            self.assertTrue(history(daemon, "g", since=f"{epoch}:{after['offset']}")["recovered"])

    def test_with_the_others_every_group_has_a_new_epoch(self):
        for sync in ("interval", "never"):
            with self.subTest(sync=sync), disk(**{"history.sync": sync, "history.sync-interval": "10ms"}) as daemon:
                daemon.publish("n", 1, group="g")
                epoch = history(daemon, "g")["epoch"]
                wait_until(lambda daemon=daemon: daemon.counter("history_stored") == 1, "the disk")
                restart(daemon, is_crash=True)
                self.assertEqual(rows(daemon, "g"), [(1, "", 1)])
                self.assertFalse(history(daemon, "g", since=f"{epoch}:1")["recovered"])
                self.assertFalse(history(daemon, "g", since=f"{epoch}:0")["recovered"])

    def test_crashes_in_a_row_are_told_apart(self):
        with disk() as daemon:
            positions = []
            for number in range(1, 8):
                daemon.publish("n", number, group="g")
                positions.append(history(daemon, "g")["offset"])
                epoch = history(daemon, "g")["epoch"]
                restart(daemon, is_crash=True)
                self.assertEqual([row[2] for row in rows(daemon, "g")], list(range(1, number + 1)))
            answers = [history(daemon, "g", since=f"{epoch}:{offset}") for offset in positions]
            self.assertEqual([answer["recovered"] for answer in answers], [False] * 3 + [True] * 4)
            self.assertEqual([row[3] for row in answers[4]["rows"]], [6, 7])

    def test_a_client_that_saw_more_than_was_stored_is_not_told_recovered(self):
        """Delivery does not wait for the disk. Here the disk waits for long, and the daemon is killed meanwhile."""
        with disk(**{"history.sync": "interval", "history.sync-interval": "1h"}) as daemon:
            with WebSocket(daemon.port) as ws:
                joined = ws.call("rtc.join", {"group": "g"})["data"]
                daemon.publish("n", 1, group="g")
                daemon.publish("n", 2, group="g")
                self.assertEqual([ws.expect("n")["offset"] for _ in range(2)], [1, 2])
                kill(daemon)
            daemon.start()
            for number in range(3):
                daemon.publish("other", number, group="g")
            with WebSocket(daemon.port) as ws:
                for offset in range(4):
                    again = ws.call("rtc.history", {"group": "g", "since": {"epoch": joined["epoch"], "offset": offset}})["data"]
                    self.assertFalse(again["recovered"])


class Bounds(unittest.TestCase):
    def test_a_full_disk_costs_the_group_that_was_used_longest_ago(self):
        text = "x" * 60000
        with disk(**{"history.disk-bytes": "16MiB"}) as daemon:
            daemon.publish("n", "old", group="old")
            for number in range(400):
                daemon.publish("n", text, group=f"g{number // 40}")
            self.assertGreater(daemon.counter("history_evicted"), 0)
            self.assertEqual(daemon.counter("history_failed"), 0)
            newest, epochs = history(daemon, "g9"), {group: history(daemon, group)["epoch"] for group in ("old", "g0")}
            self.assertEqual(rows(daemon, "old"), [(1, "", "old")])
            daemon.publish("n", "again", group="g0")
            restart(daemon)
            self.assertLessEqual(os.path.getsize(os.path.join(daemon.folder, "data.mdb")), 16 << 20)
            self.assertEqual(history(daemon, "g9"), newest)
            with self.assertRaises(AdminError):
                history(daemon, "old")
            self.assertEqual(rows(daemon, "g0"), [(41, "", "again")])
            self.assertFalse(history(daemon, "g0", since=f"{epochs['g0']}:39")["recovered"])
            self.assertTrue(history(daemon, "g0", since=f"{epochs['g0']}:40")["recovered"])

    def test_groups_that_are_forgotten_go_from_the_disk(self):
        with disk(**{"history.groups": "64"}) as daemon:
            lines = "".join('{"eventName":"n","data":%d,"to":{"group":"many%d"}}\n' % (number, number) for number in range(1000))
            daemon.rtcctl("publish", "--stream", input=lines)
            there = {row[0] for row in daemon.admin("list.groups", limit=1000)["rows"]}
            self.assertLessEqual(len(there), 64)
            restart(daemon, is_crash=True)
            self.assertEqual({row[0] for row in daemon.admin("list.groups", limit=1000)["rows"]}, there)

    def test_who_publishes_faster_than_the_disk_is_held_up_and_loses_nothing(self):
        with disk(**{"history.queue": "64"}) as daemon:
            count, seen = 600, []

            def publish(name):
                with WebSocket(daemon.port) as ws:
                    for number in range(count):
                        ws.send(name, number, to={"group": "g"}, id=number + 1)
                    for _ in range(count):
                        seen.append(ws.expect("rtc.reply").get("error"))

            threads = [threading.Thread(target=publish, args=(f"p{index}",)) for index in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(seen, [None] * 3 * count)
            restart(daemon, is_crash=True)
            found = history(daemon, "g", last=10000)["rows"]
            for index in range(3):
                self.assertEqual([row[3] for row in found if row[1] == f"p{index}"], list(range(count)))


class Answers(ApiTest):
    """Whoever publishes is answered once it is stored, whichever way it came."""

    options = {"history.store": "disk", "limits.publishes-per-connection": "unlimited"}
    config = CONFIG

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="rtcd-test-")
        cls.options = {**cls.options, "history.path": os.path.join(cls.folder.name, "history")}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def test_nobody_is_answered_before_the_disk_has_it(self):
        body, answers = {"group": "g", "event": "n", "data": "x" * 50000}, {}
        self.daemon.stop()
        self.daemon.before_start = limit_files(64 << 10)
        self.daemon.start()
        with WebSocket(self.daemon.port) as ws:
            ways = {
                "API": lambda: self.call("publish", body).json(),
                "batch": lambda: self.call("publish", [body, body]).json(),
                "admin": lambda: self.daemon.admin("publish", **body),
                "rtcctl": lambda: self.daemon.rtcctl("--output", "json", "publish", "--group", "g", "n", "-", input=json.dumps(body["data"])).stdout,
                "client": lambda: ws.call("n", "x" * 50000, to={"group": "g"}),
            }
            threads = [threading.Thread(target=lambda name=name, way=way: answers.setdefault(name, way())) for name, way in ways.items()]
            for thread in threads:
                thread.start()
            wait_until(lambda: self.daemon.counter("messages_published") == 6 and self.daemon.counter("history_failed") >= 2, "a full disk")
            self.assertEqual((self.daemon.counter("history_stored"), answers), (0, {}))
            set_limit(self.daemon)
            for thread in threads:
                thread.join()
        self.assertEqual(answers["API"], {"recipients": 0})
        self.assertEqual(answers["batch"], [{"data": {"recipients": 0}}] * 2)
        self.assertEqual(answers["admin"], {"recipients": 0})
        self.assertEqual(json.loads(answers["rtcctl"]), {"recipients": 0})
        self.assertNotIn("error", answers["client"])
        self.assertEqual(len(history(self.daemon, "g")["rows"]), 6)
        self.daemon.before_start = None


class Failing(unittest.TestCase):
    def test_a_disk_that_cannot_be_written_holds_publishers_up_until_it_can(self):
        daemon = disk(**{"history.queue": "64"})
        daemon.before_start = limit_files(256 << 10)
        with daemon, WebSocket(daemon.port) as ws:
            count, word = 200, "x" * 4000
            sender = threading.Thread(target=lambda: [ws.send("n", [number, word], to={"group": "g"}, id=number + 1) for number in range(count)])
            sender.start()
            wait_until(lambda: daemon.counter("history_failed"), "a write that fails")
            self.assertLess(daemon.counter("history_stored"), count)
            self.assertLessEqual(daemon.counter("messages_published"), daemon.counter("history_stored") + 65)
            set_limit(daemon)
            self.assertEqual([ws.expect("rtc.reply").get("error") for _ in range(count)], [None] * count)
            sender.join()
            self.assertEqual(daemon.log().count("histories cannot be written"), 1)
            daemon.before_start = None
            restart(daemon, is_crash=True)
            self.assertEqual([row[2][0] for row in rows(daemon, "g", last=1000)], list(range(count)))


class Refused(unittest.TestCase):
    def start_fails(self, daemon, *words):
        status, text = end(daemon)
        self.assertEqual(status, 78)
        for word in words:
            self.assertIn(word, text)

    def test_a_folder_belongs_to_one_daemon(self):
        with disk() as daemon:
            other = Daemon({"history.store": "disk", "history.path": daemon.folder})
            self.start_fails(other, "in use by another process")
            other.directory.cleanup()

    def test_no_folder_at_all(self):
        daemon = Daemon({"history.store": "disk"}, environment={"STATE_DIRECTORY": ""})
        self.start_fails(daemon, "history.path")
        daemon.directory.cleanup()

    def test_the_state_directory_is_the_default(self):
        daemon = Daemon({"history.store": "disk"}, config=CONFIG)
        daemon.environment = {"STATE_DIRECTORY": daemon.directory.name}
        with daemon:
            daemon.publish("n", 1, group="g")
            self.assertTrue(os.path.exists(os.path.join(daemon.directory.name, "history", "data.mdb")))

    def damaged(self, damage):
        daemon = disk()
        daemon.start()
        for number in range(50):
            daemon.publish("n", f"word-{number}", group="g")
        daemon.stop()
        path = os.path.join(daemon.folder, "data.mdb")
        with open(path, "rb") as file:
            data = bytearray(file.read())
        data = damage(data)
        with open(path, "wb") as file:
            file.write(data)
        return daemon

    def test_a_file_of_another_kind(self):
        daemon = self.damaged(lambda data: b"not a database" * 1000)
        self.start_fails(daemon, "damaged, or not a file of rtcd's", "move it away")
        daemon.directory.cleanup()

    def test_a_file_that_was_cut(self):
        daemon = self.damaged(lambda data: data[:3 * 4096])
        self.start_fails(daemon, "damaged")
        daemon.directory.cleanup()

    def test_an_envelope_that_was_changed(self):
        daemon = self.damaged(lambda data: data.replace(b"word-7", b"word-8"))
        self.start_fails(daemon, "offset 8: what is stored is damaged")
        daemon.directory.cleanup()


if __name__ == "__main__":
    unittest.main()
