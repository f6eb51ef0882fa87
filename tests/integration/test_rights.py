"""What clients may: rules for groups, rights in access tokens, default deny, and what a reload and a new token change."""

import contextlib
import json
import tempfile
import threading
import time
import unittest

import tokens
from client import Sse, WebSocket, request
from harness import Daemon, wait_until

FOLDER = tempfile.TemporaryDirectory(prefix="rtcd-test-keys-")
AUTH = {"connection.anonymous": "false", "auth.keys": ",".join(tokens.write_keys(FOLDER.name)), "auth.leeway": "0", "workers": 2}

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


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def issued(user, at, **claims):
    return tokens.token(user, now=at, iat=int(at), **claims)


class RightsTest(unittest.TestCase):
    def refused(self, reply, *words, code="forbidden"):
        self.assertEqual(reply.get("error", {}).get("code"), code, reply)
        for word in words:
            self.assertIn(word, reply["error"]["message"])
        self.assertNotIn("rtcd.yaml", reply["error"]["message"])

    def allowed(self, reply):
        self.assertNotIn("error", reply)


class Rules(RightsTest):
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
            self.assertEqual(ws.call("rtc.presence", {"group": "open.a"})["data"]["count"], 0)
            self.refused(ws.call("rtc.history", {"group": "open.a"}), "ask what was published", "groups: open.*")
            self.assertEqual(ws.call("rtc.presence", {"group": "room.7"})["data"]["count"], 1)
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

    def test_once_a_reload_is_answered_every_worker_goes_by_it(self):
        with contextlib.ExitStack() as stack:
            daemon = stack.enter_context(Daemon({"workers": 4}, config=RULES))
            clients = [stack.enter_context(WebSocket(daemon.port)) for _ in range(12)]
            for turn in range(40):
                daemon.write_config(f"groups: [{{match: '**', join: {('nobody', 'anyone')[turn % 2]}}}]\n")
                daemon.admin("reload")
                for client in clients:
                    client.send("rtc.join", {"group": f"g{turn}"}, id=turn + 1)
                self.assertEqual({"error" in client.expect("rtc.reply") for client in clients}, {turn % 2 == 0})


class DefaultDeny(RightsTest):
    def test_a_client_without_leave_publishes_nowhere(self):
        with Daemon(config="") as daemon, WebSocket(daemon.port, group="g", user=None) as ws:
            for to, option in (({"group": "g"}, "publish.to-group"), ({"group": "h"}, "publish.to-group"), ({"user": "u"}, "publish.to-user"),
                               ({"connection": ws.id}, "publish.to-connection"), ({"all": True}, "publish.to-all")):
                self.refused(ws.call("x", to=to), option)
            self.allowed(ws.call("rtc.join", {"group": "h"}))

    def test_it_holds_on_every_transport(self):
        event = json.dumps({"eventName": "x", "id": 1, "to": {"group": "g"}}).encode()
        with Daemon(config="") as daemon, Sse(daemon.port, group="g") as sse:
            self.assertEqual(request(daemon.port, "POST", "/rtc/send", event, token=sse.token).status, 200)
            self.refused(sse.expect("rtc.reply"), "publish.to-group")
            welcome = request(daemon.port, "GET", "/rtc/poll", wait=0, group="g").json()["messages"][0]["data"]
            self.assertEqual(request(daemon.port, "POST", "/rtc/send", event, token=welcome["connectionToken"]).status, 200)
            answer = request(daemon.port, "GET", "/rtc/poll", wait=0, received=0, token=welcome["connectionToken"]).json()
            self.refused(answer["messages"][0], "publish.to-group")
            with WebSocket(daemon.port, "msgpack", group="g") as ws:
                self.refused(ws.call("x", to={"group": "g"}), "publish.to-group")

    def test_a_direct_connect_joins_no_group_that_it_may_not(self):
        with Daemon(config="groups: [{match: 'staff.**', join: nobody}]") as daemon:
            for path in "/rtc/sse", "/rtc/poll", "/rtc/websocket":
                response = (WebSocket(daemon.port, group="staff.x").response if path == "/rtc/websocket"
                            else request(daemon.port, "GET", path, group="staff.x", wait=0))
                self.assertEqual(response.status, 403)
                if path != "/rtc/websocket":
                    self.assertIn("groups: staff.**", response.json()["detail"])
            wait_until(lambda: not daemon.connections(), "the connections to go")

    def test_an_operator_puts_a_connection_where_it_may_not_go(self):
        with Daemon(config="groups: [{match: '**', join: nobody, publish: members}]") as daemon, WebSocket(daemon.port) as ws:
            self.refused(ws.call("rtc.join", {"group": "g"}))
            daemon.admin("join", connection=ws.id, group="g")
            self.allowed(ws.call("x", to={"group": "g"}))


