"""Webhooks while memory runs out, system calls fail, or names are not found: they are late, and nobody else is."""

import json
import os
import tempfile
import time
import unittest

from faults import FaultyDaemon
from harness import BUILD, AdminError, Daemon, wait_until
from session import patience
import receivers
from client import Closed, WebSocket

patience()
STEP = int(os.environ.get("FAULTS_STEP", "1"))
NAMES = os.path.join(BUILD, "tests/inject/libslow_names.so")
QUICK = {"timeout": "2s", "retry-delay": "1ms", "retry-delay-max": "5ms", "breaker-failures": 1000, "on-failure": "allow"}


def config(**webhook):
    return json.dumps({"webhooks": [{"name": "hook", **QUICK, **webhook}]})


class Memory(unittest.TestCase):
    def use(self, daemon):
        """A client comes, asks and goes, whatever becomes of it."""
        try:
            client = WebSocket(daemon.port)
            if client.welcome:
                client.call("order", {"a": 1})
                client.close()
            client.link.close()
        except (EOFError, OSError, Closed, KeyError, AssertionError):
            pass

    def test_any_one_allocation_may_fail(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="rtcd-test-inject-"))
        events = ["connect", "event", "connected", "disconnected", "online", "offline"]
        with receivers.Receiver() as receiver, FaultyDaemon({"hooks.spool": os.path.join(folder, "spool")},
                                                            config=config(url=receiver.url, events=events, batch=3)) as daemon:
            control = daemon.control
            control.allocations = 0
            self.use(daemon)
            wait_until(lambda: self.waiting(daemon) == 0, "all delivered")
            count = control.allocations
            self.assertGreater(count, 30)
            for number in range(1, count + 1, STEP):
                with self.subTest(allocation=number):
                    control.allocations, control.fail_every, control.fail_allocation = 0, 0, number
                    self.use(daemon)
                    control.quiet()
                self.assertIsNone(daemon.process.poll(), daemon.log())
            wait_until(lambda: self.waiting(daemon) == 0, "all delivered")
            told = len(receiver.events())
            self.use(daemon)
            wait_until(lambda: len(receiver.events()) >= told + 4, "a client's events")

    def waiting(self, daemon):
        try:
            return daemon.admin("list.webhooks")["rows"][0][2]
        except (AdminError, OSError, ValueError):
            return None

    def test_system_calls_may_fail(self):
        """The spool's writes among them."""
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="rtcd-test-inject-"))
        with receivers.Receiver() as receiver, FaultyDaemon({"hooks.spool": os.path.join(folder, "spool")},
                                                            config=config(url=receiver.url, events=["connected", "disconnected"])) as daemon:
            for seed in range(1, 40, STEP):
                daemon.control.seed, daemon.control.call_rate = seed, 100
                self.use(daemon)
                daemon.control.quiet()
                self.assertIsNone(daemon.process.poll(), daemon.log())
            self.use(daemon)
            wait_until(lambda: self.waiting(daemon) == 0, "all delivered")


class Names(unittest.TestCase):
    def test_nobody_waits_while_a_name_is_looked_up(self):
        with Daemon(config=config(url="http://slow.example/", events="epoch", timeout="50ms"), environment={"LD_PRELOAD": NAMES}) as daemon:
            worst_s = 0
            while daemon.admin("list.webhooks")["rows"][0][5] < 5:      # requests that failed
                begun = time.monotonic()
                daemon.admin("ping")
                worst_s = max(worst_s, time.monotonic() - begun)
            self.assertLess(worst_s, 2)         # a name takes 5


if __name__ == "__main__":
    unittest.main()
