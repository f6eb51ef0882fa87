"""Access tokens on every transport: who gets in, as whom, for how long, and what is said to whom who does not."""

import http.server
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import tokens
from client import Http, Sse, WebSocket, request
from harness import BUILD, AdminError, Daemon, wait_until

FOLDER = tempfile.TemporaryDirectory(prefix="rtcd-test-keys-")
KEYS = tokens.write_keys(FOLDER.name)
OPTIONS = {"connection.anonymous": "false", "auth.keys": ",".join(KEYS), "auth.leeway": "0", "log.net": "debug", "log.core": "debug",
           "log.admin": "debug", "publish.to-group": "anyone"}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def negotiate(port, headers=None, **query):
    return request(port, "POST", "/rtc/negotiate", headers=headers, **query)


def poll(port, headers=None, **query):
    """(status, envelopes or problem)."""
    response = request(port, "GET", "/rtc/poll", headers=headers, wait=0, **query)
    return response.status, response.json()["messages"] if response.status == 200 else response.json()


def open_all(port, token, **query):
    """(name, welcome, client to close) by each transport, the token where it belongs."""
    for headers, more in (bearer(token), {}), ({}, {"access_token": token}):
        for protocol in "json", "msgpack":
            ws = WebSocket(port, protocol, headers=headers, **more, **query)
            yield f"websocket {protocol}", ws.welcome, ws.link
        sse = Sse(port, headers=headers, **more, **query)
        yield "sse", sse.welcome if sse.status == 200 else None, sse
    status, messages = poll(port, bearer(token), **query)
    yield "poll", messages[0] if status == 200 else None, None


class AuthTest(unittest.TestCase):
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({**OPTIONS, **cls.options})
        cls.daemon.start()
        cls.port = cls.daemon.port

    @classmethod
    def tearDownClass(cls):
        log = cls.daemon.log()
        cls.daemon.__exit__(None, None, None)
        # No token, nor a part of one, nor a secret.
        assert "eyJ" not in log, re.findall(r".*eyJ.*", log)
        assert tokens.private("secret").decode() not in log

    def refused(self, response, status, code, detail="", error='Bearer error="invalid_token"'):
        self.assertEqual(response.status, status, response.body)
        self.assertEqual(response.headers["content-type"], "application/problem+json")
        problem = response.json()
        self.assertEqual(problem["code"], code, problem)
        self.assertIn(detail, problem["detail"])
        self.assertEqual(response.headers.get("www-authenticate"), error if status == 401 else None)
        return problem

    def user_of(self, id):
        try:
            return self.daemon.admin("show.connection", connection=id)["user"]
        except AdminError:
            return None

    def gone(self, id):
        wait_until(lambda: self.user_of(id) is None, "the end of a connection")