class Claims(RightsTest):
    CONFIG = "groups: [{match: 'closed.**', join: nobody, publish: nobody}, {match: '**', join: token, history: token, presence: token}]"

    def setUp(self):
        self.daemon = Daemon(AUTH, config=self.CONFIG)
        self.daemon.start()
        self.addCleanup(self.daemon.stop)
        self.port = self.daemon.port

    def connect(self, rights, user="ann", **more):
        return WebSocket(self.port, headers=bearer(issued(user, more.get("now", time.time()), rtc=rights)))

    def test_patterns_allow_just_what_they_match(self):
        with self.connect({"join": ["room.*", "closed.*"], "publish": ["room.7", "closed.*"], "presence": ["room.*"], "history": []}) as ws:
            self.allowed(ws.call("rtc.join", {"group": "room.7"}))
            self.allowed(ws.call("x", to={"group": "room.7"}))
            self.refused(ws.call("x", to={"group": "room.8"}), "access token allows it", "publish.to-group")
            self.refused(ws.call("rtc.join", {"group": "room.7.a"}), "access token allows it", "groups: **")
            self.refused(ws.call("rtc.join", {"group": "closed.a"}), "clients may not join")
            self.refused(ws.call("x", to={"group": "closed.a"}), "clients may not publish")
            self.assertEqual(ws.call("rtc.presence", {"group": "room.9"})["data"]["count"], 0)
            self.refused(ws.call("rtc.history", {"group": "room.9"}), "access token allows it")
            self.refused(ws.call("x", to={"user": "ann"}), "publish.to-user")

    def test_a_token_says_who_else_is_published_to(self):
        with self.connect({"to": ["user", "all"]}) as ws:
            self.allowed(ws.call("x", to={"user": "ann"}))
            self.allowed(ws.call("x", to={"all": True}, id=2))
            self.refused(ws.call("x", to={"connection": ws.id}, id=3), "publish.to-connection")

    def test_a_claim_that_cannot_be_right_is_refused_with_its_token(self):
        for claim, words in (("x", "is no object"), ([], "is no object"), ({"join": "a"}, "wrong at join: a list"), ({"join": [5]}, "wrong at join"),
                             ({"publish": ["a***"]}, "wrong at publish: a pattern"), ({"join": [""]}, "wrong at join"),
                             ({"to": ["group"]}, "wrong at to: user, connection or all"), ({"join": ["a"] * 65}, "at most 64"),
                             ({"join": ["a" * 250] * 20}, "at most 64 patterns of 4096"), ({"history": {"a": 1}}, "wrong at history")):
            response = request(self.port, "POST", "/rtc/negotiate", headers=bearer(tokens.token(rtc=claim)))
            self.assertEqual(response.status, 401, claim)
            self.assertIn(words, response.json()["detail"])
        for claim in {}, {"join": []}, {"later": 5}, {"join": ["a"] * 64}:
            self.assertEqual(request(self.port, "POST", "/rtc/negotiate", headers=bearer(tokens.token(rtc=claim))).status, 200, claim)

    def test_the_claim_may_have_another_name(self):
        with Daemon({**AUTH, "auth.rights-claim": "https://example.org/rights"}, config=self.CONFIG) as daemon:
            token = tokens.token(**{"https://example.org/rights": {"join": ["a"]}, "rtc": {"join": ["b"]}})
            with WebSocket(daemon.port, access_token=token) as ws:
                self.allowed(ws.call("rtc.join", {"group": "a"}))
                self.refused(ws.call("rtc.join", {"group": "b"}, id=2))

    def test_a_new_token_ends_what_it_no_longer_allows_and_nothing_comes_after_the_reply(self):
        now = time.time()
        old = {"join": ["room.*"], "publish": ["room.*"]}
        with self.connect(old, now=now - 10) as ws, self.connect(old, user="bob", now=now - 10) as bob:
            for id, group in enumerate(("room.1", "room.2", "room.3"), 1):
                self.allowed(ws.call("rtc.join", {"group": group}, id=id))
            self.daemon.admin("join", connection=ws.id, group="given")
            over = threading.Event()

            def race():
                while not over.is_set():
                    self.daemon.publish("tick", group="room.1")
            racing = threading.Thread(target=race)
            racing.start()
            ws.expect("tick")
            ws.send("rtc.refresh", {"accessToken": issued("ann", now, rtc={"join": ["room.2"]})}, id=9)
            left = []
            while (envelope := ws.receive())["eventName"] != "rtc.reply":
                if envelope["eventName"] == "rtc.left":
                    left.append((envelope["data"]["group"], envelope["data"]["connectionId"], envelope["data"]["userId"]))
            self.allowed(envelope)
            self.assertEqual(sorted(left), [("room.1", ws.id, "ann"), ("room.3", ws.id, "ann")])
            ws.send("x", id=10, to={"group": "room.2"})
            reply = ws.receive()
            self.refused(reply, "access token allows it")
            over.set()
            racing.join()
            self.assertEqual(sorted(self.daemon.admin("show.connection", connection=ws.id)["groups"]), ["given", "room.2"])
            self.assertEqual(self.daemon.counter("memberships_ended"), 2)
            self.allowed(bob.call("x", to={"group": "room.1"}))

    def test_an_older_token_changes_nothing(self):
        now = time.time()
        with self.connect({"join": ["a"]}, now=now) as ws:
            self.allowed(ws.call("rtc.refresh", {"accessToken": issued("ann", now - 20, lifetime=500, rtc={"join": ["b"]})}))
            self.refused(ws.call("rtc.join", {"group": "b"}, id=2))
            self.allowed(ws.call("rtc.join", {"group": "a"}, id=3))

    def test_a_poll_brings_a_token_with_other_rights(self):
        now = time.time()
        first, second = (issued("ann", at, rtc={"join": [group]}) for at, group in ((now - 10, "a"), (now, "b")))
        welcome = request(self.port, "GET", "/rtc/poll", headers=bearer(first), wait=0, group="a").json()["messages"][0]["data"]
        secret = welcome["connectionToken"]
        answer = request(self.port, "GET", "/rtc/poll", headers=bearer(second), wait=0, received=0, token=secret).json()
        self.assertEqual([(m["eventName"], m["data"]["group"]) for m in answer["messages"]], [("rtc.left", "a")])
        body = json.dumps([{"eventName": "rtc.join", "id": id, "data": {"group": group}} for id, group in ((1, "b"), (2, "a"))]).encode()
        self.assertEqual(request(self.port, "POST", "/rtc/send", body, headers=bearer(second), token=secret).status, 200)
        answer = request(self.port, "GET", "/rtc/poll", headers=bearer(first), wait=0, received=1, token=secret).json()
        self.allowed(answer["messages"][0])
        self.refused(answer["messages"][1], "access token allows it")

    def explain(self, action, *arguments, input=None):
        """The rows of rtcctl explain ACTION as dictionaries."""
        out = self.daemon.rtcctl("--output", "json", "explain", action, *arguments, input=input).stdout
        return json.loads(out)

    def test_explain_says_what_decides_for_a_token(self):
        token = issued("ann", time.time(), rtc={"join": ["x", "room.*"], "publish": ["closed.*"]})
        row, = self.explain("join", "--user", "ann", "--group", "room.7", "--token", "-", input=token + "\n")
        self.assertEqual((row["subject"], row["allowed"], row["who"], row["decided"], row["origin"]),
                         ("token", True, "token", "claim rtc: room.*", "access token"))
        row, = self.explain("join", "--group", "closed.7", "--token", token)
        self.assertEqual((row["allowed"], row["who"], row["decided"]), (False, "nobody", "groups.1: closed.**"))
        self.assertTrue(row["origin"].endswith("rtcd.yaml:1"))
        self.assertIn("clients may not join", row["reason"])
        row, = self.explain("publish", "--group", "elsewhere", "--token", token)
        self.assertEqual((row["allowed"], row["who"], row["decided"], row["origin"]), (False, "token", "publish.to-group", "default"))
        for arguments, words in ((("--user", "bob", "--token", token), "another user's"), (("--token", token[:-8] + "AAAAAAAA"), "signature")):
            result = self.daemon.rtcctl("explain", "join", "--group", "g", *arguments, check=False)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(words, result.stderr)
            self.assertNotIn(token, result.stderr + self.daemon.log())

    def test_explain_says_the_same_as_a_connection_is_told(self):
        with self.connect({"join": ["a"], "publish": ["b"]}) as one, self.connect({"history": ["**"]}) as two:
            for group in "a", "b", "closed.x":
                for action, ask in (("join", lambda ws, group, id: ws.call("rtc.join", {"group": group}, id=id)),
                                    ("publish", lambda ws, group, id: ws.call("x", to={"group": group}, id=id)),
                                    ("presence", lambda ws, group, id: ws.call("rtc.presence", {"group": group}, id=id)),
                                    ("history", lambda ws, group, id: ws.call("rtc.history", {"group": group}, id=id))):
                    rows = {row["subject"]: row for row in self.explain(action, "--user", "ann", "--group", group)}
                    self.assertEqual(rows.keys(), {one.id, two.id})
                    for id, ws in enumerate((one, two), 1):
                        error = ask(ws, group, id).get("error", {})
                        row = rows[ws.id]
                        self.assertEqual(row["allowed"], error.get("code") != "forbidden", (action, group, row))
                        if not row["allowed"]:
                            self.assertEqual(row["reason"], error["message"])
        row, = self.explain("history", "--user", "nobody-here", "--group", "a")
        self.assertEqual((row["subject"], row["allowed"]), ("no token", False))


if __name__ == "__main__":
    unittest.main()
