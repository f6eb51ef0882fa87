"""What clients may: rules for groups, rights in access tokens, default deny, and what a reload and a new token change."""

import unittest

from client import WebSocket
from harness import Daemon

RULES = """groups:
  - match: "room.*.staff"
    join: nobody
    publish: nobody
  - match: "room.**"
    publish: members
  - match: "open.*"
    publish: anyone
    presence: anyone
    history: nobody
"""


class Rules(unittest.TestCase):
    def refused(self, reply, *words, code="forbidden"):
        self.assertEqual(reply.get("error", {}).get("code"), code, reply)
        for word in words:
            self.assertIn(word, reply["error"]["message"])

    def test_the_first_rule_that_matches_decides(self):
        with Daemon({"publish.to-group": "nobody"}, config=RULES) as daemon, WebSocket(daemon.port, group="room.7") as ws:
            self.assertNotIn("error", ws.call("x", to={"group": "room.7"}))
            self.refused(ws.call("x", to={"group": "room.8"}), "only members", "groups: room.**")
            self.refused(ws.call("rtc.join", {"group": "room.7.staff"}), "may not join", "groups: room.*.staff")
            self.assertNotIn("error", ws.call("rtc.join", {"group": "room.7.staff.x"}))
            self.assertNotIn("error", ws.call("x", to={"group": "open.z"}))
            self.refused(ws.call("x", to={"group": "else"}), "publish.to-group")

    def test_presence_and_history_are_judged_before_they_are_answered(self):
        with Daemon(config=RULES) as daemon, WebSocket(daemon.port, group="room.7") as ws:
            self.refused(ws.call("rtc.presence", {"group": "open.a"}), code="unsupported")
            self.refused(ws.call("rtc.history", {"group": "open.a"}), "ask what was published", "groups: open.*")
            self.refused(ws.call("rtc.presence", {"group": "room.7"}), code="unsupported")
            self.refused(ws.call("rtc.presence", {"group": "room.8"}), "only members", "groups-default.presence")
            self.refused(ws.call("rtc.history", {}), code="bad-envelope")

    def test_a_reload_takes_rules_up_for_those_who_are_connected(self):
        with Daemon({"publish.to-group": "nobody"}, config=RULES) as daemon, WebSocket(daemon.port, group="room.7") as ws:
            self.assertNotIn("error", ws.call("x", to={"group": "room.7"}))
            daemon.write_config("groups: [{match: '**', join: nobody}]\n")
            self.assertIn("groups changed", daemon.rtcctl("reload").stdout)
            self.refused(ws.call("x", to={"group": "room.7"}), "publish.to-group")
            self.refused(ws.call("rtc.join", {"group": "room.8"}), "groups: **")
            shown = daemon.rtcctl("show", "config", "groups").stdout
            self.assertIn("groups.1.match", shown)
            self.assertIn("rtcd.yaml:1", shown)
            daemon.write_config("groups: [{match: '**', jion: nobody}]\n")
            self.assertIn("did you mean groups.join?", daemon.rtcctl("reload", check=False).stderr)
            self.refused(ws.call("rtc.join", {"group": "room.8"}), "groups: **")


if __name__ == "__main__":
    unittest.main()
