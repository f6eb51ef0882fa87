"""What tests of the HTTP API have in common: a daemon that knows a key of each level, and calls with them."""

import json
import os
import unittest

from client import request
from harness import Daemon

LEVELS = ("viewer", "operator", "admin")


class ApiTest(unittest.TestCase):
    options = {}
    config = ""
    workers = 2

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(cls.options, config=cls.config, workers=cls.workers)
        cls.keys, lines = {}, []
        for level in LEVELS:
            cls.keys[level], line = cls.make_key(level)
            lines.append(f"{line} level={level}\n")
        for name in ("none", "other"):
            cls.keys[name], line = cls.make_key(name)
            lines.append(line + (" level=admin\n" if name == "other" else "\n"))
        cls.path = os.path.join(cls.daemon.directory.name, "keys")
        with open(cls.path, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("".join(lines))
        cls.daemon.arguments += ["--set", f"auth.api-keys={cls.path}"]
        cls.daemon.start()

    @classmethod
    def make_key(cls, name):
        """The key, and its line for the file."""
        made = json.loads(cls.daemon.rtcctl("--output", "json", "key", "create", name).stdout)
        return made["key"], made["line"]

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__(None, None, None)

    def headers(self, level="admin", **more):
        return {"Authorization": f"Bearer {self.keys[level]}", **{name.replace("_", "-"): value for name, value in more.items()}}

    def call(self, command, arguments=None, level="admin", **headers):
        body = b"" if arguments is None else json.dumps(arguments).encode()
        return request(self.daemon.port, "POST", "/api/v1/" + command, body, self.headers(level, **headers))

    def assert_refused(self, answer, status, code, *words):
        self.assertEqual((answer.status, answer.json()["code"]), (status, code), answer.body)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        for word in words:
            self.assertIn(word, answer.json()["detail"])
