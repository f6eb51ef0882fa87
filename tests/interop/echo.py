"""What the tests of this folder share: a daemon with the dialect echo, and our raw client on it."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

from client import CLOSE, PONG, WebSocket     # noqa: E402
from harness import Daemon, DaemonTest        # noqa: E402

MESSAGE_MAX = 256 * 1024
FRAGMENTS_MAX = 1024


class EchoTest(DaemonTest):
    options = {"connection.message-bytes": MESSAGE_MAX, "connection.message-fragments": FRAGMENTS_MAX,
               "limits.connections-per-address": "unlimited"}
    workers = 1

    @classmethod
    def setUpClass(cls):
        # Freed memory that AddressSanitizer holds back is no memory of the daemon's.
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"]))
        cls.daemon = Daemon(cls.options, workers=cls.workers, environment={"ASAN_OPTIONS": sanitizer})
        cls.daemon.start()

    def connect(self, **more):
        ws = WebSocket(self.daemon.port, path="/echo", is_plain=True, **more)
        self.addCleanup(ws.link.close)
        self.assertEqual(ws.response.status, 101)
        return ws

    def resident_bytes(self):
        with open(f"/proc/{self.daemon.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def processor_s(self):
        with open(f"/proc/{self.daemon.process.pid}/schedstat", encoding="ascii") as file:
            own = int(file.read().split()[0])
        total = 0
        for thread in os.listdir(f"/proc/{self.daemon.process.pid}/task"):
            with open(f"/proc/{self.daemon.process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return max(own, total) / 1e9


def closing(ws):
    """(code, reason) of the server's Close once the TCP connection has ended, which must not be by a reset; frames before it are
    passed over. (None, b"") if no Close came."""
    code, reason = None, b""
    while True:
        try:
            opcode, payload = ws.frame()
        except EOFError:
            return code, reason
        if opcode == CLOSE:
            assert code is None, "two Close frames"
            code, reason = (struct.unpack("!H", payload[:2])[0], payload[2:]) if payload else (1005, b"")
        else:
            assert code is None, "a frame behind the Close"
            assert opcode in (1, 2, PONG), opcode
