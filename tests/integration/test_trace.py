"""What is told of one message at each of its recipients: publish --wait and trace publish, with real clients that take it, or do not."""

import contextlib
import json
import threading
import time
import unittest

from api import ApiTest
from client import Poller, Sse, WebSocket
from harness import AdminError, Daemon, DaemonTest, wait_until

COLUMNS = "connection user transport protocol state reason queued sent settled".split()
COUNTS = "acknowledged dropped forgotten closed tooNew unsettled".split()
ENDLESS = "10min"       # of --wait: a test that takes so long has failed


class Asking(threading.Thread):
    """A command under way, while its recipients do something."""

    def __init__(self, daemon, command, **data):
        super().__init__()
        self.daemon, self.command, self.data, self.answer, self.error = daemon, command, data, None, None
        self.start()

    def run(self):
        try:
            self.answer = self.daemon.admin(self.command, **self.data)
        except (AdminError, OSError, ValueError) as error:
            self.error = error

    def result(self):
        self.join(60)
        assert not self.is_alive(), "no answer has come"
        if self.error:
            raise self.error
        return self.answer


def rows_of(answer):
    return {row[0]: dict(zip(COLUMNS, row)) for row in answer["rows"]}


def counts_of(answer):
    return {name: answer[name] for name in COUNTS if answer[name]}


