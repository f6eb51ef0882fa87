"""API keys: programs get in by them, with what their line allows; what is wrong with a file stops a start and a reload."""

import base64
import datetime
import hashlib
import json
import os
import re
import unittest

import tokens
from client import Sse, WebSocket, request
from harness import AdminError, Daemon, wait_until
from test_auth import bearer, negotiate

ROOM = "publish=room.* join=room.*"


def make(daemon, name="feed"):
    made = json.loads(daemon.rtcctl("key", "create", name, "-o", "json").stdout)
    return made["key"], made["line"]


class ApiKeys(unittest.TestCase):
    def daemon(self, **more):
        daemon = Daemon({"connection.anonymous": "false", "log.net": "debug", "log.core": "debug", "auth.leeway": "0",
                         "publish.to-group": "token", **more}, config="auth:\n  api-keys: \"\"\n")
        self.path = os.path.join(daemon.directory.name, "keys")
        self.config = f"auth:\n  api-keys: {self.path}\n"
        return daemon

    def write(self, *lines, mode=0o600):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        os.chmod(self.path, mode)

    def load(self, daemon, *lines):
        self.write(*lines)
        daemon.write_config(self.config)
        daemon.admin("reload")

    def shows(self, daemon, key):
        return wait_until(lambda: negotiate(daemon.port, bearer(key)).status == 200, "the key to be taken")

    def test_a_key_is_random_with_a_checksum_and_its_line_has_its_hash_alone(self):
        with self.daemon() as daemon:
            keys = {make(daemon, "a.B-c_9")[0] for _ in range(50)}
            self.assertEqual(len(keys), 50)
            for key in keys:
                self.assertRegex(key, r"^rtck_[A-Za-z0-9_-]{48}$")
                raw = base64.urlsafe_b64decode(key[5:])
                self.assertEqual(raw[32:], hashlib.sha256(raw[:32]).digest()[:4])
            key, line = make(daemon)
            self.assertEqual(line, "feed sha256:" + hashlib.sha256(key.encode()).hexdigest())
            for name in "", "a b", "a=b", "x" * 65, "\u00e4":
                self.assertEqual(daemon.rtcctl("key", "create", name, check=False).returncode, 64)

    def test_a_program_gets_in_by_every_transport_with_what_its_line_allows(self):
        with self.daemon() as daemon:
            key, line = make(daemon)
            self.load(daemon, "# programs", "", f"  {line}\tuser=the-feed {ROOM} to=user level=operator expires=2999-12-31T23:59:59Z")
            self.shows(daemon, key)
            with WebSocket(daemon.port, headers=bearer(key)) as ws, Sse(daemon.port, headers=bearer(key)) as sse:
                self.assertEqual((ws.welcome["data"]["userId"], sse.welcome["data"]["userId"]), ("the-feed", "the-feed"))
                shown = daemon.admin("show.connection", connection=ws.id)
                self.assertEqual((shown["user"], shown["tokenId"]), ("the-feed", "api-key:feed"))
                self.assertNotIn("error", ws.call("rtc.join", {"group": "room.1"}, id=1))
                self.assertNotIn("error", ws.call("n", 1, id=2, to={"group": "room.2"}))
                self.assertNotIn("error", ws.call("n", 1, id=3, to={"user": "ann"}))
                self.assertEqual(ws.call("n", 1, id=4, to={"group": "lobby"})["error"]["code"], "forbidden")
                self.assertEqual(ws.call("n", 1, id=5, to={"all": True})["error"]["code"], "forbidden")
                ws.drop()
                # It comes back to its connection, with the key or without.
                with WebSocket(daemon.port, token=ws.token, received=5, headers=bearer(key)) as back:
                    self.assertTrue(back.welcome["data"]["resumed"])
            made = negotiate(daemon.port, bearer(key)).json()
            with WebSocket(daemon.port, token=made["connectionToken"]) as ws:
                self.assertEqual(ws.welcome["data"]["userId"], "the-feed")

    def test_without_options_a_key_is_its_name_and_lasts(self):
        with self.daemon() as daemon:
            key, line = make(daemon)
            self.load(daemon, line)
            self.shows(daemon, key)
            with WebSocket(daemon.port, headers=bearer(key)) as ws:
                self.assertEqual((ws.welcome["data"]["userId"], ws.welcome["data"]["expiresIn"]), ("feed", None))
                self.assertEqual(ws.call("n", 1, to={"group": "room.1"})["error"]["code"], "forbidden")

    def test_wrong_keys_are_refused_and_a_typo_is_told_from_a_wrong_one(self):
        with self.daemon() as daemon:
            key, line = make(daemon)
            expired, old = make(daemon, "old")
            self.load(daemon, line, f"{old} expires=2020-01-01")
            self.shows(daemon, key)
            stranger, _ = make(daemon)
            typo = key[:20] + ("A" if key[20] != "A" else "B") + key[21:]
            for what, shown, detail in (("typo", typo, "checksum"), ("cut", key[:-1], "checksum"), ("longer", key + "A", "checksum"), ("prefix", "rtck_", "checksum"),
                                        ("padding", key[:-1] + "=", "checksum"), ("stranger", stranger, "no API key that is known"),
                                        ("hash", line.split(":")[1], "no keys to check"), ("upper", key.replace("rtck_", "RTCK_"), "no keys to check"),
                                        ("expired", expired, "expired")):
                with self.subTest(what):
                    refused = negotiate(daemon.port, bearer(shown))
                    self.assertEqual(refused.status, 401)
                    self.assertIn(detail, refused.json()["detail"])
                    self.assertNotIn(shown[8:] or "\0", refused.body.decode())
            # Never in a query, which ends in logs.
            for response in WebSocket(daemon.port, access_token=key).response, request(daemon.port, "GET", "/rtc/sse", access_token=key):
                self.assertEqual(response.status, 400)
                self.assertIn("Authorization", response.json()["detail"])
            self.assertEqual(daemon.admin("explain.token", token=key)["user"], "feed")
            self.assertEqual(daemon.admin("explain.token", token=stranger)["reason"], "invalid-token")
            log = daemon.log()
            for secret in key, typo, stranger, expired:
                self.assertNotIn(secret[5:], log)
            self.assertNotIn(line.split(":")[1], daemon.rtcctl("show", "config").stdout)

    def test_a_removed_changed_or_expired_key_ends_its_connections(self):
        with self.daemon(**{"resume.window": "60s"}) as daemon:
            (kept, kept_line), (gone, gone_line), (changed, changed_line) = (make(daemon, name) for name in ("kept", "gone", "changed"))
            self.load(daemon, kept_line, gone_line, changed_line)
            self.shows(daemon, kept)
            sockets = {key: [WebSocket(daemon.port, headers=bearer(key)) for _ in range(6)] for key in (kept, gone, changed)}
            parked = WebSocket(daemon.port, headers=bearer(gone))
            parked.drop()
            self.load(daemon, kept_line, f"{changed_line} {ROOM}")
            for key in gone, changed:
                for ws in sockets[key]:
                    self.assertEqual(ws.closing(), (4401, {"reason": "key-removed", "reconnect": True}))
            wait_until(lambda: {c["user"] for c in daemon.connections()} == {"kept"}, "the end of the parked one")
            self.assertEqual(negotiate(daemon.port, bearer(gone)).status, 401)
            for ws in sockets[kept]:
                ws.send("rtc.ping", 1)
                ws.expect("rtc.pong")
                ws.link.close()
            soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
            self.load(daemon, f"{kept_line} expires={soon:%Y-%m-%dT%H:%M:%SZ}")
            self.shows(daemon, kept)
            with WebSocket(daemon.port, headers=bearer(kept)) as ws:
                self.assertEqual(ws.closing(), (4401, {"reason": "expired", "reconnect": True}))

    def test_a_revoked_user_has_no_key_and_a_key_can_be_revoked_by_its_id(self):
        with self.daemon() as daemon:
            key, line = make(daemon)
            self.load(daemon, line)
            self.shows(daemon, key)
            daemon.admin("revoke.token", token="api-key:feed")
            self.assertEqual(negotiate(daemon.port, bearer(key)).status, 401)
            daemon.admin("lift.revocation", token="api-key:feed")
            self.assertEqual(negotiate(daemon.port, bearer(key)).status, 200)
            daemon.admin("revoke.user", user="feed")
            self.assertEqual(negotiate(daemon.port, bearer(key)).status, 401)

    def test_any_line_that_is_wrong_refuses_the_reload_and_the_start_with_its_number(self):
        with self.daemon() as daemon:
            key, line = make(daemon)
            name, hashed = line.split()
            self.load(daemon, line)
            self.shows(daemon, key)
            bad = [
                (name, "64 hexadecimal"), (f"{name} {hashed[:-1]}", "64 hexadecimal"), (f"{name} {hashed}0", "64 hexadecimal"),
                (f"{name} {hashed.upper()}", "64 hexadecimal"), (f"{name} {hashed[7:]}", "64 hexadecimal"), (f"{name} {key}", "the key itself"),
                (f"na/me {hashed}", "a name has"), (f"{'n' * 65} {hashed}", "a name has"), (f"{line} x", "an option"), (f"{line} =", "no such option"),
                (f"{line} levl=viewer", "no such option"), (f"{line} level=root", "a level is"), (f"{line} level=", "a level is"),
                (f"{line} level=viewer level=admin", "twice"), (f"{line} user=", "a user's name"), (f"{line} user=a user=b", "twice"),
                (f"{line} expires=2027-02-30", "a date"), (f"{line} expires=tomorrow", "a date"), (f"{line} expires=2027-1-1", "a date"),
                (f"{line} expires=2027-01-01 expires=2028-01-01", "twice"), (f"{line} to=everybody", ""), (f"{line} join=", ""),
                (f"{line} # comment", "an option"), (f"{line}\r", "64 hexadecimal"), (f"{line}\0", "64 hexadecimal"),
                (f"other {hashed}", "has this hash"), (f"{name} sha256:{'0' * 64}", "has this name"),
            ]
            for text, words in bad:
                with self.subTest(text):
                    self.write("# a comment", line, text) if "has this" in words else self.write("# a comment", "", text)
                    with self.assertRaises(AdminError) as error:
                        daemon.admin("reload")
                    self.assertIn(f"{self.path}:3: auth.api-keys: ", str(error.exception))
                    self.assertIn(words, str(error.exception))
                    self.assertNotIn(key[5:], str(error.exception))
                    self.assertEqual(negotiate(daemon.port, bearer(key)).status, 200)
            # All mistakes at once, and at a start too.
            self.write("x", line, "y")
            daemon.write_config(self.config)
            daemon.stop()
            with self.assertRaises(AssertionError) as error:
                daemon.start()
            self.assertEqual(daemon.process.returncode, 78)
            self.assertEqual(re.findall(r"keys:(\d): auth", str(error.exception))[-2:], ["1", "3"])
            self.write(line)
            daemon.start()
            self.assertEqual(negotiate(daemon.port, bearer(key)).status, 200)

    def test_a_file_that_others_can_read_refuses_and_names_the_file_and_its_mode(self):
        with self.daemon() as daemon:
            _, line = make(daemon)
            self.load(daemon, line)
            for mode in 0o640, 0o604, 0o644, 0o660:
                os.chmod(self.path, mode)
                with self.assertRaises(AdminError) as error:
                    daemon.admin("reload")
                self.assertIn(f"{self.path}: it holds a secret, and its mode {mode:04o}", str(error.exception))
            daemon.stop()
            self.assertRaises(AssertionError, daemon.start)
            self.assertEqual(daemon.process.returncode, 78)
            os.unlink(self.path)
            self.assertRaises(AssertionError, daemon.start)
            self.assertIn(self.path, daemon.log())
            os.mkdir(self.path)
            self.assertRaises(AssertionError, daemon.start)
            os.rmdir(self.path)
            self.write(line)
            daemon.start()

    def test_a_credential_of_systemds(self):
        daemon = self.daemon()
        daemon.environment["CREDENTIALS_DIRECTORY"] = daemon.directory.name
        with daemon:
            key, line = make(daemon)
            self.write(line, mode=0o440)
            daemon.write_config("auth:\n  api-keys: credential:keys\n")
            daemon.admin("reload")
            self.shows(daemon, key)


