"""Stateful reconnect: on every transport, in both directions, nothing is lost, nothing doubled, everything in order."""

import json
import unittest

from client import Closed, Http, Poller, Sse, WebSocket, negotiate, request, reset
from harness import Daemon, DaemonTest, wait_until


def wait_unsent(daemon, connection, count):
    """Until so many envelopes wait to be sent: then one poll brings them all, and none has acknowledged any."""
    wait_until(lambda: daemon.admin("show.connection", connection=connection)["unsent"] == count, "all to be queued")


class Resume(DaemonTest):
    options = {"publish.to-group": "anyone", "resume.window": "20s"}

    def publish(self, group, numbers):
        for number in numbers:
            self.daemon.publish("n", number, group=group)

    def parked(self, id):
        wait_until(lambda: any(c["id"] == id and c["state"] == "parked" for c in self.daemon.connections()), "parked")

    def test_a_websocket_comes_back_and_gets_what_it_missed(self):
        ws = WebSocket(self.daemon.port, group="r1")
        self.publish("r1", range(1, 6))
        got = [ws.expect("n")["data"] for _ in range(3)]
        ws.drop()
        self.parked(ws.id)
        self.publish("r1", range(6, 11))
        with WebSocket(self.daemon.port, token=ws.token, received=3) as back:
            data = back.welcome["data"]
            self.assertEqual((data["resumed"], data["connectionId"], data["groups"]), (True, ws.id, ["r1"]))
            got += [back.expect("n")["data"] for _ in range(7)]
            self.assertEqual(got, list(range(1, 11)))

    def test_the_server_says_what_it_received(self):
        ws = WebSocket(self.daemon.port)
        for number in range(1, 8):
            ws.call("rtc.join", {"group": f"g{number}"}, id=number)
        ws.drop()
        self.parked(ws.id)
        with WebSocket(self.daemon.port, token=ws.token, received=ws.received) as back:
            self.assertEqual(back.welcome["data"]["received"], 7)

    def test_sse_resumes_by_last_event_id(self):
        sse = Sse(self.daemon.port, group="r2")
        self.publish("r2", range(1, 4))
        for _ in range(3):
            sse.expect("n")
        self.assertEqual(sse.last_id, "3")
        sse.close()
        self.parked(sse.id)
        self.publish("r2", range(4, 7))
        with Sse(self.daemon.port, headers={"Last-Event-ID": sse.last_id}, token=sse.token) as back:
            self.assertTrue(back.welcome["data"]["resumed"])
            self.assertEqual([back.expect("n")["data"] for _ in range(3)], [4, 5, 6])

    def test_a_poll_that_was_not_received_is_given_again(self):
        with Poller(self.daemon.port, wait=0, group="r3") as poller:
            self.publish("r3", range(1, 4))
            wait_unsent(self.daemon, poller.id, 3)
            self.assertEqual(poller.gather(3), [1, 2, 3])
            poller.received = 0  # as if the answer had been lost
            self.assertEqual([e["data"] for e in poller.poll()], [1, 2, 3])
            self.assertEqual(poller.poll(), [])

    def test_from_polling_up_to_websocket_nothing_is_lost(self):
        with Poller(self.daemon.port, wait=0, group="r4") as poller:
            self.publish("r4", [1, 2])
            self.assertEqual(poller.gather(2), [1, 2])
            self.publish("r4", [3])
            with WebSocket(self.daemon.port, token=poller.token, received=poller.received) as ws:
                self.assertTrue(ws.welcome["data"]["resumed"])
                self.publish("r4", [4])
                self.assertEqual([ws.expect("n")["data"] for _ in range(2)], [3, 4])

    def test_a_request_that_was_overtaken_does_not_end_the_connection(self):
        with Poller(self.daemon.port, group="late", wait=0) as poller:
            for number in range(5):
                self.daemon.publish("number", number, group="late")
            self.assertEqual(poller.gather(5), [0, 1, 2, 3, 4])
            self.assertEqual(poller.poll(), [])     # acknowledges them
            for received in (0, 3):
                late = WebSocket(self.daemon.port, token=poller.token, received=received)
                self.assertEqual((late.response.status, late.response.json()["reason"]), (409, "overtaken"))
                late.drop()
                response = request(self.daemon.port, "GET", "/rtc/poll", token=poller.token, received=received, wait=0)
                self.assertEqual((response.status, response.json()["reason"]), (409, "overtaken"))
            self.daemon.publish("number", 5, group="late")
            self.assertEqual(poller.gather(1), [5])

    def test_a_websocket_that_is_carried_on_elsewhere_is_not_harmed_by_a_late_request(self):
        with WebSocket(self.daemon.port, group="late-2") as client:
            for number in range(3):
                self.daemon.publish("number", number, group="late-2")
                client.expect("number")
            client.send("rtc.ack", {"received": 3})
            client.send("rtc.ping", 1)
            client.expect("rtc.pong")
            response = request(self.daemon.port, "GET", "/rtc/poll", token=client.token, received=1, wait=0)
            self.assertEqual(response.status, 409)
            self.daemon.publish("number", 3, group="late-2")
            self.assertEqual(client.expect("number")["data"], 3)

    def test_who_is_ended_for_good_between_two_polls_is_told_so(self):
        with Poller(self.daemon.port, wait=0) as poller:
            self.daemon.admin("disconnect", connection=poller.id, reason="signed out")
            for method, path in (("GET", "/rtc/poll"), ("GET", "/rtc/sse"), ("POST", "/rtc/send"), ("DELETE", "/rtc/connection")):
                response = request(self.daemon.port, method, path, b"[]" if method == "POST" else None, token=poller.token)
                problem = response.json()
                self.assertEqual((response.status, problem["code"], problem["reason"], problem["detail"]),
                                 (403, "forbidden", "disconnected", "signed out"), (method, path))
            other = poller.token[:-1] + ("A" if poller.token[-1] != "A" else "B")
            self.assertEqual(request(self.daemon.port, "POST", "/rtc/send", b"[]", token=other).status, 404)

    def test_who_may_come_back_after_being_ended_between_two_polls_may(self):
        with Poller(self.daemon.port, wait=0) as poller:
            self.daemon.admin("disconnect", connection=poller.id, reconnect=True)
            self.assertEqual(request(self.daemon.port, "POST", "/rtc/send", b"[]", token=poller.token).status, 404)

    def test_a_second_transport_takes_over_and_the_first_is_told(self):
        with WebSocket(self.daemon.port, group="r5") as first:
            with WebSocket(self.daemon.port, token=first.token, received=0) as second:
                self.assertEqual(first.closing()[0], 4409)
                self.publish("r5", [1])
                self.assertEqual(second.expect("n")["data"], 1)
            first = Sse(self.daemon.port, token=first.token)
            self.assertTrue(first.welcome["data"]["resumed"])

    def test_what_a_client_sent_before_it_moved_on_takes_nothing_over(self):
        before = self.daemon.counter("transports_taken_over")
        with WebSocket(self.daemon.port, group="r6") as ws:
            for path in ("/rtc/poll", "/rtc/sse"):
                http = Http(self.daemon.port)
                with self.daemon.paused():
                    http.send("GET", path, token=ws.token, received=ws.received, wait=0)
                    http.link.close()
                self.publish("r6", [path])
                self.assertEqual(ws.expect("n")["data"], path)
        self.assertEqual(self.daemon.counter("transports_taken_over"), before)

    def test_a_number_never_sent_gives_a_new_connection(self):
        with WebSocket(self.daemon.port) as ws:
            with WebSocket(self.daemon.port, token=ws.token, received=5) as other:
                self.assertFalse(other.welcome["data"]["resumed"])
                self.assertNotEqual(other.id, ws.id)
                self.assertNotEqual(other.token, ws.token)

    def test_an_unknown_token_gives_a_new_connection(self):
        with WebSocket(self.daemon.port, token="AQAAAAAA" + "A" * 24, received=0) as ws:
            self.assertFalse(ws.welcome["data"]["resumed"])
        self.assertEqual(request(self.daemon.port, "POST", "/rtc/send", b"{}", token="nonsense").status, 404)

    def test_a_received_that_is_no_number_is_refused(self):
        with WebSocket(self.daemon.port) as ws:
            for bad in ("-1", "x", "1e3", "99999999999999999999"):
                self.assertEqual(WebSocket(self.daemon.port, token=ws.token, received=bad).response.status, 400, bad)

    def test_an_acknowledgement_of_what_was_never_sent_ends_the_connection(self):
        with WebSocket(self.daemon.port) as ws:
            ws.send("rtc.ack", {"received": 3})
            self.assertEqual(ws.closing()[0], 1008)

    def test_acknowledged_envelopes_are_let_go(self):
        with WebSocket(self.daemon.port, group="r6") as ws:
            self.publish("r6", range(1, 4))
            for _ in range(3):
                ws.expect("n")
            ws.send("rtc.ack", {"received": 2})
            wait_until(lambda: self.daemon.admin("show.connection", connection=ws.id)["acknowledged"] == 2, "acknowledged")

    def test_the_server_acknowledges_every_64_envelopes(self):
        with WebSocket(self.daemon.port) as ws:
            for number in range(64):
                ws.send("tick", number, to={"group": "nobody"})
            self.assertEqual(ws.expect("rtc.ack")["data"], {"received": 64})

    def test_a_retried_send_is_not_taken_twice(self):
        with Poller(self.daemon.port, wait=0, group="r7") as poller:
            one, two = ({"eventName": "e", "data": n, "to": {"group": "r7"}} for n in (1, 2))
            self.assertEqual(poller.send(one), 1)
            self.assertEqual(poller.send(one, two, first=1), 2)
            self.assertEqual(poller.gather(2), [1, 2])

    def test_a_retried_send_with_pings_between_is_not_taken_twice(self):
        with Poller(self.daemon.port, wait=0, group="r8") as poller:
            ping = {"eventName": "rtc.ping"}
            one, two = ({"eventName": "e", "data": n, "to": {"group": "r8"}} for n in (1, 2))
            self.assertEqual(poller.send(ping, one, first=1), 1)
            self.assertEqual(poller.send(ping, one, ping, two, first=1), 2)
            self.assertEqual(poller.gather(2), [1, 2])

    def test_a_send_that_a_websocket_has_overtaken_is_not_taken(self):
        with Poller(self.daemon.port, wait=0, group="r9") as poller:
            one, two = ({"eventName": "e", "data": n, "to": {"group": "r9"}} for n in (1, 2))
            with WebSocket(self.daemon.port, token=poller.token, received=0) as ws:
                self.assertEqual(ws.welcome["data"]["received"], 0)
                response = request(self.daemon.port, "POST", "/rtc/send", json.dumps(one).encode(), token=poller.token, first=1)
                self.assertEqual(response.status, 409)
                for envelope in (one, two):
                    ws.send(envelope["eventName"], envelope["data"], to=envelope["to"])
                self.assertEqual([ws.expect("e")["data"] for _ in range(2)], [1, 2])

    def test_a_gap_in_what_is_sent_is_refused(self):
        with Poller(self.daemon.port, wait=0) as poller:
            response = request(self.daemon.port, "POST", "/rtc/send", b'{"eventName":"e"}', token=poller.token, first=3)
            self.assertEqual((response.status, response.json()["code"]), (400, "bad-request"))


