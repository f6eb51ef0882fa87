"""Webhooks: who is told what, in which order, and what receivers that misbehave cost (nobody but themselves)."""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

import certificates
import receivers
from client import WebSocket
from harness import BUILD, ROOT, AdminError, Daemon, free_port, wait_until
from receivers import Receiver

SECRET = b"0123456789abcdef0123456789abcdef-secret-of-tests"
QUICK = {"timeout": "20s", "retry-delay": "5ms", "retry-delay-max": "40ms", "breaker-failures": 1000}


def config(*webhooks):
    """Each is a dict of options; JSON is YAML."""
    return json.dumps({"webhooks": [{"name": f"hook{index}", "events": ["connected", "disconnected"], **webhook} for index, webhook in enumerate(webhooks)]})


def daemon_with(*webhooks, **more):
    environment = more.pop("environment", None)
    return Daemon({"connection.claimed-users": "true", **more}, config=config(*webhooks), environment=environment)


def rows(daemon):
    columns = "webhook state waiting delivered asked failed dropped error".split()
    return {row[0]: dict(zip(columns, row)) for row in daemon.admin("list.webhooks")["rows"]}


def row(daemon, name="hook0"):
    return rows(daemon)[name]


def come_and_go(daemon, count=1):
    """Clients that connect and close, one after the other; their ids."""
    ids = []
    for number in range(count):
        client = WebSocket(daemon.port, user=f"user{number}")
        ids.append(client.id)
        client.close()
        wait_until(lambda: not daemon.connections(), "no connection")
    return ids


def is_served(test, daemon):
    """A client gets what it asks for and what is published to it."""
    client = WebSocket(daemon.port)
    client.call("rtc.join", {"group": "room"})
    daemon.publish("tick", 1, group="room")
    test.assertEqual(client.expect("tick")["data"], 1)
    client.close()
    wait_until(lambda: not daemon.connections(), "no connection")


