"""What happens when memory runs out or a system call fails, at any place: the request fails, the daemon does not."""

import contextlib
import itertools
import os
import select
import socket
import tempfile
import unittest

from faults import Control, FaultyDaemon
import certificates
from harness import AdminError, Daemon, processor_s, wait_until
from session import Session, patience
from client import Closed, Http, Poller, WebSocket

patience()
# Of all places so many are passed over each time, from a random first one; 1: all of them.
STEP = int(os.environ.get("FAULTS_STEP", "1"))


class Memory(unittest.TestCase):
    def count_allocations(self, daemon):
        daemon.control.allocations = 0
        self.assertEqual(Session(daemon).run().failed, [])
        return daemon.control.allocations

    def fail_each(self, daemon, every=0):
        control = daemon.control
        count = self.count_allocations(daemon)
        self.assertGreater(count, 100)
        for number in range(1, count + 1, STEP):
            with self.subTest(allocation=number):
                control.allocations, control.fail_every, control.fail_allocation = 0, every, number
                Session(daemon).run()
                control.quiet()
            self.assertIsNone(daemon.process.poll(), daemon.log())
        self.assertGreater(control.failed_allocations, count // STEP // 2)
        self.assertEqual(Session(daemon).run().failed, [])

    def test_any_one_allocation_may_fail(self):
        with FaultyDaemon() as daemon:
            self.fail_each(daemon)

    def test_many_allocations_may_fail(self):
        with FaultyDaemon() as daemon:
            self.fail_each(daemon, every=37)

    def test_without_any_memory_nothing_new_is_taken_and_afterwards_all_is_well(self):
        with FaultyDaemon() as daemon, WebSocket(daemon.port, group="g") as ws:
            daemon.control.allocations, daemon.control.fail_every, daemon.control.fail_allocation = 0, 1, 1
            for _ in range(5):
                Session(daemon).run()
            daemon.control.quiet()
            self.assertEqual(Session(daemon).run().failed, [])
            del ws

    def test_a_reload_takes_the_whole_config_or_keeps_the_old_one(self):
        text = "connection: {{groups: {0}}}\nresume: {{parked-per-user: {0}}}\nhttp: {{origins: ['http://h:{0}']}}\n".format
        with FaultyDaemon(config=text(50)) as daemon:
            control, number, has_failed = daemon.control, 0, True
            while has_failed:
                number += 1
                with self.subTest(allocation=number):
                    daemon.write_config(text(60 + number % 2))
                    control.failed_allocations = control.allocations = 0
                    control.fail_allocation = number
                    with contextlib.suppress(AdminError, ConnectionError, ValueError):      # ValueError: the answer was lost
                        daemon.admin("reload")
                    control.quiet()
                    has_failed = control.failed_allocations > 0
                    values = {row[0]: row[1] for row in daemon.admin("show.config")["rows"]}
                    self.assertEqual(values["connection.groups"], values["resume.parked-per-user"])
                    self.assertIn(":" + values["connection.groups"], values["http.origins"])
            self.assertGreater(number, 100)
            self.assertEqual(values["connection.groups"], str(60 + number % 2))

    def test_starting_fails_cleanly(self):
        control = Control()
        self.addCleanup(control.close)
        with Daemon(environment=control.environment()) as daemon:
            count = control.allocations
            self.assertGreater(count, 20)
        for number in range(1, count + 1, STEP):
            with self.subTest(allocation=number):
                control.allocations, control.fail_allocation = 0, number
                control.live_blocks = 0
                daemon = Daemon(environment=control.environment())
                try:
                    daemon.start()
                except AssertionError:
                    self.assertIn(daemon.process.returncode, (70, 71, 69, 78), daemon.log())
                daemon.stop()
                self.assertGreaterEqual(daemon.process.returncode, 0, daemon.log())
                self.assertEqual(control.live_blocks, 0, daemon.log())
                daemon.directory.cleanup()


class Loss(unittest.TestCase):
    """A client that is too slow, while there is no memory to tell it what it lost."""

    def test_it_is_told_all_that_it_lost_or_its_connection_ends(self):
        rules = "groups:\n  - {match: d, slow: drop-oldest}\n  - {match: l, slow: latest}\n"
        told = ended = 0
        with FaultyDaemon({"queue.envelopes": 16}, config=rules) as daemon:
            for start, group in itertools.product(range(1, 41), "dl"):
                with Poller(daemon.port, wait=0, group=group) as poller:
                    control = daemon.control
                    control.spares_main, control.allocations, control.fail_every, control.fail_allocation = 1, 0, 5, start
                    for number in range(1, 41):
                        daemon.publish("n", number, group=group)
                    daemon.admin("ping")
                    control.quiet()
                    envelopes = poller.poll()
                    if envelopes[0]["eventName"] == "rtc.welcome":
                        ended += 1
                    else:
                        told += 1
                        got = [e for e in envelopes if e["eventName"] == "n"]
                        lost = sum(e["data"]["lost"] for e in envelopes if e["eventName"] == "rtc.gap")
                        self.assertEqual((len(got) + lost, got[-1]["data"]), (40, 40))
        self.assertGreater(told, 0)
        self.assertGreater(ended, 0)


class SystemCalls(unittest.TestCase):
    def test_short_counts_interrupts_and_resets_lose_no_more_than_their_connection(self):
        with FaultyDaemon() as daemon:
            for rate, rounds in ((5, 30), (50, 30), (200, 20)):
                done = 0
                for seed in range(rounds):
                    with self.subTest(rate=rate, seed=seed):
                        daemon.control.seed, daemon.control.calls, daemon.control.call_rate = seed, 0, rate
                        done += Session(daemon).run().done
                        daemon.control.quiet()
                    self.assertIsNone(daemon.process.poll(), daemon.log())
                if rate < 50:
                    self.assertGreater(done, rounds * 4)
            self.assertGreater(daemon.control.failed_calls, 1000)
            self.assertEqual(Session(daemon).run().failed, [])

    def test_failures_do_not_make_it_spin(self):
        with FaultyDaemon() as daemon:
            def cost():
                before = processor_s(daemon)
                for _ in range(20):
                    Session(daemon).run()
                return processor_s(daemon) - before
            plain = cost()
            daemon.control.seed, daemon.control.call_rate = 1, 100
            self.assertLess(cost(), 3 * plain + 0.05)

    def test_out_of_descriptors_it_waits_and_serves_those_it_has(self):
        with FaultyDaemon() as daemon, WebSocket(daemon.port) as ws:
            for error in (24, 23, 105, 12, 1):      # EMFILE, ENFILE, ENOBUFS, ENOMEM; EPERM, as a firewall says it
                daemon.control.accept_error = error
                waiting = Http(daemon.port)
                waiting.send("POST", "/rtc/negotiate")
                admin = socket.socket(socket.AF_UNIX)
                admin.connect(daemon.admin_path)
                admin.sendall(b'{"eventName":"ping","id":1}\n')
                before = processor_s(daemon)
                for _ in range(25):
                    ws.call("rtc.join", {"group": "g"})
                    self.assertEqual(select.select([waiting.link, admin], [], [], 0.02)[0], [])
                self.assertLess(processor_s(daemon) - before, 0.1, error)
                daemon.control.accept_error = 0
                self.assertEqual(waiting.reader.response().status, 200)
                waiting.close()
                self.assertIn(b"rtc.reply", admin.recv(1000))
                admin.close()


class Files(unittest.TestCase):
    def test_certificates_are_taken_though_reading_them_is_interrupted(self):
        with tempfile.TemporaryDirectory() as directory:
            item = certificates.Authority(directory).issue_for("localhost").item
            daemon = FaultyDaemon(config="log: {}\n")
            daemon.arguments += ["--set", f"listen=tls:127.0.0.1:{daemon.port}", "--set", f"tls.certificates={item}"]
            with daemon:
                daemon.control.is_harmless, daemon.control.call_rate = 1, 300
                for seed in range(20):
                    daemon.control.seed = seed
                    daemon.admin("reload")
                self.assertGreater(daemon.control.failed_calls, 20)


class FanOut(unittest.TestCase):
    """Members whose sockets fail while a message goes round among them."""
    MEMBERS, ROUNDS, EACH = 40, 12, 20

    def take(self, daemon, member, got, count):
        """Until the member has all, over as many links as it takes."""
        while len(got) < count:
            try:
                got.append(member.expect("n")["data"])
            except (EOFError, ConnectionError, Closed):
                received = member.received
                member.drop()
                member = WebSocket(daemon.port, token=member.token, received=received)
                member.received = received
                self.assertTrue(member.welcome["data"]["resumed"])
        self.assertEqual(got, list(range(count)))
        return member

    def test_members_whose_sockets_die_in_it_lose_nothing_and_harm_nobody(self):
        with FaultyDaemon({"resume.window": "60s", "resume.envelopes": 100000, "resume.bytes": "64MiB"}) as daemon:
            members = [WebSocket(daemon.port, group="g") for _ in range(self.MEMBERS)]
            got = [[] for _ in members]
            for seed in range(self.ROUNDS):
                control, count = daemon.control, (seed + 1) * self.EACH
                control.seed, control.spares_main, control.call_rate = seed, 1, 150
                for number in range(count - self.EACH, count):
                    self.assertEqual(daemon.publish("n", number, group="g"), self.MEMBERS)
                daemon.admin("ping")
                control.quiet()
                members = [self.take(daemon, member, mine, count) for member, mine in zip(members, got)]
            self.assertGreater(daemon.counter("connections_resumed"), self.MEMBERS)
            self.assertGreater(control.failed_calls, 300)
            for member in members:
                member.drop()


class Clocks(unittest.TestCase):
    DAY_S = 86400

    def test_a_step_of_the_wall_clock_neither_shortens_nor_lengthens_what_is_waited_for(self):
        with FaultyDaemon({"resume.window": "2s", "connection.keep-alive": "100ms", "connection.timeout": "30s"}) as daemon:
            for step_s in (self.DAY_S, -self.DAY_S, 100 * 365 * self.DAY_S, 0):
                with self.subTest(step_s=step_s):
                    ws, stays = WebSocket(daemon.port), WebSocket(daemon.port)
                    ws.drop()
                    wait_until(lambda: any(c["id"] == ws.id and c["state"] == "parked" for c in daemon.connections()), "parked")
                    daemon.control.wall_offset_s = step_s
                    # A few keep-alives later all is as it was.
                    while len(stays.pings) < 3:
                        stays.link.settimeout(0.05)
                        with contextlib.suppress(TimeoutError):
                            stays.receive()
                    stays.link.settimeout(20)
                    with WebSocket(daemon.port, token=ws.token, received=0) as back:
                        self.assertTrue(back.welcome["data"]["resumed"])
                        self.assertNotIn("error", back.call("rtc.join", {"group": "g"}))
                    wait_until(lambda: ws.id not in [c["id"] for c in daemon.connections()], "the window to end")
                    stays.close()
            self.assertEqual(daemon.counter("timeouts"), 0)


if __name__ == "__main__":
    unittest.main()
