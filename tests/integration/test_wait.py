"""rtcctl wait: for scripts that go on once a user, a group or the daemon is as it should be."""

import os
import subprocess
import unittest

from api import ApiTest
from client import WebSocket
from harness import BUILD, PATIENCE_S, AdminError, AdminLink, Daemon, DaemonTest, wait_until

USERS = {"connection.claimed-users": "true"}


class Asker(AdminLink):
    """What it asks is there once the ping behind it is answered."""

    def waits(self, command, **data):
        """Asks. True: it was not answered at once."""
        self.send(command, **data)
        ping = self.send("ping")
        return self.read()["id"] == ping


class WaitTest(DaemonTest):
    options = USERS
    workers = 4

    def test_for_a_user(self):
        with Asker(self.daemon) as asker:
            self.assertTrue(asker.waits("wait.user", user="ann", state="online"))
            with WebSocket(self.daemon.port, user="bob"), WebSocket(self.daemon.port, user="ann") as ann:
                self.assertEqual(asker.read(), {"eventName": "rtc.reply", "id": 1, "data": None})
                self.assertFalse(asker.waits("wait.user", user="ann", state="online"))
                asker.read()
                self.assertTrue(asker.waits("wait.user", user="ann", state="offline"))
                ann.close()
                self.assertEqual(asker.read()["id"], asker.asked - 1)

    def test_for_a_group_that_fills_and_empties(self):
        with Asker(self.daemon) as asker:
            self.assertTrue(asker.waits("wait.group", group="g", count=3))
            first = [WebSocket(self.daemon.port, group="g") for _ in range(2)]
            ping = asker.send("ping")
            self.assertEqual(asker.read()["id"], ping)
            with WebSocket(self.daemon.port) as third:
                third.call("rtc.join", {"group": "g"})
                self.assertEqual(asker.read()["id"], 1)
                self.assertTrue(asker.waits("wait.group", group="g", count=0))
                for ws in first:
                    ws.close()
                third.call("rtc.leave", {"group": "g"})
                self.assertEqual(asker.read()["id"], asker.asked - 1)

    def test_no_change_is_missed_whenever_it_comes(self):
        clients = [WebSocket(self.daemon.port) for _ in range(8)]
        with Asker(self.daemon) as asker:
            for i in range(100):
                for client in clients:
                    client.send("rtc.join", {"group": "race"})
                full = asker.send("wait.group", group="race", count=8)
                self.assertEqual(asker.read()["id"], full, i)
                for client in clients:
                    client.send("rtc.leave", {"group": "race"})
                empty = asker.send("wait.group", group="race", count=0)
                self.assertEqual(asker.read()["id"], empty, i)
        for client in clients:
            client.drop()

    def test_what_does_not_come_in_time_has_its_own_exit_status(self):
        for arguments, part in ((("user", "eve", "online"), "the user eve is still offline"), (("group", "none", "count", "2"), "fewer than 2")):
            for timeout in ("0", "20ms"):
                result = self.daemon.rtcctl("wait", *arguments, "--timeout", timeout, check=False)
                self.assertEqual(result.returncode, 75, result.stderr)
                self.assertIn(part, result.stderr)
        for arguments in (("user", "eve", "asleep"), ("user", "eve", "online", "--timeout", "5"), ("group", "g", "count", "many")):
            self.assertEqual(self.daemon.rtcctl("wait", *arguments, check=False).returncode, 65)
        for arguments in (("group", "g", "3"), ("group", "g", "count"), ("group", "g", "member", "3"), ("user", "eve")):
            self.assertEqual(self.daemon.rtcctl("wait", *arguments, check=False).returncode, 64)
        with WebSocket(self.daemon.port, user="fay", group="h"):
            self.assertEqual(self.daemon.rtcctl("wait", "user", "fay", "online", "--timeout", "0").stdout, "")
            self.daemon.rtcctl("wait", "group", "h", "count", "1")

    def test_only_so_many_wait_and_who_goes_makes_room(self):
        with Daemon({"admin.waits": 1}) as daemon, Asker(daemon) as first:
            first.waits("wait.user", user="a", state="online")
            with self.assertRaisesRegex(AdminError, "admin.waits"):
                daemon.admin("wait.user", user="b", state="offline")
            self.assertEqual(daemon.counter("waits_refused"), 1)
            first.close()

            def has_room():
                try:
                    return daemon.admin("wait.user", user="b", state="offline") is None
                except AdminError:
                    return False
            wait_until(has_room, "the one who waited to be forgotten")


class ApiWaitTest(ApiTest):
    options = {**USERS, "api.timeout": "1s"}

    def test_over_http_a_wait_ends_before_the_call_does(self):
        self.assertEqual(self.call("wait.user", {"user": "ann", "state": "offline"}, "viewer").status, 204)
        self.assert_refused(self.call("wait.user", {"user": "ann", "state": "online"}), 408, "timeout", "the user ann is still offline")
        with WebSocket(self.daemon.port, user="ann", group="g"):
            answers = self.call("wait.group", [{"group": "g", "count": 1}, {"group": "g", "count": 2, "timeout": "10ms"}]).json()
            self.assertEqual((answers[0]["data"], answers[1]["error"]["code"]), (None, "timeout"))


class ReadyTest(unittest.TestCase):
    def test_for_a_daemon_that_is_not_there_yet(self):
        daemon = Daemon()
        command = [os.path.join(BUILD, "cli/rtcctl"), "--socket", daemon.admin_path, "wait", "ready", "--timeout"]
        for span in ("0", "100ms"):
            late = subprocess.run(command + [span], capture_output=True, text=True, check=False)
            self.assertEqual((late.returncode, late.stderr), (75, "rtcctl: rtcd is not ready still\n"))
        with subprocess.Popen(command + ["20s"], stderr=subprocess.PIPE, text=True) as waiting:
            with daemon:
                self.assertEqual((waiting.wait(PATIENCE_S), waiting.stderr.read()), (0, ""))

    def test_without_time_only_now_counts(self):
        with Daemon() as daemon:
            now = daemon.rtcctl("wait", "ready", "--timeout", "0", check=False)
            self.assertEqual((now.returncode, now.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
