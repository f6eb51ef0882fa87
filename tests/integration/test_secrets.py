"""Secrets that a run has used are found nowhere in what it says: log, admin output, error bodies."""

import contextlib
import json
import os
import subprocess
import tempfile
import unittest

import certificates
import receivers
import tokens
from client import Http, Poller, Sse, WebSocket, request
from harness import BUILD, AdminError, Daemon
from receivers import Receiver

ADMIN = ("status", "list.connections", "list.groups", "list.users", "list.webhooks", "show.config", "version", "ping")


class Secrets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="rtcd-test-secrets-")
        self.addCleanup(folder.cleanup)
        self.folder, self.said, self.secrets = folder.name, [], set()
        self.keys = tokens.write_keys(self.folder)
        self.certificate = certificates.Authority(self.folder).issue_for("localhost")
        self.secrets.add(tokens.private("secret").decode())
        with open(self.certificate.key_path, encoding="ascii") as file:
            self.secrets.update(line for line in file.read().split("\n") if len(line) > 40 and "-----" not in line)

    def token(self, **more):
        token = tokens.token(**more)
        self.secrets.update((token, *token.split(".")[1:]))     # the header is no secret
        return token

    def note(self, response):
        """What a refusal says is no place for the credential that it refuses."""
        self.said.append(str(response.headers) + response.body.decode("utf-8", "replace"))

    def connect_all(self, daemon):
        header = {"Authorization": f"Bearer {self.token()}"}
        negotiated = request(daemon.port, "POST", "/rtc/negotiate", headers=header)
        for client in (WebSocket(daemon.port, headers=header, group="g"), WebSocket(daemon.port, "msgpack", access_token=self.token(), group="g"),
                       Sse(daemon.port, headers=header, group="g"), Poller(daemon.port, token=negotiated.json()["connectionToken"])):
            self.secrets.add(client.token)
            if isinstance(client, WebSocket):
                fresh = self.token(lifetime=400)
                client.call("rtc.refresh", {"token": fresh})
                client.drop()
                back = WebSocket(daemon.port, token=client.token, received=0)
                self.secrets.add(back.token)
                client = back
            self.said.append(json.dumps(daemon.admin("show.connection", connection=client.id)))
            self.addCleanup(client.close if not isinstance(client, WebSocket) else client.drop)

    def refuse_all(self, daemon):
        for bad in (self.token(lifetime=-500), self.token(key="ec", algorithm="ES256")[:-8] + "AAAAAAAA", self.token(user=None), self.token(user="x" * 300)):
            for path in ("negotiate", "sse", "poll", "websocket", "nothing"):
                method = "POST" if path == "negotiate" else "GET"
                self.note(request(daemon.port, method, f"/rtc/{path}", headers={"Authorization": f"Bearer {bad}"}))
                self.note(request(daemon.port, method, f"/rtc/{path}", access_token=bad))
            with contextlib.suppress(EOFError), Http(daemon.port) as http:      # a head that is none
                http.link.sendall(f"GET /rtc/sse?access_token={bad} HTTP/1.1\r\nAuthorization : Bearer {bad}\r\n\r\n".encode())
                self.note(http.reader.response())
            explained = daemon.rtcctl("explain", "token", "-", input=bad, check=False)
            self.said.append(explained.stdout + explained.stderr)
        for bad in ("A" * 31 + "B", self.token()):
            self.secrets.add(bad)
            for path in ("sse", "poll", "send"):
                self.note(request(daemon.port, "POST" if path == "send" else "GET", f"/rtc/{path}", token=bad, access_token=self.token(), wait="0"))

    def administer(self, daemon):
        for command in ADMIN:
            self.said.append(json.dumps(daemon.admin(command)))
        for arguments in (("status",), ("list", "connections"), ("list", "webhooks"), ("show", "config"), ("-o", "json", "show", "config")):
            self.said.append(daemon.rtcctl(*arguments).stdout)
        secret = os.path.join(self.folder, "secret")
        os.chmod(secret, 0o644)
        with self.assertRaises(AdminError) as refused:      # others may read it
            daemon.admin("reload")
        self.said.append(refused.exception.args[1])
        os.chmod(secret, 0o600)
        with open(secret, "w", encoding="ascii") as file:
            file.write("-----BEGIN PRIVATE KEY-----\n" + tokens.private("secret").decode() + "\n-----END PRIVATE KEY-----\n")
        checked = subprocess.run([os.path.join(BUILD, "daemon/rtcd"), "--check", "--config", daemon.config_path], capture_output=True, text=True, check=False)
        self.assertNotEqual(checked.returncode, 0)
        self.said.append(checked.stdout + checked.stderr)

    def webhooks(self):
        """One that is down, whose failures are told, and one that refuses."""
        secret = os.path.join(self.folder, "hook")
        with open(secret, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("only-rtcd-and-the-receiver-know-it")
        self.secrets.add("only-rtcd-and-the-receiver-know-it")
        down, refusing = Receiver(is_up=False), self.enterContext(Receiver(receivers.status(403)))
        return "webhooks:\n" + "".join(f"  - {{name: {name}, url: \"{url}\", events: [connected, disconnected], secret-file: {secret}}}\n"
                                       for name, url in (("down", down.url), ("refusing", refusing.url)))

    def test_no_secret_is_in_what_the_daemon_says(self):
        config = "auth:\n  keys:\n" + "".join(f"    - {key}\n" for key in self.keys) + self.webhooks()
        levels = {f"log.{area}": "debug" for area in ("net", "core", "admin", "config", "daemon")}
        with Daemon({**levels, "connection.anonymous": "false", "limits.failures-per-address": "unlimited", "tls.certificates": self.certificate.item},
                    config=config) as daemon:
            self.connect_all(daemon)
            self.refuse_all(daemon)
            self.administer(daemon)
            daemon.stop()
            log = daemon.log()
        said = "\n".join(self.said) + log
        self.assertGreater(len(said), 20000)
        found = {secret[:12] + "..." for secret in self.secrets if len(secret) > 8 and secret in said}
        self.assertEqual(found, set())


if __name__ == "__main__":
    unittest.main()