class TakeOver(DaemonTest):
    options = {"resume.window": "20s"}
    workers = 1

    def publish(self, count):
        for number in range(1, count + 1):
            self.daemon.publish("n", number, group="t")

    def test_what_the_first_did_not_acknowledge_goes_to_the_second_alone(self):
        with WebSocket(self.daemon.port, group="t") as first:
            self.publish(3)
            for _ in range(3):
                first.expect("n")
            with WebSocket(self.daemon.port, token=first.token, received=1) as second:
                self.assertEqual([second.expect("n")["data"] for _ in range(2)], [2, 3])
                self.assertEqual(first.closing(), (4409, None))
                self.assertEqual(first.received, 3)

    def take_over_a_broken(self, link, token):
        """In one turn of the loop a poll takes the connection over and the link that carried it turns out to be broken."""
        with Http(self.daemon.port) as http:
            self.assertEqual(http.request("GET", "/nothing").status, 404)
            with self.daemon.paused():
                http.send("GET", "/rtc/poll", token=token, received=0, wait=0)
                reset(link)
            answer = http.reader.response().json()
            self.assertEqual([e["data"] for e in answer["messages"] if e["eventName"] == "n"], [1, 2, 3])
            http.send("GET", "/rtc/poll", token=token, received=3, wait=0)
            self.assertEqual(http.reader.response().status, 204)

    def test_the_first_may_be_a_broken_websocket(self):
        first = WebSocket(self.daemon.port, group="t")
        self.publish(3)
        for _ in range(3):
            first.expect("n")
        self.take_over_a_broken(first.link, first.token)

    def test_the_first_may_be_a_broken_event_stream(self):
        first = Sse(self.daemon.port, group="t")
        self.publish(3)
        for _ in range(3):
            first.expect("n")
        self.take_over_a_broken(first.http.link, first.token)

    def test_the_first_may_be_a_broken_poll(self):
        first = Poller(self.daemon.port, wait=0, group="t")
        self.publish(3)
        wait_unsent(self.daemon, first.id, 3)
        self.assertEqual(first.gather(3), [1, 2, 3])
        first.received = 0
        self.assertEqual(first.gather(3), [1, 2, 3])
        with Http(self.daemon.port) as http:
            http.send("GET", "/rtc/poll", token=first.token, received=3, wait=20000)
            wait_until(lambda: any(c["id"] == first.id and c["state"] == "open" for c in self.daemon.connections()), "a held poll")
            with self.daemon.paused():
                first.http.send("GET", "/rtc/poll", token=first.token, received=3, wait=0)
                reset(http.link)
            self.assertEqual(first.answer(), [])

    def test_what_the_first_brought_while_the_second_broke_counts_as_received(self):
        """The second asked for envelopes that the first was still bringing, and broke before it could send any: the first goes on."""
        first = Sse(self.daemon.port, group="t")
        self.publish(3)
        for _ in range(3):
            first.expect("n")
        with Http(self.daemon.port) as second:
            self.assertEqual(second.request("GET", "/nothing").status, 404)
            with self.daemon.paused():
                second.send("GET", "/rtc/sse", token=first.token, received=1)
                reset(second.link)
        self.daemon.publish("n", 4, group="t")
        self.assertEqual(first.expect("n")["data"], 4)
        first.close()
        with Sse(self.daemon.port, headers={"Last-Event-ID": "4"}, token=first.token) as back:
            self.assertTrue(back.welcome["data"]["resumed"])
            self.daemon.publish("n", 5, group="t")
            self.assertEqual(back.expect("n")["data"], 5)