class Telling(unittest.TestCase):
    def test_it_is_told_who_comes_and_goes_as_cloud_events(self):
        with Receiver() as receiver, daemon_with({"url": receiver.url, "events": ["epoch", "connected", "disconnected"]}) as daemon:
            ids = come_and_go(daemon, 3)
            epoch, *told = receiver.expect(7)
            self.assertEqual((epoch["type"], epoch["data"]["sequence"]), ("rtcd.epoch", 1))
            self.assertEqual([(event["type"], event["subject"]) for event in told],
                             [(f"rtcd.{kind}", id) for id in ids for kind in ("connected", "disconnected")])
            for event in [epoch, *told]:
                self.assertEqual((event["specversion"], event["source"], event["datacontenttype"]), ("1.0", "rtcd", "application/json"))
                self.assertEqual(event["id"], f"{epoch['data']['epoch']}-{event['data']['sequence']}")
                self.assertRegex(event["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertEqual(sorted(event["data"]["sequence"] for event in told), [event["data"]["sequence"] for event in told])
            self.assertEqual(told[0]["data"]["userId"], "user0")
            self.assertEqual(told[0]["data"]["connectionId"], ids[0])
            self.assertEqual(told[0]["data"]["transport"], "websocket")
            self.assertEqual(told[1]["data"]["reason"], "client-closed")
            self.assertEqual({request.headers["Content-Type"] for request in receiver.requests}, {receivers.SINGLE})
            self.assertEqual(len({request.link for request in receiver.requests}), 1, "one connection is kept for all")
            self.assertNotIn("Rtcd-Signature", receiver.requests[0].headers)
            self.assertNotIn("Rtcd-Lost", receiver.requests[0].headers)
            wait_until(lambda: daemon.counter("webhook_delivered") == 7, "the last answer to count")
            self.assertEqual(row(daemon)["state"], "ready")

    def test_the_environment_names_a_proxy(self):
        with Receiver() as proxy, Receiver() as receiver:
            for none, asked in (("", proxy), ("127.0.0.1", receiver)):
                with daemon_with({"url": receiver.url, "events": "epoch"}, environment={"http_proxy": proxy.url, "no_proxy": none}):
                    asked.expect(1)
            self.assertEqual((len(proxy.requests), len(receiver.requests)), (1, 1))

    def test_many_go_in_one_request(self):
        slow = receivers.Never()
        with Receiver(slow) as receiver, daemon_with({"url": receiver.url, "batch": 100, "timeout": "10s"}) as daemon:
            come_and_go(daemon, 20)
            wait_until(lambda: receiver.requests, "a request")
            receiver.behave(receivers.good)
            slow.over.set()                 # its connection ends without an answer: a failure
            told = receiver.expect(40)
            self.assertEqual([event["type"] for event in told], ["rtcd.connected", "rtcd.disconnected"] * 20)
            self.assertEqual({request.headers["Content-Type"] for request in receiver.requests}, {receivers.BATCH})
            self.assertLess(len(receiver.requests), 10)

    def test_the_end_of_the_daemon_is_told(self):
        hook = {"events": ["online", "offline"], "batch": 5, "batch-delay": "1min"}
        with Receiver() as receiver, Receiver(receivers.status(503)) as other, \
                daemon_with({"url": receiver.url, **hook}, {"url": other.url, **hook, "batch": 1}) as daemon:
            clients = [WebSocket(daemon.port, user=f"user{number}") for number in range(12)]
            receiver.expect(10)
            daemon.stop()
            told = receiver.expect(24)
            self.assertEqual(sorted(event["subject"] for event in told if event["type"] == "rtcd.offline"),
                             sorted(f"user{number}" for number in range(12)))
            for client in clients:
                client.close()

    def test_an_event_waits_for_others_to_go_with_it(self):
        with Receiver() as receiver, daemon_with({"url": receiver.url, "batch": 6, "batch-delay": "1min"}) as daemon:
            come_and_go(daemon, 2)
            self.assertEqual(row(daemon)["waiting"], 4)
            come_and_go(daemon, 1)
            receiver.expect(6)
            self.assertEqual([len(request.events) for request in receiver.requests], [6])

    def test_requests_are_signed(self):
        with Receiver() as receiver, daemon_with({"url": receiver.url, "secret-file": secret_file(self, SECRET + b"\n")}) as daemon:
            come_and_go(daemon)
            receiver.expect(2)
            for request in receiver.requests:
                self.assertTrue(request.is_signed_by(SECRET))
                self.assertFalse(request.is_signed_by(SECRET[:-1]))

    def test_the_receiver_of_the_manual_takes_what_is_ours_alone(self):
        with open(os.path.join(ROOT, "man/rtcd.8.in"), encoding="utf-8") as file:
            program = file.read().partition("import hashlib")[2].partition(".Ed")[0]
        path, port = secret_file(self, SECRET), free_port()
        program = "import hashlib" + program.replace("/etc/rtcd/accounts.secret", path).replace("9000", str(port))
        with subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as receiver:
            self.addCleanup(receiver.kill)
            url = f"http://127.0.0.1:{port}/"
            with daemon_with({"url": url, "secret-file": path, **QUICK}, {"url": url, "secret-file": secret_file(self, b"x" * 40), **QUICK}, {"url": url, **QUICK}) as daemon:
                id, = come_and_go(daemon)
                wait_until(lambda: all(row["waiting"] == 0 for row in rows(daemon).values()), "all answered")
                self.assertEqual([(row["delivered"], row["dropped"]) for row in rows(daemon).values()], [(2, 0), (0, 2), (0, 2)])
            self.assertEqual([receiver.stdout.readline().split()[1:] for _ in range(2)], [["rtcd.connected", id], ["rtcd.disconnected", id]])
            receiver.kill()

    def test_a_reload_reads_the_secret_again(self):
        path, other = secret_file(self, SECRET), SECRET[::-1]
        with Receiver() as receiver, daemon_with({"url": receiver.url, "secret-file": path, "events": "connected"}) as daemon:
            come_and_go(daemon)
            receiver.expect(1)
            with open(path, "wb") as file:
                file.write(other)
            self.assertEqual(daemon.rtcctl("reload").stdout, "no option changed; files with keys, secrets and certificates were read again\n")
            come_and_go(daemon)
            receiver.expect(2)
            self.assertEqual([[request.is_signed_by(secret) for secret in (SECRET, other)] for request in receiver.requests], [[True, False], [False, True]])

    def test_it_hears_of_what_it_wants_alone(self):
        with Receiver() as one, Receiver() as other, daemon_with({"url": one.url, "events": "disconnected"}, {"url": other.url}) as daemon:
            come_and_go(daemon, 2)
            other.expect(4)
            self.assertEqual([event["type"] for event in one.expect(2)], ["rtcd.disconnected"] * 2)
            wait_until(lambda: [row["delivered"] for row in rows(daemon).values()] == [2, 4], "their answers to count")

    def test_it_is_told_of_users_and_of_the_groups_that_it_names(self):
        options = {"events": ["online", "offline", "occupied", "vacated"], "groups": ["room.*"]}
        with Receiver() as receiver, daemon_with({"url": receiver.url, **options}) as daemon:
            for _ in range(2):
                clients = [WebSocket(daemon.port, user="anna") for _ in range(2)]
                for client in clients:
                    client.call("rtc.join", {"group": "room.1"})
                    client.call("rtc.join", {"group": "other"})
                for client in clients:
                    client.close()
                wait_until(lambda: not daemon.connections(), "no connection")
            told = receiver.expect(8)
            self.assertEqual([sorted((event["type"], event["subject"]) for event in part) for part in (told[:2], told[2:4], told[4:6], told[6:])],
                             [[("rtcd.occupied", "room.1"), ("rtcd.online", "anna")], [("rtcd.offline", "anna"), ("rtcd.vacated", "room.1")]] * 2)
            generations = [[event["data"]["generation"] for event in told if event["type"] == kind] for kind in ("rtcd.online", "rtcd.offline")]
            self.assertEqual(generations[0], generations[1])
            self.assertEqual(generations[0], [event["data"]["sequence"] for event in told if event["type"] == "rtcd.online"])


def secret_file(test, secret, mode=0o600):
    folder = test.enterContext(tempfile.TemporaryDirectory(prefix="rtcd-test-webhooks-"))
    path = os.path.join(folder, "secret")
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(secret)
    return path


class Misbehaviour(unittest.TestCase):
    """Each receiver misbehaves at first; meanwhile clients are served. Once it behaves it has everything, in order."""

    def survive(self, behaviour, error, **options):
        with Receiver(behaviour) as receiver, daemon_with({"url": receiver.url, **QUICK, **options}) as daemon:
            ids = come_and_go(daemon, 5)
            wait_until(lambda: row(daemon)["failed"] >= 2, "two failures")
            is_served(self, daemon)
            self.assertRegex(row(daemon)["error"], error)
            self.assertEqual(row(daemon)["delivered"], 0)
            receiver.behave(receivers.good)
            if hasattr(behaviour, "over"):
                behaviour.over.set()
            self.assert_all_in_order(receiver, daemon, ids)
            return receiver

    def assert_all_in_order(self, receiver, daemon, ids):
        wait_until(lambda: row(daemon)["waiting"] == 0, "all delivered")
        told = [(event["type"], event["subject"]) for event in {event["id"]: event for event in receiver.events()}.values()]
        self.assertEqual([one for one in told if one[1] in ids], [(f"rtcd.{kind}", id) for id in ids for kind in ("connected", "disconnected")])
        self.assertEqual((row(daemon)["state"], row(daemon)["dropped"]), ("ready", 0))

    def test_never_answering(self):
        self.survive(receivers.Never(), "(?i)timed? ?out|timeout", timeout="200ms")

    def test_slow(self):
        self.survive(receivers.Drip(), "(?i)timed? ?out|timeout", timeout="200ms")

    def test_garbage(self):
        self.survive(receivers.garbage, "HTTP")

    def test_a_huge_answer(self):
        self.survive(receivers.huge, "more than 1024 bytes", **{"answer-bytes": "1KiB"})

    def test_closing_in_the_middle(self):
        self.survive(receivers.cut, "(?i)transfer closed|remaining|end of")

    def test_reset(self):
        self.survive(receivers.reset, "(?i)reset|recv|empty")

    def test_failing(self):
        self.survive(receivers.status(500), "status 500")

    def test_too_busy(self):
        self.survive(receivers.status(429, Retry_After="1000"), "status 429")        # up to retry-delay-max

    def test_redirecting(self):
        with Receiver() as elsewhere:
            self.survive(receivers.status(302, Location=elsewhere.url), "status 302")
            self.survive(receivers.status(307, Location=elsewhere.url), "status 307")
            self.assertEqual((elsewhere.requests, elsewhere.server.got), ([], False))

    def test_batches_are_tried_again_whole(self):
        self.survive(receivers.status(503), "status 503", batch=4)

    def test_down(self):
        with Receiver(is_up=False) as receiver, daemon_with({"url": receiver.url, **QUICK}) as daemon:
            ids = come_and_go(daemon, 5)
            wait_until(lambda: row(daemon)["failed"] >= 2, "two failures")
            self.assertEqual(row(daemon)["state"], "retrying")
            is_served(self, daemon)
            receiver.start()
            self.assert_all_in_order(receiver, daemon, ids)
            self.assertEqual(daemon.log().count("webhook hook0: "), 2, daemon.log())      # once for failing, once for its end

    def test_restarts_lose_nothing(self):
        with Receiver() as receiver, daemon_with({"url": receiver.url, "batch": 3, **QUICK}) as daemon:
            ids = []
            for _ in range(5):
                ids += come_and_go(daemon, 4)
                receiver.stop()
                ids += come_and_go(daemon, 4)
                receiver.start()
            self.assert_all_in_order(receiver, daemon, ids)

    def test_it_waits_as_long_as_it_is_asked_to(self):
        busy = receivers.status(503, Retry_After="1")
        with Receiver(busy) as receiver, daemon_with({"url": receiver.url, **QUICK, "retry-delay-max": "1min"}) as daemon:
            begun = time.monotonic()
            come_and_go(daemon)
            wait_until(lambda: len(receiver.requests) >= 2, "a second try")
            self.assertGreater(time.monotonic() - begun, 0.9)

    def test_what_is_refused_is_dropped(self):
        with Receiver(receivers.status(400)) as receiver, daemon_with({"url": receiver.url, **QUICK}) as daemon:
            come_and_go(daemon, 2)
            wait_until(lambda: row(daemon)["dropped"] == 4, "four drops")
            self.assertEqual(row(daemon)["state"], "refused")
            self.assertEqual(daemon.counter("webhook_dropped"), 4)
            self.assertEqual(len(receiver.requests), 4)
            receiver.behave(receivers.good)
            come_and_go(daemon)
            wait_until(lambda: row(daemon)["delivered"] == 2, "two events")
            self.assertEqual(row(daemon)["state"], "ready")
            self.assertEqual(receiver.requests[-1].headers["Rtcd-Lost"], "4")
            self.assertEqual(daemon.log().count("webhook hook0: "), 2, daemon.log())

    def test_wrong_certificates(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="rtcd-test-webhooks-"))
        good, other = certificates.Authority(folder, "good"), certificates.Authority(folder, "other")
        for authority, host, ca in ((good, "elsewhere", good.path), (other, "localhost", good.path), (good, "localhost", "")):
            with self.subTest(host=host, ca=ca), Receiver(context=context(authority, host)) as receiver:
                with daemon_with({"url": receiver.url, "ca-file": ca, **QUICK}) as daemon:
                    come_and_go(daemon)
                    wait_until(lambda: row(daemon)["failed"] >= 2, "two failures")
                    self.assertRegex(row(daemon)["error"], "(?i)certificate|SSL")
                    is_served(self, daemon)
                self.assertEqual(receiver.requests, [])
        with Receiver(context=context(good, "localhost")) as receiver, daemon_with({"url": receiver.url, "ca-file": good.path}) as daemon:
            come_and_go(daemon)
            receiver.expect(2)


def context(authority, host):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_for(host)
    made.load_cert_chain(*issued.item.split(":"))
    return made


class Breaker(unittest.TestCase):
    def test_it_opens_and_closes_as_its_receiver_flaps(self):
        options = {"retry-delay": "1ms", "retry-delay-max": "1ms", "breaker-failures": 3, "breaker-pause": "50ms"}
        with Receiver(receivers.status(500)) as receiver, daemon_with({"url": receiver.url, **options}) as daemon:
            ids = []
            for round_number in range(3):
                receiver.behave(receivers.status(500))
                ids += come_and_go(daemon)
                wait_until(lambda: row(daemon)["state"] in ("open", "probing"), "the breaker opens")
                is_served(self, daemon)
                receiver.behave(receivers.good)
                wait_until(lambda: row(daemon)["state"] == "ready", "the breaker closes")
                self.assertEqual(daemon.log().count("failed 3 times in a row"), round_number + 1)
            Misbehaviour.assert_all_in_order(self, receiver, daemon, ids)

    def test_an_open_one_asks_nothing(self):
        options = {"retry-delay": "1ms", "retry-delay-max": "1ms", "breaker-failures": 3, "breaker-pause": "1h"}
        with Receiver(receivers.status(500)) as receiver, daemon_with({"url": receiver.url, **options}) as daemon:
            come_and_go(daemon)
            wait_until(lambda: row(daemon)["state"] == "open", "the breaker opens")
            come_and_go(daemon, 5)
            is_served(self, daemon)
            self.assertEqual(len(receiver.requests), 3)
            receiver.behave(receivers.good)
            daemon.write_config(config({"url": receiver.url, **options, "timeout": "4s"}))     # a change is a reason to try
            daemon.admin("reload")
            wait_until(lambda: row(daemon)["waiting"] == 0, "all delivered")


class Bounds(unittest.TestCase):
    def test_only_so_many_wait(self):
        for policy, kept in (("drop-oldest", slice(-3, None)), ("drop-newest", slice(0, 3))):
            with self.subTest(policy=policy), Receiver(is_up=False) as receiver:
                options = {"url": receiver.url, **QUICK, "retry-delay": "1h", "retry-delay-max": "1h", "queue": 3, "queue-full": policy}
                with daemon_with({**options, "events": "connected"}) as daemon:
                    ids = come_and_go(daemon, 8)
                    wait_until(lambda: row(daemon)["failed"] == 1, "a failure")
                    self.assertEqual(row(daemon)["waiting"] + row(daemon)["dropped"], 8)
                    self.assertLessEqual(row(daemon)["waiting"], 4)         # one may have been under way
                    dropped = row(daemon)["dropped"]
                    self.assertEqual(daemon.counter("webhook_dropped"), dropped)
                    receiver.start()
                    daemon.write_config(config({**options, "events": "connected", "timeout": "4s"}))
                    daemon.admin("reload")
                    told = receiver.expect(8 - dropped)
                    self.assertEqual([event["subject"] for event in told][kept], ids[kept])
                    self.assertEqual(receiver.requests[0].headers["Rtcd-Lost"], str(dropped))

    def test_what_is_too_old_is_dropped(self):
        with Receiver(receivers.status(500)) as receiver, daemon_with({"url": receiver.url, **QUICK, "retry-age": "1s"}) as daemon:
            come_and_go(daemon)
            wait_until(lambda: row(daemon)["dropped"] == 2, "two drops")
            self.assertEqual(row(daemon)["waiting"], 0)


class Configs(unittest.TestCase):
    def test_what_waits_goes_on_waiting_over_a_reload(self):
        with Receiver(is_up=False) as nobody, Receiver() as receiver, daemon_with({"url": nobody.url, **QUICK}, {"url": nobody.url, **QUICK}) as daemon:
            ids = come_and_go(daemon, 2)
            daemon.write_config(config({"url": receiver.url}))
            daemon.admin("reload")
            self.assertEqual([event["subject"] for event in receiver.expect(4)], [ids[0], ids[0], ids[1], ids[1]])
            self.assertEqual(list(rows(daemon)), ["hook0"])
            self.assertIn("webhook hook1: it is no longer in the config, and 4 events that waited for it are lost", daemon.log())
            self.assertEqual(daemon.counter("webhook_dropped"), 4)
            daemon.write_config("")
            daemon.admin("reload")
            self.assertEqual(rows(daemon), {})
            come_and_go(daemon)

    def test_secrets_that_others_can_read_are_refused(self):
        with Receiver() as receiver, daemon_with({"url": receiver.url}) as daemon:
            for secret, mode, problem in ((SECRET, 0o644, "its mode 0644 lets others"), (b"short", 0o600, "32")):
                daemon.write_config(config({"url": receiver.url, "secret-file": secret_file(self, secret, mode)}))
                with self.assertRaises(AdminError) as refused:
                    daemon.admin("reload")
                self.assertRegex(refused.exception.args[1], "webhooks.secret-file: .*" + problem)
                checked = subprocess.run([os.path.join(BUILD, "daemon/rtcd"), "--check", "--config", daemon.config_path], capture_output=True, text=True, check=False)
                self.assertEqual(checked.returncode, 78)
                self.assertIn(problem, checked.stderr)
            come_and_go(daemon)         # the old config goes on
            receiver.expect(2)


if __name__ == "__main__":
    unittest.main()
