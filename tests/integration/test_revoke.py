"""Credentials taken back: the connections concerned are gone by the time of the answer, and none comes in again."""

import os
import threading
import time
import unittest

import tokens
from client import Closed, Sse, WebSocket, request
from harness import AdminError, Daemon, wait_until
from test_auth import OPTIONS, bearer, negotiate, poll

ENDED = (4401, {"reason": "revoked", "reconnect": False})


def issued(user, ago=10, **claims):
    return tokens.token(user, iat=int(time.time()) - ago, **claims)


def newest(ws):
    """The data of the last event that came before the end, which must be by revocation."""
    last = 0
    try:
        while True:
            envelope = ws.receive()
            last = envelope["data"] if envelope["eventName"] == "n" else last
    except Closed as closed:
        assert closed.args[0] == 4401, closed
        return last


def status(daemon, token):
    return negotiate(daemon.port, bearer(token)).status


class Revoke(unittest.TestCase):
    def test_a_users_connections_end_on_every_worker_and_transport_and_whether_carried_or_not(self):
        with Daemon({**OPTIONS, "resume.window": "60s"}, workers=4) as daemon:
            token = issued("eve")
            carried = [WebSocket(daemon.port, headers=bearer(token)) for _ in range(12)]
            other = WebSocket(daemon.port, headers=bearer(issued("ann")))
            sse = Sse(daemon.port, headers=bearer(token))
            parked = WebSocket(daemon.port, headers=bearer(token))
            parked.drop()
            wait_until(lambda: any(c["state"] == "parked" for c in daemon.connections()), "a parked one")
            made = negotiate(daemon.port, bearer(token)).json()
            _, first = poll(daemon.port, bearer(token))
            polled = first[0]["data"]["connectionToken"]
            self.assertEqual(daemon.admin("revoke.user", user="eve"), {"disconnected": 16, "saved": False})
            self.assertEqual({c["user"] for c in daemon.connections()}, {"ann"})
            for ws in carried:
                self.assertEqual(ws.closing(), ENDED)
            self.assertEqual(sse.expect("rtc.close")["data"], ENDED[1])
            for secret in parked.token, polled:
                problem = request(daemon.port, "GET", "/rtc/poll", token=secret, wait=0)
                self.assertEqual((problem.status, problem.json()["reason"]), (401, "revoked"))
            self.assertEqual(WebSocket(daemon.port, token=made["connectionToken"]).response.status, 404)
            # Not by any way in.
            refused = negotiate(daemon.port, bearer(token))
            self.assertEqual((refused.status, refused.json()["code"], refused.json()["reason"]), (401, "unauthorized", "revoked"))
            self.assertEqual(WebSocket(daemon.port, access_token=token).response.status, 401)
            self.assertEqual(WebSocket(daemon.port, token=parked.token, received=0, access_token=token).response.status, 401)
            self.assertEqual(status(daemon, tokens.token("eve")), 401)         # it does not say when it was issued
            self.assertEqual(daemon.counter("credentials_revoked"), 4)
            self.assertNotIn("error", other.call("rtc.join", {"group": "g"}))
            other.drop()
            sse.close()

    def test_a_token_issued_afterwards_is_taken_also_where_an_ended_connection_was(self):
        with Daemon({**OPTIONS, "resume.window": "60s"}) as daemon:
            ws = WebSocket(daemon.port, headers=bearer(issued("eve")))
            ws.drop()
            wait_until(lambda: daemon.connections()[0]["state"] == "parked", "a parked one")
            daemon.admin("revoke.user", user="eve")
            before = daemon.admin("list.revocations")["rows"][0][2] // 1000

            def newer():
                now = int(time.time())
                return now > before and issued("eve", 0)
            fresh = wait_until(newer, "another second")
            self.assertEqual(status(daemon, fresh), 200)
            with WebSocket(daemon.port, token=ws.token, received=0, headers=bearer(fresh)) as back:
                self.assertEqual((back.welcome["data"]["userId"], back.welcome["data"]["resumed"]), ("eve", False))
                # The old one lengthens nothing.
                self.assertEqual(back.call("rtc.refresh", {"accessToken": issued("eve", lifetime=900)})["error"]["code"], "unauthorized")

    def test_who_issues_tokens_may_have_a_clock_that_is_ahead(self):
        with Daemon({**OPTIONS, "auth.leeway": "60s"}) as daemon:
            token = issued("eve", ago=-50)
            self.assertEqual(status(daemon, token), 200)
            daemon.admin("revoke.user", user="eve")
            self.assertEqual(status(daemon, token), 401)

    def test_one_token_by_its_id_or_by_itself(self):
        with Daemon(OPTIONS) as daemon:
            mine, other = issued("eve", jti="a"), issued("eve", jti="b")
            sockets = [WebSocket(daemon.port, headers=bearer(token)) for token in (mine, other, mine, other)]
            self.assertEqual(daemon.admin("revoke.token", token="a")["disconnected"], 2)
            self.assertEqual([status(daemon, token) for token in (mine, other, issued("eve"))], [401, 200, 200])
            explained = daemon.admin("explain.token", token=mine)
            self.assertEqual((explained["valid"], explained["reason"], explained["user"]), (False, "revoked", "eve"))
            result = daemon.rtcctl("revoke", "token", "-", input=other + "\n")
            self.assertIn("disconnected\t3", result.stdout)      # one of them negotiated above
            for ws in sockets:
                self.assertEqual(ws.closing(), ENDED)
            rows = {row[1]: row for row in daemon.admin("list.revocations")["rows"]}
            # Whoever shows the token itself lets the daemon forget it when it is over.
            self.assertIsNone(rows["a"][3])
            self.assertTrue(300_000 <= rows["b"][3] - time.time() * 1000 + 2000 <= 305_000, rows)
            self.assertNotIn(other, daemon.log())
            for token, words in ((issued("eve"), "no id"), (issued("eve", lifetime=-60), "not be taken anyway"), ("x" * 300, "neither")):
                result = daemon.rtcctl("revoke", "token", token, check=False)
                self.assertEqual(result.returncode, 65, result.stderr)
                self.assertIn(words, result.stderr)

    def test_a_token_that_was_replaced_by_another_ends_nothing(self):
        with Daemon(OPTIONS) as daemon, WebSocket(daemon.port, headers=bearer(issued("eve", jti="old"))) as ws:
            self.assertNotIn("error", ws.call("rtc.refresh", {"accessToken": issued("eve", jti="new", lifetime=900)}, id=1))
            self.assertEqual(daemon.admin("revoke.token", token="old")["disconnected"], 0)
            self.assertNotIn("error", ws.call("rtc.join", {"group": "g"}, id=2))
            self.assertEqual(daemon.admin("revoke.token", token="new")["disconnected"], 1)
            self.assertEqual(ws.closing(), ENDED)

    def test_lifted_over_listed_and_bounded(self):
        with Daemon({**OPTIONS, "auth.revocations": 3}) as daemon:
            token = issued("eve")
            daemon.rtcctl("revoke", "user", "eve", "--for", "1h")
            self.assertEqual(status(daemon, token), 401)
            kind, name, before, until = daemon.admin("list.revocations")["rows"][0]
            self.assertEqual((kind, name, until - before), ("user", "eve", 3600_000))
            daemon.rtcctl("lift", "revocation", "--user", "eve")
            self.assertEqual((daemon.admin("list.revocations")["rows"], status(daemon, token)), ([], 200))
            daemon.rtcctl("revoke", "user", "eve", "--for", "1s")
            self.assertEqual(status(daemon, token), 401)
            wait_until(lambda: status(daemon, token) == 200, "the end of its second")
            for name in "a", "b", "c", "a":
                daemon.admin("revoke.token", token=name)
            with self.assertRaises(AdminError) as error:
                daemon.admin("revoke.user", user="eve")
            self.assertIn("auth.revocations", str(error.exception))
            self.assertEqual(daemon.counter("revocations_refused"), 1)
            daemon.admin("lift.revocation", token="b")
            daemon.admin("revoke.user", user="eve")
            for data in {"user": "nobody"}, {"token": "b"}, {}, {"user": "eve", "token": "a"}:
                self.assertRaises(AdminError, daemon.admin, "lift.revocation", **data)
            for span in "0", "x", "1ms", "-1s":
                self.assertRaises(AdminError, daemon.admin, "revoke.user", user="eve", **{"for": span})
            self.assertRaises(AdminError, daemon.admin, "revoke.user", user="")
            self.assertRaises(AdminError, daemon.admin, "revoke.user", user="a\nb")
            self.assertRaises(AdminError, daemon.admin, "revoke.token", token="")

    def test_whoever_is_taken_on_his_word_is_refused_until_it_is_lifted(self):
        with Daemon({"connection.claimed-users": "true"}) as daemon, WebSocket(daemon.port, user="eve") as ws:
            self.assertEqual(daemon.admin("revoke.user", user="eve")["disconnected"], 1)
            self.assertEqual(ws.closing(), ENDED)
            self.assertEqual(WebSocket(daemon.port, user="eve").response.status, 401)
            daemon.admin("lift.revocation", user="eve")
            with WebSocket(daemon.port, user="eve"):
                pass

    def test_nothing_published_after_the_answer_reaches_whom_it_concerned_and_nobody_comes_in(self):
        """Publishers and connecting clients race with the command, many times over."""
        with Daemon({**OPTIONS, "limits.connections-per-address": "unlimited", "resume.window": "60s"}, workers=3) as daemon:
            for round_ in range(12):
                user = f"eve {round_}"
                token = issued(user)
                sockets = [WebSocket(daemon.port, headers=bearer(token), group="g") for _ in range(6)]
                published, stop, late = [0], threading.Event(), []

                def publish():
                    while not stop.is_set():
                        daemon.publish("n", published[0] + 1, group="g")
                        published[0] += 1

                def connect():
                    while not stop.is_set():
                        ws = WebSocket(daemon.port, headers=bearer(token), group="g")
                        if ws.response.status == 101:
                            late.append(ws)

                threads = [threading.Thread(target=run) for run in (publish, connect, connect)]
                for thread in threads:
                    thread.start()
                wait_until(lambda: published[0] > 3 and len(late) > 2, "a race")
                daemon.admin("revoke.user", user=user)
                # One may be under way by now; those after it begin after the answer.
                last = published[0] + 1
                self.assertEqual([c for c in daemon.connections() if c["user"] == user], [])
                wait_until(lambda: published[0] > last + 3, "more of them")
                self.assertEqual([c for c in daemon.connections() if c["user"] == user], [])
                stop.set()
                for thread in threads:
                    thread.join()
                for ws in sockets + late:
                    self.assertLessEqual(newest(ws), last)
                    ws.link.close()