class Cuts(DaemonTest):
    options = {"resume.window": "30s"}
    COUNT = 30

    def fresh(self):
        """A client to whom COUNT envelopes are on their way."""
        ws = WebSocket(self.daemon.port, group="cut")
        self.daemon.rtcctl("publish", "--group", "cut", "--stream",
                           input="".join('{"eventName":"n","data":%d}\n' % n for n in range(1, self.COUNT + 1)))
        return ws

    def length(self):
        """How many bytes the COUNT envelopes are on the wire."""
        with self.fresh() as ws:
            size = 0
            for _ in range(self.COUNT):
                size += 2 + len(ws.frame()[1])
            ws.close()
            return size

    def test_a_stream_cut_at_any_byte_goes_on_without_gap_or_double(self):
        for cut in range(0, self.length() + 1, 5):
            ws = self.fresh()
            while len(ws.reader.buffer) < cut:
                ws.reader.more()
            ws.link.close()
            ws.reader.buffer = ws.reader.buffer[:cut]
            got = []
            try:
                while True:
                    got.append(ws.receive()["data"])
            except (EOFError, OSError):
                pass
            with WebSocket(self.daemon.port, token=ws.token, received=len(got)) as back:
                self.assertTrue(back.welcome["data"]["resumed"])
                while len(got) < self.COUNT:
                    got.append(back.expect("n")["data"])
                self.assertEqual(got, list(range(1, self.COUNT + 1)), f"cut at byte {cut}")
                back.close()


