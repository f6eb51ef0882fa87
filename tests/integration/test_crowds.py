"""Many clients that stand still all at once. They speak no TLS, so this is a file of its own."""

import time
import unittest

import crowd
from client import WebSocket
from harness import Daemon, has_plain_memory, memory_bytes
from test_slow import LARGE, Account, publish_many


def forget_peak(daemon):
    with open(f"/proc/{daemon.process.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


class Crowds(unittest.TestCase):
    def test_a_hundred_that_stand_still_are_cut_and_cost_little_and_the_others_miss_nothing(self):
        with Daemon({"queue.bytes": "128KiB"}, workers=2) as daemon, crowd.Crowd(daemon.port, 100, "g") as stopped:
            quick = [WebSocket(daemon.port, group="g") for _ in range(3)]
            accounts = [Account(self) for _ in quick]
            stopped.stop()
            before, count = memory_bytes(daemon), 0
            forget_peak(daemon)
            deadline = time.monotonic() + 60
            while daemon.counter("slow_consumers_closed") < 100 and time.monotonic() < deadline:
                publish_many(daemon, "g", range(count + 1, count + 21), LARGE)
                count += 20
                for client, account in zip(quick, accounts):
                    account.until(client, count)
            self.assertEqual(daemon.counter("slow_consumers_closed"), 100)
            self.assertEqual([account.lost for account in accounts], [0, 0, 0])
            if has_plain_memory():
                self.assertLess(memory_bytes(daemon, "VmHWM") - before, 100 * (128 + 64) * 1024)
            # Each has what it got in order and without a gap, and learns that the rest is lost.
            stopped.go_on()
            for answer in stopped.answers():
                self.assertEqual(answer["got"], list(range(1, len(answer["got"]) + 1)))
                self.assertFalse(answer["resumed"])
            for client in quick:
                client.drop()


if __name__ == "__main__":
    unittest.main()
