"""Calls with an idempotency key are carried out once, however often they come."""

import json
import os
import tempfile
import threading
import unittest

from api import ApiTest
from client import Http, WebSocket, request
from harness import AdminError, wait_until


class Idempotency(ApiTest):
    options = {"limits.mailbox": 64}

    def setUp(self):
        self.group = self.id().rpartition(".")[2]

    def member(self):
        return WebSocket(self.daemon.port, group=self.group)

    def publish(self, key, data, level="operator", **more):
        return self.call("publish", {"group": self.group, "event": "n", "data": data, **more}, level, Idempotency_Key=key)

    def got(self, ws):
        """What came, until an envelope that is published now."""
        self.daemon.publish("end", group=self.group)
        values = []
        while True:
            envelope = ws.receive()
            if envelope["eventName"] == "end":
                return values
            if envelope["eventName"] == "n":
                values.append(envelope["data"])

    def test_the_second_time_is_answered_as_the_first_and_delivers_nothing(self):
        with self.member() as ws:
            before = self.daemon.counter("calls_repeated")
            first = self.publish("twice", 1)
            self.assertEqual((first.status, first.json()), (200, {"recipients": 1}))
            with self.member():
                again = self.publish("twice", 1)
            self.assertEqual((again.status, again.json()), (200, {"recipients": 1}))
            quoted = request(self.daemon.port, "POST", "/api/v1/publish", f' {{"group" : "{self.group}","event":"n",\n"data":1}}'.encode(),
                             self.headers("operator", Idempotency_Key='"twice"'))
            self.assertEqual(quoted.json(), {"recipients": 1})
            self.assertEqual(self.got(ws), [1])
            self.assertEqual(self.daemon.counter("calls_repeated"), before + 2)

    def test_the_same_key_for_something_else_is_refused(self):
        with self.member() as ws:
            self.publish("once", 1)
            self.assert_refused(self.publish("once", 2), 422, "bad-envelope", "something else")
            self.assert_refused(self.publish("once", 1, group="other"), 422, "bad-envelope")
            self.assert_refused(self.call("clear.history", {"group": self.group}, "operator", Idempotency_Key="once"), 422, "bad-envelope")
            self.assertEqual(self.got(ws), [1])

    def test_keys_belong_to_who_uses_them(self):
        with self.member() as ws:
            self.publish("mine", 1, level="admin")
            self.publish("mine", 2, level="other")
            self.daemon.publish("n", 3, group=self.group, idempotencyKey="mine")
            self.assertEqual(self.got(ws), [1, 2, 3])

    def test_what_was_refused_may_be_tried_again(self):
        self.assert_refused(self.call("publish", {"connection": "nobody", "event": "n"}, Idempotency_Key="refused"), 404, "not-found")
        self.assert_refused(self.publish("refused", 1, level="viewer"), 403, "forbidden")
        with self.member() as ws:
            self.assertEqual(self.publish("refused", 1, level="admin").status, 200)
            self.assertEqual(self.got(ws), [1])

    def test_keys_are_short_and_visible(self):
        for key in ("", " ", '""', "a b", "k" * 256, '"a', "ä"):
            with self.subTest(key=key):
                self.assert_refused(self.publish(key, 1), 400, "bad-request", "Idempotency-Key")
        for key in ("", " ", "a b", "k" * 256, "ä", 7):
            with self.subTest(key=key), self.assertRaises(AdminError) as refused:
                self.daemon.publish("n", group=self.group, idempotencyKey=key)
            self.assertEqual(refused.exception.code, "bad-envelope")
        self.assertEqual(self.publish("k" * 255, 1).status, 200)
        with Http(self.daemon.port) as http:
            body = b'{"all":true,"event":"n"}'
            http.link.sendall(b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\r\nidempotency-key: a\r\n"
                              + f"Authorization: Bearer {self.keys['admin']}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            self.assert_refused(http.reader.response(), 400, "bad-request", "Idempotency-Key")
        self.assert_refused(self.publish("a", 1, idempotencyKey="b"), 400, "bad-envelope", "once")

    def test_a_batch_is_carried_out_once(self):
        with self.member() as ws:
            bodies = [{"group": self.group, "event": "n", "data": number} for number in range(20)] + [{"group": self.group}]
            first = self.call("publish", bodies, Idempotency_Key="batch")
            again = self.call("publish", bodies, Idempotency_Key="batch")
            self.assertEqual((first.status, first.body), (again.status, again.body))
            self.assert_refused(self.call("publish", bodies[1:], Idempotency_Key="batch"), 422, "bad-envelope")
            self.assert_refused(self.call("publish", bodies[0], Idempotency_Key="batch"), 422, "bad-envelope")
            self.assertEqual(self.got(ws), list(range(20)))
            refused = [{"group": self.group}] * 3
            self.call("publish", refused, Idempotency_Key="none")
            self.assertEqual(self.call("publish", bodies[:1], Idempotency_Key="none").json(), [{"data": {"recipients": 1}}])
            self.assertEqual(self.got(ws), [0])

    def test_what_met_back_pressure_is_done_by_the_next_try(self):
        """More than a mailbox holds at once, each with a key of its own: what was done is not done again, and the rest is."""
        with self.member() as ws:
            bodies = [{"group": self.group, "event": "n", "data": number, "idempotencyKey": f"p{number}"} for number in range(1000)]
            missed = 0

            def all_done():
                nonlocal missed
                answers = self.call("publish", bodies).json()
                failed = [answer["error"]["code"] for answer in answers if "error" in answer]
                self.assertEqual(set(failed) - {"rate-limited"}, set())
                missed += len(failed)
                return not failed
            links = [Http(self.daemon.port) for _ in range(2)]
            with self.daemon.paused():
                for link in links:
                    link.send("POST", "/api/v1/publish", json.dumps(bodies).encode(), self.headers())
            for link in links:
                self.assertEqual(link.reader.response().status, 200)
                link.close()
            wait_until(all_done, "all to be published")
            self.assertEqual(sorted(self.got(ws)), list(range(1000)))

    def test_both_of_two_at_once_are_one(self):
        with self.member() as ws:
            statuses = []

            def publish():
                statuses.append(self.publish("race", 7).status)
            threads = [threading.Thread(target=publish) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(set(statuses) - {200, 409}, set())
            self.assertIn(200, statuses)
            self.assertEqual(self.got(ws), [7])

    def test_what_is_under_way_is_said_to_be(self):
        """What asks every worker takes a while: those that come meanwhile are told so, and later ones its answer."""
        with self.member():
            body, headers = json.dumps({"user": "nobody-at-all"}).encode(), self.headers(Idempotency_Key="under-way")
            links = [Http(self.daemon.port) for _ in range(30)]
            with self.daemon.paused():
                for link in links:
                    link.send("POST", "/api/v1/revoke.user", body, headers)
            answers = [link.reader.response() for link in links]
            for link in links:
                link.close()
            done = [answer.body for answer in answers if answer.status == 200]
            self.assertEqual({answer.status for answer in answers} - {200, 409}, set())
            self.assertEqual(len(set(done)), 1)
            for answer in answers:
                if answer.status == 409:
                    self.assert_refused(answer, 409, "rate-limited", "under way")
            self.assertEqual(self.call("revoke.user", {"user": "nobody-at-all"}, Idempotency_Key="under-way").body, done[0])
            self.assertEqual(self.daemon.log().count("revocation of user nobody-at-all"), 1)

    def test_reading_needs_no_key_and_keeps_none(self):
        for user in ("a", "b"):
            self.assertEqual(self.call("list.users", {"limit": 1 if user == "a" else 2}, Idempotency_Key="reading").status, 200)

    def test_from_the_command_line(self):
        with self.member() as ws:
            for _ in range(2):
                told = self.daemon.rtcctl("-o", "json", "publish", "--group", self.group, "--idempotency-key", "shell", "n", "1").stdout
                self.assertEqual(json.loads(told), {"recipients": 1})
            self.assertEqual(self.got(ws), [1])
            other = self.daemon.rtcctl("publish", "--group", self.group, "--idempotency-key", "shell", "n", "2", check=False)
            self.assertEqual((other.returncode, "something else" in other.stderr), (65, True), other.stderr)
            lines = "".join(json.dumps({"eventName": "n", "data": number}) + "\n" for number in range(50))
            for part in (lines[:lines.index("\n", 400) + 1], lines):
                self.daemon.rtcctl("publish", "--group", self.group, "--stream", "--idempotency-key", "stream", input=part)
            self.assertEqual(self.got(ws), list(range(50)))


class Busy(ApiTest):
    options = {"api.idempotency-keys": 100}

    def test_a_busy_group_leaves_the_keys_of_others_alone(self):
        with WebSocket(self.daemon.port, group="quiet") as ws:
            def publish():
                answer = self.call("publish", {"group": "quiet", "event": "n"}, "operator", Idempotency_Key="quiet")
                self.assertEqual((answer.status, answer.json()), (200, {"recipients": 1}))
            publish()
            bodies = [{"group": "busy", "event": "n", "idempotencyKey": f"busy{number}"} for number in range(500)]
            self.assertEqual(self.call("publish", bodies, "operator").json(), [{"data": {"recipients": 0}}] * 500)
            self.assertEqual(self.daemon.counter("keys_forgotten"), 401)
            publish()
            self.assertEqual(self.daemon.counter("calls_repeated"), 1)
            ws.expect("n")


class OnDisk(ApiTest):
    """Who publishes to a group whose history is on the disk is answered when it is there."""

    config = 'groups: [{match: "**", history-envelopes: 1000}]\n'

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="rtcd-test-")
        cls.options = {"history.store": "disk", "history.path": os.path.join(cls.folder.name, "history")}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def stored(self, group):
        return [row[3] for row in self.call("history", {"group": group}, "viewer").json()["rows"]]

    def test_the_second_time_is_answered_as_the_first(self):
        for number in range(20):
            for _ in range(3):
                answer = self.call("publish", {"group": "twice", "event": "n", "data": number}, "operator", Idempotency_Key=f"disk-{number}")
                self.assertEqual((answer.status, answer.json()), (200, {"recipients": 0}))
        bodies = [{"group": "twice", "event": "n", "data": number, "idempotencyKey": f"disk-{number}"} for number in range(20, 60)]
        for _ in range(2):
            self.assertEqual(self.call("publish", bodies, "operator").json(), [{"data": {"recipients": 0}}] * 40)
        self.assertEqual(self.stored("twice"), list(range(60)))

    def test_a_history_is_cleared_once(self):
        self.call("publish", {"group": "cleared", "event": "n", "data": 1})
        for _ in range(2):
            self.assertEqual(self.call("clear.history", {"group": "cleared"}, "operator", Idempotency_Key="clear").status, 204)
            self.call("publish", {"group": "cleared", "event": "n", "data": 2})
        self.assertEqual(self.stored("cleared"), [2, 2])

    def test_what_was_answered_is_there_after_a_crash(self):
        for number in range(10):
            key = {"Idempotency_Key": f"crash-{number}"} if number % 2 else {}
            self.assertEqual(self.call("publish", {"group": "crash", "event": "n", "data": number}, "operator", **key).status, 200)
            self.daemon.process.kill()
            self.daemon.process.wait()
            self.daemon.start()
            self.assertEqual(self.stored("crash"), list(range(number + 1)))


class Window(ApiTest):
    options = {"api.idempotency-window": "100ms"}

    def test_after_the_window_it_is_a_new_call(self):
        with WebSocket(self.daemon.port, group="g") as ws:
            def repeated():
                self.assertEqual(self.call("publish", {"group": "g", "event": "n"}, Idempotency_Key="k").status, 200)
                return self.daemon.counter("messages_published") >= 2
            wait_until(repeated, "the window to be over")
            ws.expect("n")
            ws.expect("n")

    def test_a_restart_forgets(self):
        for _ in range(2):
            self.assertEqual(self.call("publish", {"group": "g", "event": "n"}, Idempotency_Key="k2").status, 200)
            self.assertEqual(self.daemon.counter("calls_repeated"), 0)
            self.daemon.stop()
            self.daemon.start()


if __name__ == "__main__":
    unittest.main()
