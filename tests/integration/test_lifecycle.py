"""Life-cycle events: what a program on the server's side may build on."""

import json
import socket
import unittest

from client import WebSocket
from harness import PATIENCE_S, Daemon


class Listener:
    """One admin connection that listens."""

    def __init__(self, daemon, event=None):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(PATIENCE_S)
        self.link.connect(daemon.admin_path)
        self.lines = self.link.makefile("rb")
        data = {"event": event} if event else {}
        self.link.sendall(json.dumps({"eventName": "listen", "data": data, "id": 1}).encode() + b"\n")
        reply = json.loads(self.lines.readline())["data"]
        self.epoch, self.sequence = reply["epoch"], reply["sequence"]

    def next(self):
        """The next envelope; None: the daemon has ended the connection."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def until(self, name):
        """All up to the first of that name."""
        envelopes = []
        while not envelopes or envelopes[-1]["eventName"] != name:
            envelopes.append(self.next())
            if envelopes[-1] is None:
                raise AssertionError(f"the daemon is gone, and no {name} came: {envelopes}")
        return envelopes

    def close(self):
        self.lines.close()
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class LifecycleTest(unittest.TestCase):
    def test_a_listener_learns_first_where_it_came_in(self):
        with Daemon() as daemon, Listener(daemon) as first:
            greeting = first.next()
            self.assertEqual(greeting["eventName"], "rtc.epoch")
            self.assertEqual(greeting["data"], {"epoch": first.epoch, "sequence": first.sequence})
            with WebSocket(daemon.port) as ws:
                ws.close()
            connected, disconnected = first.until("rtc.disconnected")
            self.assertEqual(connected["eventName"], "rtc.connected")
            self.assertTrue(connected["data"].pop("address").startswith("127.0.0.1:"))
            self.assertEqual(connected["data"], {"transport": "websocket", "protocol": "json", "epoch": first.epoch, "sequence": first.sequence + 1})
            self.assertEqual((disconnected["from"]["connectionId"], disconnected["data"]["sequence"]), (ws.id, first.sequence + 2))
            with Listener(daemon, "rtc.disconnected") as second:
                self.assertEqual((second.epoch, second.sequence), (first.epoch, first.sequence + 2))
                with WebSocket(daemon.port) as ws:
                    ws.close()
                self.assertEqual(second.next()["data"]["sequence"], first.sequence + 4)

    def test_another_start_is_another_epoch(self):
        with Daemon() as daemon:
            with Listener(daemon) as before:
                before.until("rtc.epoch")
                daemon.process.kill()
                daemon.process.wait()
                self.assertIsNone(before.next())
            daemon.start()
            with Listener(daemon) as after:
                self.assertEqual(after.next()["eventName"], "rtc.epoch")
                self.assertNotEqual(after.epoch, before.epoch)


if __name__ == "__main__":
    unittest.main()