class Who(AuthTest):
    def test_a_token_says_who_it_is_on_every_transport(self):
        for algorithm in tokens.ALGORITHMS:
            user = f"alice by {algorithm}"
            for name, welcome, client in open_all(self.port, tokens.token(user, algorithm)):
                with self.subTest(algorithm=algorithm, transport=name):
                    self.assertEqual(welcome["data"]["userId"], user)
                    self.assertLess(welcome["data"]["expiresIn"], 300_001)
                    self.assertGreater(welcome["data"]["expiresIn"], 290_000)
                    self.assertEqual(self.user_of(welcome["data"]["connectionId"]), user)
                    if client:
                        client.close()

    def test_a_negotiated_connection_is_its_users(self):
        answer = negotiate(self.port, bearer(tokens.token("bob"))).json()
        with WebSocket(self.port, token=answer["connectionToken"]) as ws:
            self.assertEqual(ws.welcome["data"]["userId"], "bob")
            self.assertEqual(ws.id, answer["connectionId"])

    def test_a_connection_shows_how_long_it_may_stay(self):
        with WebSocket(self.port, access_token=tokens.token("bob", jti="an-id")) as ws:
            shown = self.daemon.admin("show.connection", connection=ws.id)
            self.assertEqual(shown["tokenId"], "an-id")
            self.assertTrue(290_000 < shown["expiresInMs"] <= 300_000, shown)

    def test_without_a_token_nobody_gets_in(self):
        for response in (negotiate(self.port), WebSocket(self.port).response, request(self.port, "GET", "/rtc/poll", wait=0),
                         request(self.port, "GET", "/rtc/sse")):
            self.refused(response, 401, "unauthorized", "credentials", "Bearer")

    def test_no_bad_token_gets_in_and_each_is_told_why(self):
        seen = 0
        with Http(self.port) as http:
            for what, token, detail in tokens.bad():
                if not token or re.search(r"[^!-~]", token) or len(token) > 8500:
                    continue
                detail = re.sub(r"(expired|not valid before|issued) \d+ s.*", r"\1", detail)
                with self.subTest(what):
                    response = http.request("POST", "/rtc/negotiate", headers=bearer(token))
                    expired = detail.startswith("expired")
                    problem = self.refused(response, 401, "expired" if expired else "unauthorized", detail)
                    self.assertNotIn(token.split(".")[-1] or "\0", json.dumps(problem))
                    seen += 1
        self.assertGreater(seen, 150)
        self.assertGreaterEqual(self.daemon.counter("tokens_refused"), seen)

    def test_every_good_token_gets_in(self):
        for what, token, user in tokens.good():
            if "leeway" in what:
                continue
            with self.subTest(what), WebSocket(self.port, access_token=token) as ws:
                self.assertEqual(ws.welcome["data"]["userId"], user)

    def test_a_bad_token_is_refused_by_every_transport(self):
        for what, token, code in (("expired", tokens.token(lifetime=-60), "expired"), ("stranger", tokens.token(key="other"), "unauthorized")):
            for headers, query in (bearer(token), {}), ({}, {"access_token": token}):
                with self.subTest(what, headers=bool(headers)):
                    self.refused(WebSocket(self.port, headers=headers, **query).response, 401, code)
                    self.refused(request(self.port, "GET", "/rtc/sse", headers=headers, **query), 401, code)
            self.refused(request(self.port, "GET", "/rtc/poll", headers=bearer(token), wait=0), 401, code)

    def test_the_query_is_for_those_who_can_send_no_header(self):
        token = tokens.token()
        for method, path in ("POST", "/rtc/negotiate"), ("GET", "/rtc/poll"):
            problem = self.refused(request(self.port, method, path, access_token=token), 400, "bad-request", "Authorization: Bearer")
            self.assertNotIn(token, json.dumps(problem))

    def test_one_token_and_in_one_place(self):
        token = tokens.token()
        self.refused(WebSocket(self.port, headers=bearer(token), access_token=token).response, 400, "bad-request", "one access token")
        self.refused(request(self.port, "GET", "/rtc/sse", access_token=[token, token]), 400, "bad-request", "one access token")
        with Http(self.port) as http:
            http.link.sendall(f"POST /rtc/negotiate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                              f"Authorization: Bearer {token}\r\n\r\n".encode())
            self.assertEqual(http.reader.response().status, 400)

    def test_only_bearer_tokens(self):
        for value in "Basic YTpi", "Bearer", "Bearer ", "bearer", "Bearertoken", "", "Digest a=b":
            with self.subTest(value):
                self.refused(negotiate(self.port, {"Authorization": value}), 401, "unauthorized")
        self.refused(WebSocket(self.port, access_token="").response, 401, "unauthorized")
        self.refused(request(self.port, "GET", "/rtc/sse?access_token=%zz"), 401, "unauthorized", "badly encoded")
        self.assertEqual(negotiate(self.port, {"Authorization": f"bEaReR   {tokens.token()}"}).status, 200)

    def test_a_claimed_user_must_be_the_tokens(self):
        self.refused(negotiate(self.port, bearer(tokens.token("alice")), user="root"), 403, "forbidden")
        self.assertEqual(negotiate(self.port, bearer(tokens.token("alice")), user="alice").status, 200)


class Owner(AuthTest):
    """A connection's own secret, shown together with an access token."""

    def test_another_users_token_harms_nobody(self):
        mallory = tokens.token("mallory")
        with WebSocket(self.port, headers=bearer(tokens.token("alice"))) as ws:
            for what, token, status, code in (("another's", mallory, 403, "forbidden"), ("bad", mallory[:-8] + "AAAAAAAA", 401, "unauthorized"),
                                              ("expired", tokens.token("alice", lifetime=-5), 401, "expired")):
                with self.subTest(what):
                    headers = bearer(token)
                    self.refused(WebSocket(self.port, headers=headers, token=ws.token).response, status, code)
                    self.refused(WebSocket(self.port, token=ws.token, access_token=token).response, status, code)
                    self.refused(request(self.port, "GET", "/rtc/sse", headers=headers, token=ws.token), status, code)
                    self.refused(request(self.port, "GET", "/rtc/poll", headers=headers, token=ws.token, wait=0), status, code)
                    self.refused(request(self.port, "POST", "/rtc/send", b'{"eventName":"rtc.leave"}', headers, token=ws.token), status, code)
                    self.refused(request(self.port, "DELETE", "/rtc/connection", headers=headers, token=ws.token), status, code)
            self.assertEqual(ws.call("rtc.join", {"group": "g"})["data"]["group"], "g")
            self.assertEqual(self.user_of(ws.id), "alice")

    def test_the_users_own_token_changes_nothing(self):
        token = tokens.token("alice")
        ws = WebSocket(self.port, headers=bearer(token), group="own")
        ws.drop()
        wait_until(lambda: any(c["id"] == ws.id and c["state"] == "parked" for c in self.daemon.connections()), "parked")
        for again in token, tokens.token("alice", "ES256", lifetime=100), tokens.token("alice", lifetime=900):
            with WebSocket(self.port, token=ws.token, received=0, access_token=again) as back:
                self.assertEqual((back.id, back.welcome["data"]["resumed"]), (ws.id, True))
        sent = request(self.port, "POST", "/rtc/send", b'{"eventName":"rtc.join","data":{"group":"x"}}', bearer(token), token=ws.token, first=1)
        self.assertEqual((sent.status, sent.json()), (200, {"received": 1}))
        self.assertEqual(request(self.port, "DELETE", "/rtc/connection", headers=bearer(token), token=ws.token).status, 204)

    def test_a_newer_token_on_a_request_lengthens(self):
        with Sse(self.port, headers=bearer(tokens.token("alice", lifetime=60))) as sse:
            # What it has from then on ends later than the second one, which therefore changes nothing.
            body = json.dumps({"eventName": "rtc.refresh", "id": 9, "data": {"accessToken": tokens.token("alice", lifetime=100)}})
            response = request(self.port, "POST", "/rtc/send", body.encode(), bearer(tokens.token("alice", lifetime=600)), token=sse.token)
            self.assertEqual(response.status, 200)
            self.assertGreater(sse.expect("rtc.reply")["data"]["expiresIn"], 500_000)


class Expiry(AuthTest):
    options = {"resume.window": "20s", "transports.poll-wait": "20s"}

    def lasting(self, user="eve"):
        """A token over in one to two seconds."""
        return tokens.token(user, lifetime=2)

    def test_a_websocket_ends_with_its_token(self):
        before = self.daemon.counter("connections_expired")
        with WebSocket(self.port, headers=bearer(self.lasting())) as ws:
            self.assertEqual(ws.closing(), (4401, {"reason": "expired", "reconnect": True}))
        self.gone(ws.id)
        self.assertEqual(self.daemon.counter("connections_expired"), before + 1)

    def test_an_event_stream_ends_with_its_token(self):
        with Sse(self.port, access_token=self.lasting()) as sse:
            self.assertEqual(sse.expect("rtc.close")["data"], {"reason": "expired", "reconnect": True})

    def test_a_waiting_poll_ends_with_its_token(self):
        token = self.lasting()
        _, first = poll(self.port, bearer(token))
        secret = first[0]["data"]["connectionToken"]
        response = request(self.port, "GET", "/rtc/poll", token=secret, received=0, wait=20000)
        self.assertEqual(response.json()["messages"][0]["data"], {"reason": "expired", "reconnect": True})

    def test_a_parked_connection_ends_with_its_token_and_says_so(self):
        token = self.lasting()
        ws = WebSocket(self.port, headers=bearer(token), group="kept")
        ws.drop()
        self.gone(ws.id)
        for response in (WebSocket(self.port, token=ws.token, received=0).response,
                         WebSocket(self.port, token=ws.token, received=0, access_token=token).response,
                         request(self.port, "GET", "/rtc/poll", token=ws.token, wait=0),
                         request(self.port, "POST", "/rtc/send", b"[]", token=ws.token)):
            self.refused(response, 401, "expired")
        with WebSocket(self.port, token=ws.token, received=0, headers=bearer(tokens.token("eve"))) as back:
            self.assertFalse(back.welcome["data"]["resumed"])
            self.assertNotEqual(back.id, ws.id)

    def test_a_negotiated_connection_that_nobody_opened_ends_too(self):
        answer = negotiate(self.port, bearer(self.lasting())).json()
        self.gone(answer["connectionId"])
        self.assertEqual(WebSocket(self.port, token=answer["connectionToken"]).response.status, 404)

    def test_refresh_keeps_a_connection(self):
        old = self.lasting("fred")
        with WebSocket(self.port, headers=bearer(old)) as kept, WebSocket(self.port, headers=bearer(old)) as canary, \
                WebSocket(self.port, "msgpack", headers=bearer(old)) as packed:
            for ws in kept, packed:
                reply = ws.call("rtc.refresh", {"accessToken": tokens.token("fred", "EdDSA", lifetime=500)})
                self.assertGreater(reply["data"]["expiresIn"], 490_000)
            self.assertEqual(canary.closing()[0], 4401)
            for ws in kept, packed:
                self.assertEqual(ws.call("rtc.join", {"group": "g"}, id=2)["data"]["group"], "g")

    def test_refresh_on_a_stream_and_a_poll(self):
        old, new = self.lasting("fred"), tokens.token("fred", lifetime=500)
        body = json.dumps({"eventName": "rtc.refresh", "id": 1, "data": {"accessToken": new}}).encode()
        with Sse(self.port, headers=bearer(old)) as sse, WebSocket(self.port, headers=bearer(old)) as canary:
            _, first = poll(self.port, bearer(old))
            secret = first[0]["data"]["connectionToken"]
            for token in sse.token, secret:
                self.assertEqual(request(self.port, "POST", "/rtc/send", body, token=token).status, 200)
            self.assertGreater(sse.expect("rtc.reply")["data"]["expiresIn"], 490_000)
            self.assertEqual(canary.closing()[0], 4401)
            status, messages = poll(self.port, token=secret, received=0)
            self.assertEqual((status, messages[0]["eventName"]), (200, "rtc.reply"))

    def test_refresh_that_does_not_count(self):
        with WebSocket(self.port, headers=bearer(tokens.token("gina", lifetime=3))) as ws:
            for id, (what, data, code) in enumerate([
                    ("another user", {"accessToken": tokens.token("harry")}, "forbidden"),
                    ("bad", {"accessToken": tokens.token("gina", key="other")}, "unauthorized"),
                    ("expired", {"accessToken": tokens.token("gina", lifetime=-9)}, "expired"),
                    ("none", {}, "bad-envelope"), ("number", {"accessToken": 5}, "bad-envelope"), ("empty", {"accessToken": ""}, "unauthorized"),
                    ("null", None, "bad-envelope"), ("long", {"accessToken": "a.b." + "c" * 9000}, "unauthorized")], 1):
                with self.subTest(what):
                    reply = ws.call("rtc.refresh", data, id=id)
                    self.assertEqual(reply["error"]["code"], code)
                    self.assertNotIn("eyJ", reply["error"]["message"])
            self.assertEqual(ws.closing(), (4401, {"reason": "expired", "reconnect": True}))

    def test_many_end_in_the_order_of_their_tokens(self):
        count = 200
        now = time.time()
        links = [(n % 3, WebSocket(self.port, access_token=tokens.token("many", now=now, lifetime=2 + n % 3))) for n in range(count)]
        ended = []
        for lifetime, ws in sorted(links, key=lambda link: link[0]):
            self.assertEqual(ws.closing()[0], 4401)
            ended.append((lifetime, time.time()))
            ws.link.close()
        for lifetime, at in ended:
            self.assertGreaterEqual(at, int(now) + 2 + lifetime)
        self.assertLess(ended[-1][1], int(now) + 2 + 2 + 5)


class Anonymous(AuthTest):
    options = {"connection.anonymous": "true"}

    def test_a_switch_lets_in_who_shows_nothing_and_nobody_who_shows_nonsense(self):
        with WebSocket(self.port) as ws:
            self.assertIsNone(ws.welcome["data"]["userId"])
            self.assertNotIn("expiresIn", ws.welcome["data"])
            self.assertEqual(ws.call("rtc.refresh", {"accessToken": tokens.token()})["error"]["code"], "forbidden")
            self.refused(request(self.port, "POST", "/rtc/send", b"[]", bearer(tokens.token()), token=ws.token), 403, "forbidden")
        for token in tokens.token(key="other"), "x", tokens.token(lifetime=-9):
            self.assertEqual(WebSocket(self.port, access_token=token).response.status, 401)
            self.assertEqual(negotiate(self.port, bearer(token)).status, 401)
        with WebSocket(self.port, access_token=tokens.token("ann")) as ws:
            self.assertEqual(ws.welcome["data"]["userId"], "ann")


class Rules(unittest.TestCase):
    def test_issuers_audiences_and_another_claim_for_the_user(self):
        options = {**OPTIONS, "auth.audiences": "rtc,chat", "auth.user-claim": "email", "auth.require-exp": "false", "auth.leeway": "100s",
                   "auth.keys": f"{FOLDER.name}/secret alg=HS256 issuer=https://one.example,{FOLDER.name}/ec.pem",
                   "auth.issuers": "https://two.example", "auth.query-token": "false"}
        with Daemon(options) as daemon:
            def status(algorithm, issuer, **claims):
                token = tokens.token(None, algorithm, iss=issuer, **{"aud": "rtc", "email": "a@b", **claims})
                return negotiate(daemon.port, bearer(token)).status
            self.assertEqual(status("HS256", "https://one.example"), 200)
            self.assertEqual(status("ES256", "https://two.example", aud=["x", "chat"]), 200)
            self.assertEqual(status("HS256", "https://two.example"), 401)
            self.assertEqual(status("ES256", "https://one.example"), 401)
            self.assertEqual(status("ES256", None), 401)
            self.assertEqual(status("HS256", "https://one.example", aud="else"), 401)
            self.assertEqual(status("HS256", "https://one.example", email=None), 401)
            self.assertEqual(status("HS256", "https://one.example", exp=None), 200)
            self.assertEqual(status("HS256", "https://one.example", exp=int(time.time()) - 50), 200)
            token = tokens.token(None, iss="https://one.example", aud="rtc", email="a@b")
            self.assertEqual(WebSocket(daemon.port, access_token=token).response.status, 400)
            with WebSocket(daemon.port, headers=bearer(token)) as ws:
                self.assertEqual(ws.welcome["data"]["userId"], "a@b")

    def test_a_token_without_end_stays_until_one_with_an_end(self):
        with Daemon({**OPTIONS, "auth.require-exp": "false"}) as daemon:
            with WebSocket(daemon.port, headers=bearer(tokens.token(exp=None))) as ws:
                self.assertIsNone(ws.welcome["data"]["expiresIn"])
                self.assertIsNone(ws.call("rtc.refresh", {"accessToken": tokens.token()})["data"]["expiresIn"])


class Keys(unittest.TestCase):
    def write(self, name, data, mode=0o600):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        return path

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rtcd-test-keys-")

    def tearDown(self):
        self.folder.cleanup()

    def config(self, *sources):
        return "auth:\n  keys:\n" + "".join(f"    - {source}\n" for source in sources)

    def test_keys_change_by_a_reload_whole_or_not_at_all(self):
        old = self.write("old.pem", tokens.public_pem("ec"))
        new = self.write("new.pem", tokens.public_pem("ec-new"))
        options = {"connection.anonymous": "false"}
        with Daemon(options, config=self.config(old)) as daemon:
            def statuses():
                return [negotiate(daemon.port, bearer(tokens.token("u", "ES256", key))).status for key in ("ec", "ec-new")]
            self.assertEqual(statuses(), [200, 401])
            kept = WebSocket(daemon.port, access_token=tokens.token("u", "ES256"))
            daemon.write_config(self.config(old, new))
            daemon.admin("reload")
            wait_until(lambda: statuses() == [200, 200], "both keys")
            # Half a file: nothing changes.
            self.write("new.pem", tokens.public_pem("ec-new")[:60])
            daemon.write_config(self.config(new))
            with self.assertRaises(AdminError) as error:
                daemon.admin("reload")
            self.assertIn(new, str(error.exception))
            self.assertEqual(statuses(), [200, 200])
            os.unlink(new)
            self.assertRaises(AdminError, daemon.admin, "reload")
            self.assertEqual(statuses(), [200, 200])
            # The same name, another key: a reload reads files again.
            self.write("new.pem", tokens.public_pem("ec-new"))
            daemon.admin("reload")
            wait_until(lambda: statuses() == [401, 200], "the new key alone")
            self.assertEqual(kept.closing(), (4401, {"reason": "key-removed", "reconnect": True}))
            kept.link.close()

    def run_daemon(self, *arguments):
        return subprocess.run([os.path.join(BUILD, "daemon", "rtcd"), "--no-config", *arguments], capture_output=True, text=True,
                              check=False, timeout=30)

    def test_a_secret_that_others_can_read_does_not_start(self):
        for name, data, alg in (("secret", tokens.private("secret"), " alg=HS256"), ("private.pem", tokens.private_pem("ec"), ""),
                                ("keys.json", json.dumps({"keys": [tokens.jwk("secret", alg="HS256")]}).encode(), "")):
            for mode in 0o640, 0o604, 0o644:
                path = self.write(name, data, mode)
                for more in [], ["--check"]:
                    result = self.run_daemon("--set", f"auth.keys={path}{alg}", *more)
                    self.assertEqual(result.returncode, 78, result.stderr)
                    self.assertIn(path, result.stderr)
                    self.assertIn(f"{mode:04o}", result.stderr)
                    self.assertNotIn(tokens.private("secret").decode(), result.stderr + result.stdout)

    def test_what_is_no_key_does_not_start(self):
        weak = self.write("weak.pem", tokens.public_pem("rsa1024"))
        short = self.write("short", b"too short a secret\n")
        public = self.write("public.pem", tokens.public_pem("rsa"))
        for source, sentence in ((weak, "1024 bits"), (f"{short} alg=HS256", "18 bytes"), (f"{public} alg=HS256", "for RS256, not for HS256"),
                                 (short, "neither PEM nor a JWK"), ("/does/not/exist", "No such file"), ("credential:x", "LoadCredential"),
                                 ("relative.pem", "absolute path"), (f"{public} alg=RS512", "HS256, RS256")):
            result = self.run_daemon("--set", f"auth.keys={source}", "--check")
            self.assertEqual(result.returncode, 78, result.stderr)
            self.assertIn(sentence, result.stderr)

    def test_a_systemd_credential(self):
        self.write("token-secret", tokens.private("secret"), 0o440)
        options = {"auth.keys": "credential:token-secret alg=HS256", "connection.anonymous": "false"}
        with Daemon(options, environment={"CREDENTIALS_DIRECTORY": self.folder.name}) as daemon:
            self.assertEqual(negotiate(daemon.port, bearer(tokens.token())).status, 200)


class KeyServer:
    """A URL with a JWK set, which changes, breaks and counts."""

    def __init__(self):
        self.asked, self.status, self.body = 0, 200, b""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", len(outer.body))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def has(self, *keys):
        self.body = json.dumps({"keys": list(keys)}).encode()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


class Urls(unittest.TestCase):
    def status(self, key, algorithm="ES256", kid=None, **claims):
        token = tokens.token("u", algorithm, key, headers={"kid": kid} if kid else None, **claims)
        return negotiate(self.daemon.port, bearer(token)).status

    def until(self, expected, *arguments, **more):
        wait_until(lambda: self.status(*arguments, **more) == expected, f"{expected} for {arguments}")

    def test_keys_of_a_url(self):
        with KeyServer() as server:
            server.has(tokens.jwk("ec", "one"))
            options = {"auth.keys": f"{server.url} issuer=https://i.example,{FOLDER.name}/ed.pem", "auth.url-retry": "1s",
                       "connection.anonymous": "false"}
            with Daemon(options) as self.daemon:
                issuer = {"iss": "https://i.example"}
                self.until(200, "ec", kid="one", **issuer)
                self.assertEqual(self.status("ec", kid="one"), 401)        # a key is bound to its issuer
                self.assertEqual(self.status("ed", "EdDSA"), 200)
                # A new key is found out about by the first token that names it; at a limited rate, however many come.
                server.has(tokens.jwk("ec", "one"), tokens.jwk("ec-new", "two"))
                before, started = server.asked, time.monotonic()
                for n in range(200):
                    self.status("ec-x", kid=f"k{n}", **issuer)
                self.until(200, "ec-new", kid="two", **issuer)
                self.assertEqual(self.status("ec", kid="one", **issuer), 200)
                self.assertLessEqual(server.asked - before, time.monotonic() - started + 1)
                # The old one goes.
                server.has(tokens.jwk("ec-new", "two"))
                wait_until(lambda: self.status("ec-x", **issuer) == self.status("ec", kid="one", **issuer) == 401, "the old key's end")
                self.assertEqual(self.status("ec-new", kid="two", **issuer), 200)
                # What the URL says wrong, or not at all, changes nothing.
                for status, body in ((500, b"{}"), (200, b"<html>"), (200, b'{"keys":[]}'), (302, b""), (200, b"x" * 300000),
                                     (200, json.dumps(tokens.jwk("secret", "s", "HS256")).encode()),
                                     (200, json.dumps(tokens.jwk("ec", "one", secret=True)).encode())):
                    server.status, server.body = status, body
                    before = server.asked
                    wait_until(lambda: self.status("ec", kid="one", **issuer) == 401 and server.asked > before, "another try")
                    self.assertEqual(self.status("ec-new", kid="two", **issuer), 200)
                self.assertIn("status is 500", self.daemon.log())
                self.assertIn("private key in it", self.daemon.log())
                # A reload keeps what was fetched, whole.
                self.daemon.admin("reload")
                self.assertEqual(self.status("ec-new", kid="two", **issuer), 200)
                self.assertEqual(self.status("ed", "EdDSA"), 200)

    def test_a_url_that_does_not_answer_yet(self):
        with KeyServer() as server:
            server.status = 503
            with Daemon({"auth.keys": server.url, "connection.anonymous": "false", "auth.url-refresh": "1s"}) as self.daemon:
                wait_until(lambda: server.asked, "the first try")
                self.assertEqual(self.status("ec"), 401)
                server.has(tokens.jwk("ec"))
                server.status = 200
                self.until(200, "ec")
            # Nobody there, and nobody ever was.
        with Daemon({"auth.keys": server.url, "connection.anonymous": "false"}) as self.daemon:
            wait_until(lambda: "keys cannot be taken" in self.daemon.log(), "a word about it")
            self.assertEqual(self.status("ec"), 401)

    def test_a_url_comes_and_goes_by_reloads(self):
        with KeyServer() as server:
            server.has(tokens.jwk("ec"))
            with Daemon({"connection.anonymous": "false"}, config="workers: 2\n") as self.daemon:
                self.assertEqual(self.status("ec"), 401)
                self.daemon.write_config(f"auth: {{keys: ['{server.url}']}}\n")
                self.daemon.admin("reload")
                self.until(200, "ec")
                self.daemon.write_config("workers: 2\n")
                self.daemon.admin("reload")
                self.until(401, "ec")

    def test_a_url_that_never_ends_its_answer_holds_up_nobody(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/keys"
            with Daemon({"auth.keys": f"{url},{FOLDER.name}/ed.pem", "connection.anonymous": "false"}) as self.daemon:
                link, _ = server.accept()
                with link:
                    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                    self.assertEqual(self.status("ed", "EdDSA"), 200)
                    self.daemon.admin("ping")
                    self.daemon.stop()


class Rtcctl(AuthTest):
    options = {"auth.keys": f"{KEYS[1]} issuer=https://rsa.example,{KEYS[0]} issuer=https://one.example,{KEYS[3]}", "auth.audiences": "rtc,x",
               "auth.issuers": "https://two.example"}

    def explain(self, token, *arguments, **more):
        result = self.daemon.rtcctl("explain", "token", *arguments, token, check=False, **more)
        self.assertIn(result.returncode, (0, 65), result.stderr)
        fields = dict(line.split("\t", 1) for line in result.stdout.splitlines())
        self.assertEqual(fields["valid"] == "true", result.returncode == 0)
        return fields

    def create(self, *arguments, status=0, **more):
        result = self.daemon.rtcctl("token", "create", *arguments, check=False, **more)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout.strip() if status == 0 else result.stderr

    def test_what_is_created_is_taken(self):
        token = self.create("--user", "dev")
        with WebSocket(self.port, access_token=token) as ws:
            self.assertEqual(ws.welcome["data"]["userId"], "dev")
            self.assertGreater(ws.welcome["data"]["expiresIn"], 3590_000)
        claims = tokens.jwt.decode(token, tokens.private("secret"), ["HS256"], audience="rtc", issuer="https://one.example")
        self.assertEqual(claims["sub"], "dev")
        self.assertEqual(claims["exp"] - claims["iat"], 3600)
        self.assertRegex(claims["jti"], r"^[0-9a-f-]{36}$")

    def test_a_token_by_any_key(self):
        for name, algorithm, data in (("rsa", "RS256", tokens.private_pem("rsa")), ("rsa", "PS256", tokens.private_pem("rsa")),
                                      ("ec", None, tokens.private_pem("ec")), ("ed", None, json.dumps(tokens.jwk("ed", "k1", secret=True)).encode()),
                                      ("secret", None, tokens.private("secret"))):
            path = os.path.join(self.daemon.directory.name, "signer")
            with open(path, "wb") as file:
                file.write(data)
            more = ["--algorithm", algorithm] if algorithm else []
            token = self.create("--user", "u", "--key", path, "--expires", "never", "--claims", '{"role": [1, {"a": "b"}], "jti": "mine"}', *more)
            key = tokens.private(name)
            public = key if isinstance(key, bytes) else key.public_key()
            expected = algorithm or {"ec": "ES256", "ed": "EdDSA", "secret": "HS256"}[name]
            self.assertEqual(tokens.jwt.get_unverified_header(token)["alg"], expected)
            self.assertEqual(tokens.jwt.get_unverified_header(token).get("kid"), "k1" if name == "ed" else None)
            claims = tokens.jwt.decode(token, public, [expected])
            del claims["iat"]
            self.assertEqual(claims, {"sub": "u", "role": [1, {"a": "b"}], "jti": "mine"})

    def test_create_refuses(self):
        path = os.path.join(self.daemon.directory.name, "public")
        with open(path, "wb") as file:
            file.write(tokens.public_pem("ec"))
        self.assertIn("--user is missing", self.create(status=64))
        self.assertIn("a user's name", self.create("--user", "", status=64))
        self.assertIn("--expires", self.create("--user", "u", "--expires", "soon", status=64))
        self.assertIn("--claims", self.create("--user", "u", "--claims", "[1]", status=65))
        self.assertIn("--claims", self.create("--user", "u", "--claims", '{"a":1,"a":2}', status=65))
        self.assertIn("can only verify", self.create("--user", "u", "--key", path, status=65))
        self.assertIn("cannot open", self.create("--user", "u", "--key", "/does/not/exist", status=66))
        self.assertIn("--algorithm", self.create("--user", "u", "--key", path, "--algorithm", "none", status=64))

    def test_explain_says_what_a_token_is(self):
        fields = self.explain(tokens.token("erin", iss="https://one.example", aud=["rtc"], jti="7", iat=1700000000, role="x"))
        self.assertEqual((fields["valid"], fields["user"], fields["key"], fields["algorithm"], fields["issuer"], fields["audience"], fields["id"]),
                         ("true", "erin", self.options["auth.keys"].split(",")[1], "HS256", "https://one.example", '["rtc"]', "7"))
        self.assertEqual((fields["issued"], fields["claims.role"]), ("2023-11-14T22:13:20Z", "x"))
        self.assertRegex(fields["expires"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(290_000 < int(fields["expiresInMs"]) <= 300_000, fields)

    def test_explain_says_what_is_wrong(self):
        fields = self.explain(tokens.token("erin", iss="https://one.example", aud="rtc", lifetime=-100))
        self.assertEqual((fields["valid"], fields["reason"], fields["user"]), ("false", "expired", "erin"))
        self.assertIn("expired 10", fields["problem"])
        self.assertLess(int(fields["expiresInMs"]), 0)
        fields = self.explain(tokens.token("erin", key="other", headers={"kid": "who"}))
        self.assertEqual((fields["reason"], fields["kid"]), ("invalid-token", "who"))
        self.assertNotIn("user", fields)
        self.assertIn("not by any key", fields["problem"])
        self.assertIn("iss", self.explain(tokens.token("erin", "ES256", aud="rtc"))["problem"])
        self.assertIn("three parts", self.explain("nonsense")["problem"])

    def test_a_token_from_standard_input_or_a_file(self):
        token = self.create("--user", "u")
        self.assertEqual(self.explain("-", input=token + "\n")["user"], "u")
        path = os.path.join(self.daemon.directory.name, "token")
        with open(path, "w", encoding="ascii") as file:
            file.write(token + "\n")
        self.assertEqual(self.explain("@" + path)["user"], "u")
        bench = subprocess.run([os.path.join(BUILD, "cli", "rtcctl"), "bench", "--connections", "2", "--duration", "1s", "--rate", "20",
                                "--token", "@" + path, f"http://127.0.0.1:{self.port}/rtc"], capture_output=True, text=True, timeout=60,
                               check=False)
        self.assertEqual(bench.returncode, 0, bench.stderr)


if __name__ == "__main__":
    unittest.main()