class Fates(DaemonTest):
    options = {"connection.claimed-users": "true", "connection.keep-alive": "1h", "connection.timeout": "2h", "resume.window": "1h",
               "queue.envelopes": 16, "resume.envelopes": 16, "queue.time": "1h"}
    workers = 2

    def trace(self, group, wait=ENDLESS, **data):
        return Asking(self.daemon, "trace.publish", group=group, event="n", data=1, wait=wait, **data)

    def times_are_in_order(self, row):
        times = [row[name] for name in ("queued", "sent", "settled") if row[name] is not None]
        self.assertEqual(times, sorted(times), row)

    def test_a_websocket_is_asked_at_once_and_acknowledges(self):
        with WebSocket(self.daemon.port, user="ann", group="ws") as plain, WebSocket(self.daemon.port, "msgpack", group="ws") as packed:
            asking = self.trace("ws")
            for client in (plain, packed):
                self.assertEqual(client.expect("n")["data"], 1)
                client.answers_pings = False
                opcode, payload = client.frame()
                self.assertEqual((opcode, payload), (9, b"1"))
                client.send_raw(bytes([0x8A, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)
            answer = asking.result()
            self.assertEqual((answer["recipients"], answer["queued"], counts_of(answer)), (2, 2, {"acknowledged": 2}))
            rows = rows_of(answer)
            self.assertEqual({id: (row["user"], row["transport"], row["protocol"], row["state"]) for id, row in rows.items()},
                             {plain.id: ("ann", "websocket", "json", "acknowledged"), packed.id: ("", "websocket", "msgpack", "acknowledged")})
            for row in rows.values():
                self.times_are_in_order(row)
                self.assertNotIn(None, (row["queued"], row["sent"], row["settled"]))

    def test_a_poll_acknowledges_with_the_next_one(self):
        with Poller(self.daemon.port, wait=20000, group="poll") as poller:
            poller.ask()
            asking = self.trace("poll")
            self.assertEqual([envelope["data"] for envelope in poller.answer()], [1])
            wait_until(lambda: self.daemon.connections(), "it to be parked")
            poller.ask(wait=0)
            answer = asking.result()
            (row,) = answer["rows"]
            self.assertEqual(row[2:5], ["longpoll", "json", "acknowledged"])

    def test_who_acknowledges_nothing_stays_sent_until_the_time_is_over(self):
        with Sse(self.daemon.port, group="sse") as sse:
            answer = self.trace("sse", wait="1s").result()
            self.assertEqual(sse.expect("n")["data"], 1)
            row = rows_of(answer)[sse.id]
            self.assertEqual((row["state"], row["settled"], counts_of(answer)), ("sent", None, {"unsettled": 1}))
            self.assertIsNotNone(row["sent"])

    def test_who_has_no_transport_is_parked_and_acknowledges_when_he_is_back(self):
        with WebSocket(self.daemon.port, group="parked") as ws:
            ws.drop()
            wait_until(lambda: [row["state"] for row in self.daemon.connections() if row["id"] == ws.id] == ["parked"], "it to be parked")
            answer = self.trace("parked", wait="1s").result()
            row = rows_of(answer)[ws.id]
            self.assertEqual((row["state"], row["sent"], row["settled"]), ("parked", None, None))
            asking = self.trace("parked")
            wait_until(lambda: self.queued(ws.id) == 2, "the second to be queued")
            with WebSocket(self.daemon.port, token=ws.token, received=0) as back:
                self.assertTrue(back.welcome["data"]["resumed"])
                back.expect("n")
                back.expect("n")
                back.send("rtc.ack", {"received": 2})
                row = rows_of(asking.result())[ws.id]
                self.assertEqual(row["state"], "acknowledged")
                self.times_are_in_order(row)

    def queued(self, id):
        return self.daemon.admin("show.connection", connection=id)["unsent"]

    def test_who_is_closed_before_stands_there_with_the_reason(self):
        with Sse(self.daemon.port, user="out", group="closed") as sse, WebSocket(self.daemon.port, answers_pings=False, group="closed") as ws:
            asking = self.trace("closed")
            ws.expect("n")
            sse.expect("n")
            self.daemon.admin("disconnect", connection=sse.id)
            ws.close()
            answer = asking.result()
            self.assertEqual(counts_of(answer), {"closed": 2})
            rows = rows_of(answer)
            self.assertEqual([(rows[id]["state"], rows[id]["reason"]) for id in (sse.id, ws.id)],
                             [("closed", "disconnected"), ("closed", "client-closed")])

    def test_who_is_sent_more_than_is_kept_has_it_forgotten(self):
        with Sse(self.daemon.port, group="forgotten") as sse:
            asking = self.trace("forgotten")
            sse.expect("n")
            for number in range(17):
                self.daemon.publish("more", number, group="forgotten")
                sse.expect("more")
            answer = asking.result()
            self.assertEqual((rows_of(answer)[sse.id]["state"], counts_of(answer)), ("forgotten", {"forgotten": 1}))

    def test_recipients_that_there_are_not_are_not_waited_for(self):
        self.assertEqual(self.daemon.admin("publish", group="nobody", event="n", wait=ENDLESS),
                         {"recipients": 0, "queued": 0, **{name: 0 for name in COUNTS}})
        answer = self.daemon.admin("trace.publish", group="nobody", event="n", wait=ENDLESS)
        self.assertEqual((answer["rows"], answer["recipients"]), ([], 0))

    def test_all_and_one_connection_and_a_user_can_be_traced(self):
        with WebSocket(self.daemon.port, user="eve") as ws, WebSocket(self.daemon.port, user="eve") as other:
            for to, clients in (({"connection": ws.id}, [ws]), ({"user": "eve"}, [ws, other])):
                asking = Asking(self.daemon, "trace.publish", event="n", wait=ENDLESS, **to)
                for client in clients:
                    client.expect("n")
                    client.send("rtc.ping")
                    client.expect("rtc.pong")
                self.assertEqual({id: row["state"] for id, row in rows_of(asking.result()).items()},
                                 {client.id: "acknowledged" for client in clients})
            answer = self.daemon.admin("trace.publish", event="n", all=True, wait="1s", filter="user=eve")
            self.assertEqual(set(rows_of(answer)), {ws.id, other.id})
            with self.assertRaises(AdminError) as caught:
                self.daemon.admin("trace.publish", event="n", connection="00000000-0000-4000-8000-000000000000")
            self.assertEqual(caught.exception.code, "not-found")

    def test_what_is_wrong_is_told_and_nothing_published(self):
        with Sse(self.daemon.port, group="wrong") as sse:
            for data, part in (({"wait": "soon"}, "wait is a time"), ({"wait": "11min"}, "wait is a time"), ({"wait": 5}, "must be a string")):
                with self.assertRaises(AdminError) as caught:
                    self.daemon.admin("publish", group="wrong", event="no", **data)
                self.assertIn(part, caught.exception.args[1])
            with self.assertRaises(AdminError) as caught:
                self.daemon.admin("trace.publish", group="wrong", event="no", filter="frogs=1")
            self.assertIn("no such column", caught.exception.args[1])
            self.daemon.publish("yes", group="wrong")
            self.assertEqual(sse.receive()["eventName"], "yes")


class Slow(unittest.TestCase):
    """Clients that stop reading."""

    OPTIONS = {"connection.claimed-users": "true", "connection.keep-alive": "1h", "connection.timeout": "2h", "queue.envelopes": 16,
               "queue.bytes": "64MiB", "queue.soft-bytes": "64MiB", "queue.time": "1h"}
    CONFIG = "connection:\n  anonymous: true\ngroups:\n  - match: lossy.*\n    slow: drop-oldest\n"

    def fill(self, daemon, id, group):
        """Publishes until the socket takes no more, whatever room the kernel makes later."""
        while self.waiting(daemon, id) < 8:
            daemon.publish("fill", "x" * 100000, group=group)

    def waiting(self, daemon, id):
        return daemon.admin("show.connection", connection=id)["unsent"]

    def test_what_waits_is_queued_and_then_dropped_or_closed_by_their_group(self):
        with Daemon(self.OPTIONS, config=self.CONFIG) as daemon, WebSocket(daemon.port, group="lossy.a") as lossy, \
                WebSocket(daemon.port, group="strict") as strict:
            for client, group in ((lossy, "lossy.a"), (strict, "strict")):
                self.fill(daemon, client.id, group)
                answer = daemon.admin("trace.publish", group=group, event="n", wait="1s")
                row = rows_of(answer)[client.id]
                self.assertEqual((row["state"], row["sent"], counts_of(answer)), ("queued", None, {"unsettled": 1}))
            before = {client: self.waiting(daemon, client.id) for client in (lossy, strict)}
            asked = {group: Asking(daemon, "trace.publish", group=group, event="n", wait=ENDLESS) for group in ("lossy.a", "strict")}
            wait_until(lambda: all(self.waiting(daemon, client.id) > count for client, count in before.items()), "both to be queued")
            for group, asking in asked.items():
                while asking.is_alive():
                    daemon.publish("more", "x", group=group)
            self.assertEqual({group: [(row["state"], row["reason"]) for row in rows_of(asking.result()).values()]
                              for group, asking in asked.items()},
                             {"lossy.a": [("dropped", "")], "strict": [("closed", "slow-consumer")]})

    def test_a_daemon_that_ends_answers_what_it_knows(self):
        with Daemon(self.OPTIONS) as daemon, Sse(daemon.port, group="g") as sse:
            asking = Asking(daemon, "trace.publish", group="g", event="n", wait=ENDLESS)
            sse.expect("n")
            daemon.stop()
            asking.join(20)
            self.assertFalse(asking.is_alive())


class ByRtcctl(DaemonTest):
    options = {"connection.claimed-users": "true", "connection.keep-alive": "1h", "connection.timeout": "2h"}

    def reader(self, client, count):
        def read():
            for _ in range(count):
                client.expect("n")
            with contextlib.suppress(EOFError, OSError, ConnectionError):
                while True:
                    client.receive()
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def test_wait_says_who_has_it_as_soon_as_all_have(self):
        with WebSocket(self.daemon.port, group="g") as one, WebSocket(self.daemon.port, "msgpack", group="g") as two:
            self.reader(one, 1)
            self.reader(two, 1)
            begun = time.monotonic()
            lines = self.daemon.rtcctl("publish", "--group", "g", "--wait=9min", "n", "1").stdout.splitlines()
            self.assertLess(time.monotonic() - begun, 60)
            self.assertEqual(lines[:3], ["recipients\t2", "queued\t2", "acknowledged\t2"])
            self.assertIn("unsettled\t0", lines)
            self.assertIn("acknowledged\t2", self.daemon.rtcctl("publish", "--group", "g", "--wait", "n").stdout.splitlines())
            rows = [json.loads(line) for line in self.daemon.rtcctl("trace", "publish", "--group", "g", "n", "[1]", "-o", "ndjson").stdout.splitlines()]
            self.assertEqual({(row["connection"], row["state"]) for row in rows}, {(one.id, "acknowledged"), (two.id, "acknowledged")})
            result = self.daemon.rtcctl("trace", "publish", "--group", "g", "n", "-o", "table", "--columns", "transport,state,settled",
                                        "--filter", "protocol=msgpack")
            self.assertEqual(result.stderr, "Queued to 2, acknowledged 2\n")
            self.assertRegex(result.stdout, r"^TRANSPORT +STATE +SETTLED\nwebsocket  acknowledged +\d+(ms|\.\ds)\n$")
            one.link.shutdown(2)
            two.link.shutdown(2)

    def test_mistakes_have_their_exit_codes(self):
        for arguments, status, part in ((("publish", "--group", "g", "--wait=x", "n"), 65, "wait is a time"),
                                        (("publish", "--stream", "--wait"), 64, "--wait is for one event"),
                                        (("trace", "publish", "n"), 64, "say to whom"), (("trace", "publish", "--group", "g"), 64, "EVENT is missing"),
                                        (("trace", "publish", "--group", "g", "n", "{"), 65, "DATA is not JSON"),
                                        (("trace", "publish", "--group", "g", "n", "--columns", "x"), 64, "there are: connection")):
            result = self.daemon.rtcctl(*arguments, check=False, input="")
            self.assertEqual(result.returncode, status, result.stderr)
            self.assertIn(part, result.stderr)


class OverHttp(ApiTest):
    options = {"api.timeout": "2s"}

    def test_a_publish_waits_but_not_longer_than_the_api_does(self):
        with WebSocket(self.daemon.port, group="g") as ws:
            thread = threading.Thread(target=lambda: ws.expect("n") and ws.send("rtc.ack", {"received": 1}))
            thread.start()
            answer = self.call("publish", {"group": "g", "event": "n", "wait": "2s"}, "operator")
            thread.join()
            self.assertEqual((answer.status, answer.json()), (200, {"recipients": 1, "queued": 1, "acknowledged": 1, "dropped": 0, "forgotten": 0,
                                                                    "closed": 0, "tooNew": 0, "unsettled": 0}))
        with Sse(self.daemon.port, group="sse") as sse:
            answer = self.call("publish", {"group": "sse", "event": "n", "wait": "10min"}, "operator")
            self.assertEqual((answer.status, answer.json()["unsettled"]), (200, 1))
            answer = self.call("trace.publish", {"group": "sse", "event": "n", "wait": "1s", "columns": "connection,state"}, "operator")
            self.assertEqual(answer.json()["rows"], [[sse.id, "sent"]])
            self.assertEqual(self.call("trace.publish", {"group": "sse", "event": "n"}, "viewer").status, 403)
            answers = self.call("publish", [{"group": "sse", "event": "n", "wait": "1ms"}, {"group": "sse", "event": "n", "wait": False}], "operator")
            self.assertEqual([sorted(answer["data"])[0] for answer in answers.json()], ["acknowledged", "recipients"])


class OnDisk(unittest.TestCase):
    CONFIG = 'groups:\n  - {match: "**", history-envelopes: 10, history: anyone, publish: anyone}\n'

    def test_what_is_answered_is_stored_as_well(self):
        daemon = Daemon({"history.store": "disk"}, config=self.CONFIG)
        daemon.arguments += ["--set", f"history.path={daemon.directory.name}/history"]
        with daemon:
            self.assertEqual(daemon.admin("publish", group="empty", event="n", data=1, wait=ENDLESS)["queued"], 0)
            with WebSocket(daemon.port, group="g") as ws:
                asking = Asking(daemon, "trace.publish", group="g", event="n", data=2, wait=ENDLESS)
                ws.expect("n")
                ws.send("rtc.ping")
                ws.expect("rtc.pong")
                self.assertEqual(rows_of(asking.result())[ws.id]["state"], "acknowledged")
            with Sse(daemon.port, group="late") as sse:
                self.assertEqual(daemon.admin("publish", group="late", event="n", data=3, wait="1s")["unsettled"], 1)
                sse.expect("n")
            daemon.process.kill()
            daemon.process.wait()
            daemon.start()
            stored = [daemon.admin("history", group=group)["rows"] for group in ("empty", "g", "late")]
            self.assertEqual([[row[-1] for row in rows] for rows in stored], [[1], [2], [3]])


class WithMany(unittest.TestCase):
    def test_each_of_a_crowd_that_comes_and_goes_is_settled(self):
        with Daemon({"connection.claimed-users": "true"}, workers=3) as daemon, contextlib.ExitStack() as stack:
            clients = [stack.enter_context(WebSocket(daemon.port, "msgpack" if number % 2 else None, group="g")) for number in range(60)]
            over = threading.Event()

            def read(client):
                with contextlib.suppress(EOFError, OSError):
                    while True:
                        client.receive()

            def come_and_go():
                while not over.is_set():
                    with WebSocket(daemon.port, group="g") as client, contextlib.suppress(EOFError, OSError):
                        client.expect("n")
                        client.close()

            threads = [threading.Thread(target=read, args=(client,)) for client in clients] + [threading.Thread(target=come_and_go) for _ in range(3)]
            for thread in threads:
                thread.start()
            ids = {client.id for client in clients}
            try:
                for _ in range(30):
                    answer = daemon.admin("trace.publish", group="g", event="n", wait=ENDLESS, limit=10000)
                    rows = rows_of(answer)
                    self.assertEqual({id for id, row in rows.items() if row["state"] == "acknowledged"} & ids, ids)
                    self.assertEqual(answer["unsettled"], 0)
                    self.assertEqual({row["state"] for row in rows.values()} - {"acknowledged", "closed", "too-new"}, set())
                    self.assertEqual(answer["acknowledged"] + answer["closed"], answer["queued"])
            finally:
                over.set()
                daemon.publish("n", group="g")
                for client in clients:
                    client.link.shutdown(2)
                for _ in range(1000):
                    if not any(thread.is_alive() for thread in threads):
                        break
                    daemon.publish("n", group="g")
                for thread in threads:
                    thread.join(20)


if __name__ == "__main__":
    unittest.main()
