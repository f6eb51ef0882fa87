"""Webhooks that are asked: whether a client may connect, and what to reply to an event."""

import json
import threading
import unittest

import receivers
from client import Http, Poller, Sse, WebSocket, request
from harness import CONTEXTS, PATIENCE_S, Daemon, wait_until
from receivers import Receiver

PATIENT = {"timeout": "20s", "breaker-failures": 1000}


def says(answer, code=200):
    """Answers everybody so: a value, or a function of the event's data."""
    def behaviour(handler, asked):
        said = answer(asked.events[0]["data"]) if callable(answer) else answer
        handler.answer(code, json.dumps(said).encode(), Content_Type="application/json")
    return behaviour


def config(*webhooks):
    return json.dumps({"webhooks": [{"name": f"hook{index}", **webhook} for index, webhook in enumerate(webhooks)]})


def daemon_with(*webhooks, **more):
    return Daemon({"connection.claimed-users": "true", **{name.replace("_", "."): value for name, value in more.items()}}, config=config(*webhooks))


def row(daemon):
    columns = "webhook state waiting delivered asked failed dropped error".split()
    return dict(zip(columns, daemon.admin("list.webhooks")["rows"][0]))


class Connect(unittest.TestCase):
    def start(self, behaviour, **options):
        receiver = self.enterContext(Receiver(behaviour))
        daemon = self.enterContext(daemon_with({"url": receiver.url, "events": "connect", **PATIENT, **options},
                                               **{"gate.headers": "user-agent, cookie", "http.origins": "*"}))
        return receiver, daemon

    def ways(self, daemon, **query):
        """What each way to connect answers."""
        yield request(daemon.port, "POST", "/rtc/negotiate", **query)
        yield WebSocket(daemon.port, **query).response
        with Http(daemon.port) as http:
            http.send("GET", "/rtc/sse", **query)
            status, headers = http.reader.head()
            yield receivers.Said(status, http.reader.exactly(int(headers["content-length"])) if status != 200 else b"")

    def test_it_is_told_who_wants_to_connect_and_how(self):
        receiver, daemon = self.start(receivers.good)
        WebSocket(daemon.port, user="anna", x="1", access_token=None, headers={"Origin": "https://a.example", "Cookie": "sid=7", "User-Agent": "test", "X-Other": "no"})
        asked, = receiver.events()
        self.assertEqual((asked["type"], asked["subject"], asked["specversion"]), ("rtcd.connect", "anna", "1.0"))
        data = asked["data"]
        self.assertRegex(data["address"], "^127.0.0.1")
        self.assertEqual([data[name] for name in ("userId", "isProved", "isNegotiation", "isTls", "transport", "protocol", "origin", "path")],
                         ["anna", False, False, daemon.port in CONTEXTS, "websocket", "json", "https://a.example", "/rtc/websocket"])
        self.assertEqual(data["headers"], {"cookie": "sid=7", "user-agent": "test"})
        self.assertEqual(data["query"], "user=anna&x=1")
        self.assertEqual(receiver.requests[0].headers["Content-Type"], receivers.SINGLE)
        request(daemon.port, "POST", "/rtc/negotiate", access_token="secret")
        self.assertNotIn("secret", receiver.requests[-1].body.decode())

    def test_it_names_the_user_and_gives_groups_labels_and_info(self):
        said = {"user": "berta", "groups": ["news", "room.1"], "labels": {"plan": "gold"}, "info": {"age": 7}}
        _, daemon = self.start(says(said))
        client = WebSocket(daemon.port)
        shown = daemon.admin("show.connection", connection=client.id)
        self.assertEqual((shown["user"], shown["labels"], shown["info"]), ("berta", {"plan": "gold"}, {"age": 7}))
        daemon.publish("tick", 5, group="room.1")
        self.assertEqual(client.expect("tick")["data"], 5)
        poller = Poller(daemon.port)
        self.assertEqual(daemon.admin("show.user", user="berta")["rows"][0][1], "berta")
        daemon.publish("tock", 6, group="news")
        self.assertEqual(poller.gather(1), [6])
        with Sse(daemon.port) as stream:
            daemon.publish("tuck", 6, group="news")
            stream.expect("tuck")

    def test_a_refused_client_is_told_why(self):
        cases = ((says({"refuse": {"code": "forbidden", "message": "not before noon"}}), 403, "forbidden", "not before noon"),
                 (says({"refuse": {"code": "expired"}}), 401, "expired", "the credentials have expired"),
                 (says({"refuse": {"message": "why not"}}), 403, "forbidden", "why not"),
                 (says({"refuse": {"message": "read this"}}, 403), 403, "forbidden", "read this"),
                 (receivers.status(401), 401, "unauthorized", "credentials are missing or wrong"),
                 (receivers.status(403), 403, "forbidden", "this is not allowed"))
        receiver, daemon = self.start(receivers.good)
        for behaviour, status, code, message in cases:
            receiver.behave(behaviour)
            for response in self.ways(daemon):
                with self.subTest(code=code, message=message):
                    self.assertEqual((response.status, response.json()["code"]), (status, code))
                    self.assertEqual(response.json()["detail"], message)
        self.assertEqual((row(daemon)["failed"], daemon.connections()), (0, []))

    def test_failures_refuse_or_let_in_as_the_config_says(self):
        behaviours = (receivers.status(500), receivers.status(404), receivers.status(302, Location="/"), receivers.garbage, receivers.cut, receivers.reset,
                      receivers.huge, receivers.Never(), says([]), says({"user": 7}), says({"groups": ["x", 1]}), says({"groups": ["x"], "labels": {"a": "b", "c": 1}}),
                      says({"refuse": {"code": "no such code"}}), says({"user": ""}), lambda handler, _: handler.answer(200, b'{"user":"a","user":"b"}'))
        for policy in ("refuse", "allow"):
            receiver, daemon = self.start(receivers.good, timeout="300ms", **{"on-failure": policy, "answer-bytes": "1KiB"})
            for behaviour in behaviours:
                receiver.behave(behaviour)
                for response in self.ways(daemon, user="anna"):
                    with self.subTest(policy=policy, behaviour=behaviour):
                        self.assertEqual(response.status in (200, 101), policy == "allow")
                        if policy == "refuse":
                            self.assertEqual((response.status, response.json()["code"]), (503, "draining"))
            users = {one["user"] for one in daemon.connections()}
            self.assertEqual((users, daemon.admin("list.groups")["rows"]), ({"anna"} if policy == "allow" else set(), []))

    def test_while_its_receiver_does_not_answer_others_are_served(self):
        never = receivers.Never()
        receiver, daemon = self.start(receivers.good, waiting=3)
        client = WebSocket(daemon.port)
        client.call("rtc.join", {"group": "room"})
        receiver.behave(never)
        waiting = [Http(daemon.port) for _ in range(3)]
        for http in waiting:
            http.send("POST", "/rtc/negotiate")
        wait_until(lambda: len(receiver.requests) == 4, "three questions")
        self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 503)       # webhooks.waiting
        daemon.publish("tick", 1, group="room")
        self.assertEqual(client.expect("tick")["data"], 1)
        receiver.behave(receivers.good)
        never.over.set()
        self.assertLessEqual({http.reader.response().status for http in waiting}, {200, 503})

    def test_an_open_breaker_answers_at_once(self):
        receiver, daemon = self.start(receivers.status(500), **{"breaker-failures": 2, "breaker-pause": "1h"})
        for _ in range(5):
            self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 503)
        self.assertEqual((len(receiver.requests), row(daemon)["state"]), (2, "open"))

    def test_a_breaker_closes_when_its_receiver_is_back(self):
        receiver, daemon = self.start(receivers.status(500), **{"breaker-failures": 2, "breaker-pause": "20ms"})
        for _ in range(3):
            request(daemon.port, "POST", "/rtc/negotiate")
        receiver.behave(receivers.good)
        wait_until(lambda: request(daemon.port, "POST", "/rtc/negotiate").status == 200, "a client let in")
        self.assertEqual(row(daemon)["state"], "ready")

    def test_what_is_wrong_with_its_answers_is_logged_once(self):
        receiver, daemon = self.start(receivers.good)
        for behaviour, wrong in ((says({"user": 7}), "its answer has a user that is not a text"), (receivers.status(404), "its answer has the status 404"),
                                 (receivers.status(500), "its answer has the status 500")):
            receiver.behave(behaviour)
            before = row(daemon)["failed"]
            for _ in range(3):
                self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 503)
            self.assertEqual((row(daemon)["failed"], row(daemon)["error"]), (before + 3, wrong))
            receiver.behave(receivers.good)
            self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 200)
            self.assertEqual(row(daemon)["state"], "ready")       # asked of the thread that logs, which is done by then
            said = [line for line in daemon.log().splitlines() if "webhook hook0: " in line][-2:]
            self.assertIn(wrong, said[0])
            self.assertIn("answers well again", said[1])
        self.assertEqual(daemon.log().count("webhook hook0: "), 6, daemon.log())

    def test_good_answers_to_questions_hide_no_trouble_with_events(self):
        """Nor is what fails tried again at once because of them, nor the log filled."""
        for status, told in ((404, 9), (503, 1)):
            def behaviour(handler, asked, status=status):
                handler.answer(204 if asked.events[0]["type"] == "rtcd.connect" else status, Retry_After="1000")
            receiver, daemon = self.start(behaviour, events=["connect", "epoch", "connected", "disconnected"], **{"retry-delay-max": "1h"})
            wait_until(lambda: row(daemon)["failed"] + row(daemon)["dropped"] == 1, "the epoch, told in vain")
            for number in range(4):
                WebSocket(daemon.port, user="anna").close()
                wait_until(lambda: not daemon.connections(), "no connection")
                if status == 404:
                    wait_until(lambda count=3 + 2 * number: row(daemon)["dropped"] == count, "drops")
            self.assertEqual([request.events[0]["type"] for request in receiver.requests].count("rtcd.connect"), 4)
            self.assertEqual(len(receiver.requests), 4 + told)
            self.assertEqual(daemon.log().count("webhook hook0: "), 1, daemon.log())

    def test_nobody_asks_when_the_webhook_is_gone(self):
        receiver, daemon = self.start(says({"refuse": {}}))
        self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 403)
        never = receivers.Never()
        receiver.behave(never)
        with Http(daemon.port) as http:
            http.send("POST", "/rtc/negotiate")
            wait_until(lambda: len(receiver.requests) == 2, "a question")
            daemon.write_config("")
            daemon.admin("reload")
            self.assertEqual(http.reader.response().status, 503)        # it was asked, and nobody will say
        never.over.set()
        self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 200)
        self.assertEqual(len(receiver.requests), 2)


