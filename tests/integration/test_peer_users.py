"""Clients on Unix sockets that are who their process is."""

import json
import os
import pwd
import subprocess
import sys
import unittest

import tokens
from client import request
from harness import Daemon

NAMED, NAMELESS = pwd.getpwnam("nobody"), 61001

ASK = """
import socket, sys
link = socket.socket(socket.AF_UNIX)
link.settimeout(20)
link.connect(sys.argv[1])
link.sendall(f"{sys.argv[2]} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n{sys.argv[3]}\\r\\n".encode())
answer = b""
while piece := link.recv(65536):
    answer += piece
head, _, body = answer.partition(b"\\r\\n\\r\\n")
print(head.split()[1].decode(), body.decode())
"""


@unittest.skipUnless(os.getuid() == 0, "needs root, to be others")
class PeerUsers(unittest.TestCase):
    def daemon(self, **options):
        daemon = Daemon({"connection.anonymous": "false", **options})
        os.chmod(daemon.directory.name, 0o755)
        self.path = os.path.join(daemon.directory.name, "clients.sock")
        daemon.arguments += ["--set", f"listen=unix:{self.path},127.0.0.1:{daemon.port}"]
        return daemon

    def ask(self, uid, query="", token=None):
        """(status, body) of a poll by a process of that user."""
        os.chmod(self.path, 0o666)
        header = f"Authorization: Bearer {token}\r\n" if token else ""
        result = subprocess.run([sys.executable, "-I", "-c", ASK, self.path, f"GET /rtc/poll?wait=0{query}", header], user=uid, group=61000,
                                extra_groups=[], cwd="/", stdout=subprocess.PIPE, check=True, timeout=60)
        status, _, body = result.stdout.decode().partition(" ")
        return int(status), json.loads(body) if body.strip() else None

    def user(self, *arguments, **more):
        status, body = self.ask(*arguments, **more)
        return body["messages"][0]["data"]["userId"] if status == 200 else (status, body["code"])

    def test_the_user_of_the_process_is_the_user(self):
        with self.daemon(**{"connection.peer-users": "true"}) as daemon:
            self.assertEqual(self.user(NAMED.pw_uid), NAMED.pw_name)
            self.assertEqual(self.user(NAMELESS), f"uid:{NAMELESS}")
            self.assertEqual(self.user(NAMED.pw_uid, f"&user={NAMED.pw_name}"), NAMED.pw_name)
            self.assertEqual(self.user(NAMED.pw_uid, "&user=root"), (403, "forbidden"))
            # A connection's own secret is of no use to another user.
            _, first = self.ask(NAMED.pw_uid)
            secret = first["messages"][0]["data"]["connectionToken"]
            self.assertEqual(self.ask(NAMELESS, f"&token={secret}&received=0")[0], 403)
            self.assertEqual(self.ask(NAMED.pw_uid, f"&token={secret}&received=0")[0], 204)
            daemon.admin("revoke.user", user=NAMED.pw_name)
            self.assertEqual(self.user(NAMED.pw_uid), (401, "unauthorized"))
            self.assertEqual(self.user(NAMELESS), f"uid:{NAMELESS}")

    def test_a_token_says_more_than_the_process(self):
        with self.daemon(**{"connection.peer-users": "true"}) as daemon:
            keys = tokens.write_keys(daemon.directory.name)
            daemon.stop()
            daemon.arguments += ["--set", f"auth.keys={keys[0]}"]
            daemon.start()
            self.assertEqual(self.user(NAMED.pw_uid, token=tokens.token("ann")), "ann")
            self.assertEqual(self.user(NAMED.pw_uid, token="x"), (401, "unauthorized"))
            _, first = self.ask(NAMED.pw_uid, token=tokens.token("ann"))
            secret = first["messages"][0]["data"]["connectionToken"]
            self.assertEqual(self.ask(NAMELESS, f"&token={secret}&received=0")[0], 204)

    def test_unasked_nobody_is_and_over_tcp_never(self):
        with self.daemon():
            self.assertEqual(self.user(NAMED.pw_uid), (401, "unauthorized"))
        with self.daemon(**{"connection.peer-users": "true"}) as daemon:
            self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 401)


if __name__ == "__main__":
    unittest.main()