class RemovedKeys(unittest.TestCase):
    def test_a_key_that_a_reload_takes_away_takes_its_tokens_connections_along(self):
        with Daemon({"connection.anonymous": "false", "resume.window": "60s"}, config="log:\n  core: info\n") as daemon:
            files = tokens.write_keys(daemon.directory.name)
            by = {"HS256": files[0], "ES256": files[3], "EdDSA": files[4]}

            def config(*names):
                daemon.write_config("auth:\n  keys:\n" + "".join(f"    - {by[name]}\n" for name in names))
                daemon.admin("reload")
            config(*by)
            wait_until(lambda: negotiate(daemon.port, bearer(tokens.token("u"))).status == 200, "the keys")
            sockets = {name: [WebSocket(daemon.port, headers=bearer(tokens.token("u", name))) for _ in range(5)] for name in by}
            moved = WebSocket(daemon.port, headers=bearer(tokens.token("u", "HS256")))
            self.assertNotIn("error", moved.call("rtc.refresh", {"accessToken": tokens.token("u", "ES256", lifetime=900)}))
            config("ES256", "EdDSA")
            for ws in sockets["HS256"]:
                self.assertEqual(ws.closing(), (4401, {"reason": "key-removed", "reconnect": True}))
            config("EdDSA", "ES256")
            config("EdDSA")
            for ws in sockets["ES256"] + [moved]:
                self.assertEqual(ws.closing()[0], 4401)
            for ws in sockets["EdDSA"]:
                self.assertNotIn("error", ws.call("rtc.join", {"group": "g"}))
                ws.link.close()


if __name__ == "__main__":
    unittest.main()