class Bounds(unittest.TestCase):
    def test_forgotten_numbers_cost_the_resume_and_not_the_connection(self):
        with Daemon({"resume.envelopes": 10}) as daemon:
            with WebSocket(daemon.port, group="g", answers_pings=False) as ws:
                for number in range(30):
                    daemon.publish("n", number, group="g")
                self.assertEqual([ws.expect("n")["data"] for _ in range(30)], list(range(30)))
                wait_until(lambda: daemon.counter("envelopes_forgotten") == 20, "the oldest to be forgotten")
                with WebSocket(daemon.port, token=ws.token, received=5) as other:
                    self.assertFalse(other.welcome["data"]["resumed"])

    def test_the_resume_window_ends_a_connection_that_nobody_comes_back_for(self):
        with Daemon({"resume.window": "300ms", "transports.poll-wait": "100ms"}) as daemon:
            ws = WebSocket(daemon.port, group="g")
            ws.drop()
            wait_until(lambda: not daemon.connections(), "the window to pass")
            self.assertEqual(daemon.admin("list.groups")["rows"], [])
            with WebSocket(daemon.port, token=ws.token, received=0) as other:
                self.assertFalse(other.welcome["data"]["resumed"])

    def test_the_longest_parked_goes_when_there_are_too_many(self):
        with Daemon({"resume.parked": 4}, workers=1) as daemon:
            for _ in range(12):
                WebSocket(daemon.port).drop()
            wait_until(lambda: daemon.counter("parked_evicted") >= 7, "evictions")
            self.assertLessEqual(len(daemon.connections()), 5)

    def test_a_negotiated_connection_that_nobody_opens_is_forgotten(self):
        with Daemon({"connection.open-timeout": "200ms"}) as daemon:
            negotiate(daemon.port)
            self.assertEqual(len(daemon.connections()), 1)
            wait_until(lambda: not daemon.connections(), "the open timeout")

    def test_after_a_restart_the_answer_is_a_new_connection(self):
        with Daemon() as daemon:
            ws = WebSocket(daemon.port)
            daemon.stop()
            daemon.start()
            with WebSocket(daemon.port, token=ws.token, received=0) as back:
                self.assertFalse(back.welcome["data"]["resumed"])


if __name__ == "__main__":
    unittest.main()