class Kept(unittest.TestCase):
    def test_a_reload_and_a_restart_change_nothing(self):
        daemon = Daemon(OPTIONS, config="log:\n  core: info\n")
        state = os.path.join(daemon.directory.name, "state")
        os.mkdir(state, 0o700)
        daemon.environment["STATE_DIRECTORY"] = state
        eve, mallory = issued("eve"), issued("mallory", jti="its id \u00e4\n")
        with daemon:
            self.assertEqual(daemon.admin("revoke.user", user="eve"), {"disconnected": 0, "saved": True})
            daemon.admin("revoke.token", token="its id \u00e4\n")
            daemon.admin("revoke.user", user="soon over", **{"for": "1s"})
            daemon.admin("reload")
            self.assertEqual([status(daemon, token) for token in (eve, mallory, issued("ann"))], [401, 401, 200])
            rows = sorted(row for row in daemon.admin("list.revocations")["rows"] if row[1] != "soon over")
            # Not even where it could not say goodbye.
            daemon.process.kill()
            daemon.process.wait()
            wait_until(lambda: len(daemon_lines(state)) == 3, "what was written")
            daemon.start()
            self.assertEqual([status(daemon, token) for token in (eve, mallory, issued("ann"))], [401, 401, 200])
            self.assertEqual(sorted(row for row in daemon.admin("list.revocations")["rows"] if row[1] != "soon over"), rows)
            daemon.admin("lift.revocation", user="eve")
            daemon.stop()
            daemon.start()
            self.assertEqual([status(daemon, token) for token in (eve, mallory)], [200, 401])
            self.assertEqual(os.stat(os.path.join(state, "revocations")).st_mode & 0o777, 0o600)
            self.assertEqual(os.listdir(state), ["revocations"])

    def test_a_list_that_cannot_be_read_is_not_taken_for_an_empty_one(self):
        daemon = Daemon({"auth.revocations": 2})
        path = os.path.join(daemon.directory.name, "list")
        daemon.arguments += ["--set", f"auth.revocations-file={path}"]
        good = '{"user":"eve","before":1,"until":0}\n'
        for text, mode, words in ((good + "nonsense\n", 0o600, ":2: it is no JSON"), (good[:-1], 0o600, ":1: its end is missing"),
                                  (good * 2 + '{"user":"eve","token":"x","before":1,"until":0}\n', 0o600, ":3: it is no"),
                                  ('{"user":"","before":1,"until":0}\n', 0o600, ":1: its name"), ("\n" + good, 0o600, ":1: it is no"),
                                  (good.replace("1", "-1"), 0o600, ":1: it is no"), (good.replace("before", "befor"), 0o600, ":1: it is no"),
                                  ("".join(good.replace("eve", name) for name in "abc"), 0o600, "auth.revocations"), (good, 0o640, "0640")):
            with self.subTest(words):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                os.chmod(path, mode)
                with self.assertRaises(AssertionError) as error:
                    daemon.start()
                self.assertIn(words, str(error.exception))
                self.assertEqual(daemon.process.returncode, 78)

    def test_a_disk_that_is_full_costs_the_file_and_not_the_revocation(self):
        daemon = Daemon({**OPTIONS, "auth.revocations-file": "/proc/self/no/such/place"})
        with daemon:
            token = issued("eve")
            self.assertEqual(daemon.admin("revoke.user", user="eve"), {"disconnected": 0, "saved": False})
            self.assertEqual(status(daemon, token), 401)
            self.assertIn("cannot be written", daemon.log())


def daemon_lines(state):
    with open(os.path.join(state, "revocations"), encoding="utf-8") as file:
        return file.read().splitlines()


if __name__ == "__main__":
    unittest.main()