class Event(unittest.TestCase):
    def start(self, behaviour, **options):
        receiver = self.enterContext(Receiver(behaviour))
        daemon = self.enterContext(daemon_with({"url": receiver.url, "events": "event", **PATIENT, **options}))
        return receiver, daemon, self.enterContext(WebSocket(daemon.port, user="anna"))

    def invoke(self, client, event="order.new", data=None):
        reply = client.call(event, data)
        return reply["error"]["code"] if "error" in reply else reply.get("data")

    def test_its_answer_is_the_reply(self):
        receiver, daemon, client = self.start(says(lambda asked: {"data": {"got": asked["data"], "by": asked["userId"]}}))
        self.assertEqual(self.invoke(client, data={"a": [1, "é"]}), {"got": {"a": [1, "é"]}, "by": "anna"})
        asked, = receiver.events()
        self.assertEqual((asked["type"], asked["subject"]), ("rtcd.event", client.id))
        self.assertEqual((asked["data"]["eventName"], asked["data"]["connectionId"]), ("order.new", client.id))
        packed = WebSocket(daemon.port, "msgpack", user="anna")
        self.assertEqual(self.invoke(packed, data={"b": 2}), {"got": {"b": 2}, "by": "anna"})

    def test_it_may_answer_nothing_or_an_error(self):
        receiver, _, client = self.start(receivers.good)
        self.assertIsNone(self.invoke(client))
        receiver.behave(says({}))
        self.assertIsNone(self.invoke(client))
        receiver.behave(says({"error": {"code": "sold-out", "message": "come tomorrow"}}))
        reply = client.call("order.new")
        self.assertEqual((reply["error"]["code"], reply["error"]["message"]), ("sold-out", "come tomorrow"))

    def test_an_error_without_a_code_is_of_no_use(self):
        _, daemon, client = self.start(says({"error": {"code": "", "message": "come tomorrow"}}))
        self.assertEqual(self.invoke(client), "no-handler")
        self.assertEqual(row(daemon)["error"], "its answer to an event has neither data nor an error")

    def test_one_that_fails_is_no_handler(self):
        behaviours = (receivers.status(500), receivers.status(404), receivers.status(403), receivers.status(302, Location="/"), receivers.garbage,
                      receivers.cut, receivers.reset, receivers.huge, says([]), says({"error": 7}), lambda handler, _: handler.answer(200, b"nonsense"))
        receiver, _, client = self.start(receivers.good, **{"answer-bytes": "1KiB"})
        for behaviour in behaviours:
            receiver.behave(behaviour)
            with self.subTest(behaviour=behaviour):
                self.assertEqual(self.invoke(client), "no-handler")
        receiver.behave(receivers.good)
        self.assertIsNone(self.invoke(client))

    def test_one_that_is_slow_times_out(self):
        never = receivers.Never()
        receiver = self.enterContext(Receiver(never))
        daemon = self.enterContext(daemon_with({"url": receiver.url, "events": "event", "timeout": "1min"}, **{"handlers.timeout": "100ms"}))
        client = self.enterContext(WebSocket(daemon.port))
        self.assertEqual(self.invoke(client), "timeout")
        never.over.set()

    def test_it_has_the_events_that_it_names(self):
        receiver, daemon, client = self.start(receivers.good, **{"event-names": ["order.*", "cart"]})
        self.assertIsNone(self.invoke(client, "order.new"))
        self.assertIsNone(self.invoke(client, "cart"))
        self.assertEqual(self.invoke(client, "other"), "no-handler")
        self.assertEqual([event["data"]["eventName"] for event in receiver.events()], ["order.new", "cart"])
        daemon.write_config(config({"url": receiver.url, "events": "event", "event-names": "other", **PATIENT}))
        daemon.admin("reload")
        self.assertIsNone(self.invoke(client, "other"))
        self.assertEqual(self.invoke(client, "cart"), "no-handler")

    def test_only_so_many_wait(self):
        never = receivers.Never()
        receiver, _, client = self.start(never, waiting=1)
        client.send("order.new", 1, id=1)
        wait_until(lambda: receiver.requests, "a question")
        reply = client.call("order.new", 2, id=2)
        self.assertEqual(reply["error"]["code"], "rate-limited")
        never.over.set()
        self.assertEqual(client.expect("rtc.reply")["id"], 1)

    def test_many_wait_at_once(self):
        lock, arrived = threading.Barrier(8, timeout=PATIENCE_S), []

        def together(handler, asked):
            lock.wait()
            arrived.append(asked)
            handler.answer(200, json.dumps({"data": asked.events[0]["data"]["data"]}).encode(), Content_Type="application/json")
        _, _, client = self.start(together, connections=8)
        for number in range(1, 9):
            client.send("order.new", number, id=number)
        replies = {reply["id"]: reply["data"] for reply in (client.receive() for _ in range(8))}
        self.assertEqual(replies, {number: number for number in range(1, 9)})


if __name__ == "__main__":
    unittest.main()
