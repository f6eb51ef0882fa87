"""SSE, long polling, short polling, negotiation and sending: the transports that ride on plain HTTP."""

import json
import unittest

import msgpack

from client import Http, Poller, Sse, WebSocket, negotiate, request
from harness import Daemon, DaemonTest, wait_until


class Negotiation(DaemonTest):
    def test_the_answer_lists_what_there_is_in_the_servers_order(self):
        answer = negotiate(self.daemon.port)
        self.assertEqual([t["name"] for t in answer["transports"]], ["websocket", "sse", "longpoll", "shortpoll"])
        self.assertEqual([t["protocols"] for t in answer["transports"]],
                         [["json", "msgpack"], ["json"], ["json", "msgpack"], ["json", "msgpack"]])
        self.assertEqual((answer["transport"], answer["protocol"]), ("websocket", "json"))
        self.assertEqual([answer[k] for k in ("keepAlive", "timeout", "resumeWindow", "maxMessageSize")],
                         [15000, 30000, 60000, 65536])
        self.assertRegex(answer["connectionId"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertRegex(answer["connectionToken"], r"^[A-Za-z0-9_-]{22,}$")

    def test_what_the_client_cannot_do_is_left_out_and_its_favourite_protocol_chosen(self):
        answer = negotiate(self.daemon.port, transports=["longpoll", "sse"], protocols=["msgpack"])
        self.assertEqual([t["name"] for t in answer["transports"]], ["longpoll"])
        self.assertEqual((answer["transport"], answer["protocol"]), ("longpoll", "msgpack"))
        answer = negotiate(self.daemon.port, protocols=["msgpack", "json"])
        self.assertEqual((answer["transport"], answer["protocol"]), ("websocket", "msgpack"))

    def test_nothing_in_common_is_said(self):
        response = request(self.daemon.port, "POST", "/rtc/negotiate", b'{"transports":["carrier-pigeon"]}')
        self.assertEqual((response.status, response.json()["code"]), (406, "unsupported"))
        self.assertEqual(response.headers["content-type"], "application/problem+json")

    def test_bad_bodies_are_refused(self):
        for body in (b"{", b"[]", b'{"transports":"sse"}', b"\xff", b'{"protocols":{}}'):
            self.assertEqual(request(self.daemon.port, "POST", "/rtc/negotiate", body).status, 400, body)

    def test_only_post_negotiates(self):
        response = request(self.daemon.port, "GET", "/rtc/negotiate")
        self.assertEqual((response.status, response.headers["allow"]), (405, "POST, OPTIONS"))

    def test_credentials_that_cannot_be_checked_are_not_waved_through(self):
        response = request(self.daemon.port, "POST", "/rtc/negotiate", headers={"Authorization": "Bearer x.y.z"})
        self.assertEqual((response.status, response.json()["code"]), (401, "unauthorized"))

    def test_without_anonymous_connections_there_are_none(self):
        with Daemon({"connection.anonymous": "false"}) as daemon:
            for method, path in (("POST", "/rtc/negotiate"), ("GET", "/rtc/sse"), ("GET", "/rtc/poll")):
                self.assertEqual(request(daemon.port, method, path).status, 401, path)
            self.assertEqual(WebSocket(daemon.port).response.status, 401)

    def test_a_negotiated_connection_is_opened_by_each_transport(self):
        answer = negotiate(self.daemon.port)
        with WebSocket(self.daemon.port, token=answer["connectionToken"]) as ws:
            self.assertEqual((ws.id, ws.welcome["data"]["resumed"]), (answer["connectionId"], False))
        answer = negotiate(self.daemon.port)
        with Sse(self.daemon.port, token=answer["connectionToken"]) as sse:
            self.assertEqual(sse.id, answer["connectionId"])
        answer = negotiate(self.daemon.port)
        with Poller(self.daemon.port, token=answer["connectionToken"], wait=0) as poller:
            self.assertEqual(poller.id, answer["connectionId"])


class ServerSentEvents(DaemonTest):
    options = {"connection.keep-alive": "200ms", "connection.timeout": "1s"}

    def test_events_carry_their_numbers_and_proxies_are_told_not_to_buffer(self):
        with Sse(self.daemon.port, group="s") as sse:
            self.assertEqual(sse.headers["content-type"], "text/event-stream")
            self.assertEqual((sse.headers["cache-control"], sse.headers["x-accel-buffering"]), ("no-store", "no"))
            for number in (1, 2, 3):
                self.daemon.publish("n", number, group="s")
                self.assertEqual((sse.expect("n")["data"], sse.last_id), (number, str(number)))

    def test_silence_is_filled_with_pings_without_numbers(self):
        with Sse(self.daemon.port) as sse:
            self.assertEqual(sse.receive()["eventName"], "rtc.ping")
            self.assertIsNone(sse.last_id)

    def test_newlines_in_data_never_end_an_event_early(self):
        with Sse(self.daemon.port, group="nl") as sse, WebSocket(self.daemon.port, group="nl") as ws:
            ws.send_raw(__import__("client").frame(1, b'{"eventName":"n",\n"to":{"group":"nl"},"data":{\r\n"a":\n[1,\r2],"b":"x\\ny"}}'))
            self.assertEqual(sse.expect("n")["data"], {"a": [1, 2], "b": "x\ny"})

    def test_a_peer_that_is_gone_is_parked(self):
        sse = Sse(self.daemon.port)
        sse.close()
        wait_until(lambda: any(c["id"] == sse.id and c["state"] == "parked" for c in self.daemon.connections()), "parked")


class Polling(DaemonTest):
    options = {"publish.to-group": "anyone", "transports.poll-wait": "5s"}

    def test_the_first_poll_is_answered_at_once_with_the_welcome(self):
        with Poller(self.daemon.port) as poller:
            self.assertFalse(poller.welcome["data"]["resumed"])

    def test_a_long_poll_waits_for_an_envelope(self):
        with Poller(self.daemon.port, group="p1") as poller:
            poller.ask()
            wait_until(lambda: [c for c in self.daemon.connections() if c["id"] == poller.id and c["state"] == "open"], "held")
            self.daemon.publish("n", 1, group="p1")
            self.assertEqual([e["data"] for e in poller.answer()], [1])

    def test_a_poll_with_nothing_is_204_when_its_time_is_over(self):
        with Poller(self.daemon.port, wait=100) as poller:
            self.assertEqual(poller.poll(), [])
            self.assertEqual(poller.poll(wait=0), [])

    def test_of_two_polls_at_once_the_older_is_answered_and_nothing_lost(self):
        with Poller(self.daemon.port, group="p2") as poller, Http(self.daemon.port) as second:
            poller.ask()
            wait_until(lambda: [c for c in self.daemon.connections() if c["id"] == poller.id and c["state"] == "open"], "held")
            second.send("GET", "/rtc/poll", token=poller.token, received=0)
            self.assertEqual(poller.answer(), [])
            self.daemon.publish("n", 1, group="p2")
            self.assertEqual(second.reader.response().json()["messages"][0]["data"], 1)

    def test_a_poll_in_messagepack(self):
        with Poller(self.daemon.port, codec="msgpack", wait=0, group="p3") as poller:
            self.daemon.publish("n", {"a": 1}, group="p3")
            self.assertEqual(poller.gather(1), [{"a": 1}])

    def test_many_envelopes_come_in_several_answers(self):
        with Poller(self.daemon.port, wait=0, group="p4") as poller:
            for number in range(300):
                self.daemon.publish("n", number, group="p4")
            self.assertEqual(poller.gather(300), list(range(300)))

    def test_a_client_that_hangs_up_in_a_poll_loses_nothing(self):
        with Poller(self.daemon.port, group="p5") as poller:
            poller.ask()
            wait_until(lambda: [c for c in self.daemon.connections() if c["id"] == poller.id and c["state"] == "open"], "held")
            poller.http.close()
            wait_until(lambda: [c for c in self.daemon.connections() if c["id"] == poller.id and c["state"] == "parked"], "parked")
            self.daemon.publish("n", 1, group="p5")
            poller.http = Http(self.daemon.port)
            self.assertEqual(poller.gather(1), [1])

    def test_sending_takes_one_an_array_and_messagepack(self):
        with Poller(self.daemon.port, wait=0, group="p6") as poller:
            def send(body, kind, **query):
                return request(self.daemon.port, "POST", "/rtc/send", body, {"Content-Type": kind}, token=poller.token, **query)
            envelope = {"eventName": "e", "data": 1, "to": {"group": "p6"}}
            self.assertEqual(send(json.dumps(envelope).encode(), "application/json; charset=utf-8").json(), {"received": 1})
            self.assertEqual(send(json.dumps([envelope, envelope]).encode(), "application/json").json(), {"received": 3})
            self.assertEqual(send(msgpack.packb([envelope]), "application/msgpack").json(), {"received": 4})
            self.assertEqual(poller.gather(4), [1] * 4)
            self.assertEqual(send(b"<x/>", "text/xml").status, 415)
            self.assertEqual(send(b"[", "application/json").json()["code"], "bad-envelope")
            self.assertEqual(send(b"{}", "application/json", first="0").status, 400)

    def test_delete_ends_the_connection(self):
        with Poller(self.daemon.port, wait=0) as poller:
            self.assertEqual(request(self.daemon.port, "DELETE", "/rtc/connection", token=poller.token).status, 204)
            self.assertEqual(request(self.daemon.port, "DELETE", "/rtc/connection", token=poller.token).status, 404)
            self.assertNotIn(poller.id, [c["id"] for c in self.daemon.connections()])

    def test_a_poll_that_its_clients_end_overtook_makes_no_connection(self):
        for path in ("/rtc/poll", "/rtc/sse"):
            before = {connection["id"] for connection in self.daemon.connections()}
            with self.subTest(path), Poller(self.daemon.port, wait=0) as poller:
                request(self.daemon.port, "DELETE", "/rtc/connection", token=poller.token)
                late = request(self.daemon.port, "GET", path, token=poller.token, received=0, wait=0)
                self.assertEqual((late.status, late.json()["code"]), (404, "not-found"))
                self.assertLessEqual({connection["id"] for connection in self.daemon.connections()}, before)


class Pipelined(DaemonTest):
    """Requests behind a poll that is held have their turn only once nothing else is being done."""

    def test_a_poll_behind_a_held_one_does_not_meet_the_request_that_ends_it(self):
        for method, path, status in (("GET", "/rtc/poll", 204), ("DELETE", "/rtc/connection", 204), ("GET", "/rtc/sse", 200)):
            with self.subTest(method + path), Poller(self.daemon.port, wait=0) as first, Http(self.daemon.port) as second:
                state = lambda: {c["id"]: c["state"] for c in self.daemon.connections()}.get(first.id)
                for _ in range(3):
                    first.ask(wait=5000)
                wait_until(lambda: state() == "open", "the poll to be held")
                second.send(method, path, token=first.token, received=0, wait=0)
                self.assertEqual(second.reader.head()[0], status)
                self.assertIn(first.http.reader.response().status, (200, 204, 409))
                self.assertIsNone(self.daemon.process.poll())


if __name__ == "__main__":
    unittest.main()
