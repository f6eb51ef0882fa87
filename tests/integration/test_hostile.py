"""Hostile peers over HTTP and event streams: each costs its own share and nobody else anything."""

import json
import random
import socket
import unittest

from client import Http, Poller, Reader, Sse, WebSocket, connect, head_of, request
from harness import AdminError, Daemon, DaemonTest, has_plain_memory, memory_bytes, processor_s, wait_until

ASKED = head_of("GET", "/nothing")


def growth(daemon, before):
    """Of what it has in memory; a sanitizer's own bookkeeping says nothing about that."""
    return memory_bytes(daemon) - before if has_plain_memory() else 0


class Floods(unittest.TestCase):
    def test_heads_without_an_end_cost_what_a_head_may_have_and_one_byte_more_ends_them(self):
        count, size = 400, 16 * 1024
        with Daemon({"http.head-timeout": "1h", "limits.connections-per-address": "unlimited"}, workers=1) as daemon:
            links = [connect(daemon.port) for _ in range(count)]
            before = memory_bytes(daemon)
            start = b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\n"
            head = start + b"A: bcdefgh\r\n" * 80
            head += b"B: " + b"c" * (size - len(head) - 3)
            received = daemon.counter("bytes_received")
            for link in links:
                for at in range(0, size, 4096):
                    link.sendall(head[at:at + 4096])
            wait_until(lambda: daemon.counter("bytes_received") - received >= count * size, "all is read")
            self.assertLess(growth(daemon, before), count * (size + 4096) + 2 * 1024 * 1024)
            for link in links:
                link.sendall(b"c")
                reader = Reader(link)
                self.assertEqual(reader.response().status, 431)
                self.assertTrue(reader.is_closed())
                link.close()
            self.assertEqual(daemon.counter("requests_refused"), count)

    def test_who_pipelines_requests_does_not_keep_others_waiting(self):
        peers, each = 40, 1200
        with Daemon(workers=1) as daemon:
            floods = [connect(daemon.port) for _ in range(peers)]
            newcomer = connect(daemon.port)
            for link in floods:
                link.sendall(ASKED)
                self.assertEqual(Reader(link).response().status, 404)
            flood = ASKED * each
            with daemon.paused():
                for link in floods:
                    link.setblocking(False)
                    link.send(flood)
                newcomer.sendall(ASKED)
            self.assertEqual(Reader(newcomer).response().status, 404)
            # Their requests are far from done: each had no more than a few turns.
            self.assertLess(daemon.counter("requests_received"), peers * each // 2)
            for link in [*floods, newcomer]:
                link.close()

    def test_all_pipelined_requests_are_answered_in_order(self):
        with Daemon(workers=1) as daemon, Http(daemon.port) as http:
            paths = ["/nothing", "/rtc/client.js", "/rtc/negotiate"] * 100
            statuses = {"/nothing": 404, "/rtc/client.js": 304, "/rtc/negotiate": 405}
            http.link.sendall(b"".join(head_of("GET", path, {"If-None-Match": "*"}) for path in paths))
            for path in paths:
                if path == "/rtc/client.js":
                    self.assertEqual(http.reader.head()[0], 304)
                else:
                    self.assertEqual(http.reader.response().status, statuses[path])
            body = b'{"transports":["sse"]}'
            http.link.sendall((head_of("POST", "/rtc/negotiate", {"Content-Length": len(body)}) + body) * 50)
            self.assertEqual([http.reader.response().json()["transport"] for _ in range(50)], ["sse"] * 50)

    def test_who_does_not_read_answers_is_read_no_further(self):
        with Daemon({"http.write-timeout": "1h"}, workers=1) as daemon, Http(daemon.port) as http:
            before = memory_bytes(daemon)
            http.link.settimeout(0.3)
            sent = 0
            try:
                while sent < 64 * 1024 * 1024:
                    sent += http.link.send(ASKED * 1000)
            except TimeoutError:
                pass
            self.assertLess(sent, 64 * 1024 * 1024)
            self.assertLess(growth(daemon, before), 2 * 1024 * 1024)
            received = daemon.counter("requests_received")
            self.assertLess(received, sent // len(ASKED))
            # Others are served, and once he reads it goes on.
            self.assertEqual(request(daemon.port, "GET", "/nothing").status, 404)
            http.link.settimeout(20)
            while daemon.counter("requests_received") < received + 100:
                self.assertEqual(http.reader.response().status, 404)

    def test_a_batch_of_tiny_envelopes_costs_in_proportion(self):
        with Daemon({"publish.to-group": "anyone", "resume.envelopes": 100}, workers=1) as daemon:
            costs = []
            for count in (10000, 20000):
                with Poller(daemon.port, wait=0) as poller:
                    batch = [{"eventName": "e", "to": {"group": "x"}}] * count
                    before = processor_s(daemon)
                    self.assertEqual(poller.send(*batch), count)
                    costs.append(processor_s(daemon) - before)
            self.assertLess(costs[1], 3 * costs[0] + 0.01)
            with Http(daemon.port) as http:
                http.link.sendall(head_of("POST", f"/rtc/send?token={poller.token}", {"Content-Type": "application/json", "Content-Length": 1200000}))
                answer = http.reader.response()
                self.assertEqual((answer.status, answer.headers["connection"]), (413, "close"))


class BeforeCredentials(DaemonTest):
    options = {"connection.anonymous": "false"}

    def test_a_body_is_not_read_of_who_may_not_send_one_and_never_taken_for_a_request(self):
        hidden = head_of("GET", "/rtc/hidden") * 100
        for path, status in (("/rtc/send", 404), ("/rtc/send?token=x", 404), ("/rtc/connection?token=x", 405), ("/nothing", 404), ("/rtc/sse", 405)):
            for body in ({"Content-Length": len(hidden)}, {"Transfer-Encoding": "chunked"}):
                with Http(self.daemon.port) as http:
                    before = self.daemon.counter("requests_received")
                    http.link.sendall(head_of("POST", path, body))
                    response = http.reader.response()
                    self.assertEqual((response.status, response.headers["connection"]), (status, "close"), path)
                    try:
                        http.link.sendall(hidden)
                    except ConnectionError:
                        pass
                    self.assertTrue(http.reader.is_closed())
                    self.assertEqual(http.reader.buffer, b"")
                    self.assertEqual(self.daemon.counter("requests_received"), before + 1)

    def test_who_negotiates_sends_no_more_than_an_offer(self):
        for size, status in ((4096, 401), (4097, 413)):
            body = b'{"transports":["sse"]}'.ljust(size)
            with Http(self.daemon.port) as http:
                http.send("POST", "/rtc/negotiate", body)
                self.assertEqual(http.reader.response().status, status)
            with Http(self.daemon.port) as http:
                chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
                http.link.sendall(head_of("POST", "/rtc/negotiate", {"Transfer-Encoding": "chunked"}) + chunked)
                self.assertEqual(http.reader.response().status, status)


class EventStreams(DaemonTest):
    options = {"publish.to-group": "anyone", "resume.window": "300ms"}

    def test_names_with_controls_are_refused_whoever_sends_them(self):
        names = ["a\nb", "a\rb", "a\0b", "\n", "a\x1fb", "a\x7fb", "a\x85b", "", "x" * 129]
        with Poller(self.daemon.port, wait=0) as poller, WebSocket(self.daemon.port, "msgpack") as ws, Sse(self.daemon.port, group="n") as sse:
            for number, name in enumerate(names, 1):
                with self.assertRaises(AdminError, msg=repr(name)) as refused:
                    self.daemon.publish(name, 1, group="n")
                self.assertIn(refused.exception.code, ("bad-envelope", "bad-request"))
                self.assertEqual(ws.call(name, 1, id=number, to={"group": "n"})["error"]["code"], "bad-envelope", repr(name))
                envelope = {"eventName": name, "to": {"group": "n"}, "id": number}
                answer = request(self.daemon.port, "POST", "/rtc/send", json.dumps(envelope).encode(), {"Content-Type": "application/json"}, token=poller.token)
                replies = [] if answer.status != 200 else poller.poll()
                self.assertTrue(answer.status == 400 or replies[0].get("error", {}).get("code") == "bad-envelope" or replies[0]["data"]["code"] == "bad-envelope",
                                (name, answer.status, replies))
            self.daemon.publish("end", 1, group="n")
            self.assertEqual(sse.receive()["eventName"], "end")

    def test_whatever_is_published_comes_out_of_a_stream_as_it_went_in(self):
        pick = random.Random(1)
        pieces = ["\n", "\r", "\r\n", "\n\n", "\u2028", "\u2029", "\u0085", "\0", "data:", "id: 7\n", "event: x\r\r", ":", " ", "\ufeff", "retry: 1\n", "\\", '"', "é", "\U0001f600", "]]>"]
        with Sse(self.daemon.port, group="any") as sse, WebSocket(self.daemon.port, group="out") as ws:
            for number in range(1, 301):
                data = {"".join(pick.choices(pieces, k=3)): ["".join(pick.choices(pieces, k=8)), number]}
                name = "".join(p for p in pick.choices(pieces, k=4) if p.isprintable() or p in "\u2028\u2029") or "n"
                name = "n" if name.startswith("rtc.") or not name.strip() else name
                try:
                    self.daemon.publish(name, data, group="any")
                except AdminError:
                    name = "n"
                    self.daemon.publish(name, data, group="any")
                got = sse.receive()
                self.assertEqual((got["eventName"], got["data"], sse.last_id), (name, data, str(number)))
            ws.send("rtc.ping", 1)
            ws.expect("rtc.pong")

    def test_a_last_event_id_that_is_none_begins_anew(self):
        for wrong in ("x", "-1", "1 or 1=1", "9" * 40, "a" * 5000, "1,2", "\xff", "0x10", "18446744073709551615", "7"):
            with Sse(self.daemon.port) as sse:
                self.daemon.publish("n", 1, connection=sse.id)
                sse.expect("n")
                with Sse(self.daemon.port, headers={"Last-Event-ID": wrong}, token=sse.token) as again:
                    self.assertEqual(again.status, 200, (wrong, getattr(again, "body", "")))
                    self.assertFalse(again.welcome["data"]["resumed"], wrong)
                    self.assertNotEqual(again.id, sse.id)
                # Without a token there is nothing that it could be the number of.
                with Sse(self.daemon.port, headers={"Last-Event-ID": wrong}) as fresh:
                    self.assertEqual(fresh.status, 200)

    def test_a_stream_whose_reader_has_half_hung_up_is_given_up(self):
        sse = Sse(self.daemon.port)
        sse.http.link.shutdown(socket.SHUT_WR)
        wait_until(lambda: sse.id not in [c["id"] for c in self.daemon.connections()], "it is over")
        self.assertTrue(sse.http.reader.is_closed())
        sse.close()


if __name__ == "__main__":
    unittest.main()
