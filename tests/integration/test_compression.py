"""Compression: permessage-deflate on WebSocket (RFC 7692), and Content-Encoding of polls and sends."""

import gzip
import json
import os
import random
import string
import unittest
import zlib

from client import BINARY, CLOSE, DEFLATE, PING, PONG, TEXT, Poller, Sse, WebSocket, frame, negotiate, packed, request
from harness import DaemonTest, wait_until

ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
RSV1 = 4


def words(length, seed=1):
    """Text that shrinks, but not to nothing."""
    source = random.Random(seed)
    return "".join(source.choice(["lorem ", "ipsum ", "dolor ", "sit ", "amet "]) for _ in range(length // 5 + 1))[:length]


def noise(length, seed=1):
    source = random.Random(seed)
    return "".join(source.choice(string.ascii_letters + string.digits + "+-") for _ in range(length))


def message(text, opcode=TEXT, **more):
    return frame(opcode, packed(text if isinstance(text, bytes) else text.encode()), reserved=RSV1, **more)


class Offers(DaemonTest):
    options = {"compression.websocket": "true"}

    def answer(self, *offers):
        with WebSocket(self.daemon.port, headers={"Sec-WebSocket-Extensions": ", ".join(offers)}) as ws:
            self.assertEqual(ws.call("rtc.join", {"group": "g"})["data"]["group"], "g")
            return ws.headers.get("sec-websocket-extensions")

    def test_offers_are_taken(self):
        for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=9",
                      "permessage-deflate; server_no_context_takeover", "permessage-deflate; client_no_context_takeover"):
            self.assertEqual(self.answer(offer), ANSWER, offer)
        for bits in range(8, 16):
            self.assertEqual(self.answer(f"permessage-deflate; server_max_window_bits={bits}"), f"{ANSWER}; server_max_window_bits={bits}")

    def test_the_first_offer_that_can_be_kept_is_taken(self):
        self.assertEqual(self.answer("x-webkit-deflate-frame", "permessage-deflate; server_max_window_bits=7",
                                     "permessage-deflate; server_max_window_bits=9", "permessage-deflate"), f"{ANSWER}; server_max_window_bits=9")

    def test_malformed_offers_are_declined_and_cost_nothing(self):
        for offer in ("permessage-deflate; client_max_window_bits=16", "permessage-deflate; server_max_window_bits=7", "x-webkit-deflate-frame",
                      "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=010",
                      "permessage-deflate; server_no_context_takeover=1", "permessage-deflate;", "permessage-deflate; server_max_window_bits=\"9",
                      "permessage-deflate; client_max_window_bits=0", "permessage-deflate; server_max_window_bits=4294967305", "\"", "=,;"):
            self.assertIsNone(self.answer(offer), offer)

    def test_offers_in_several_headers_are_looked_at(self):
        lines = "a=b, c\r\nSec-WebSocket-Extensions: ,permessage-deflate"
        self.assertEqual(self.answer(lines), ANSWER)

    def test_who_is_refused_is_answered_without_it(self):
        ws = WebSocket(self.daemon.port, headers=DEFLATE, user="nobody-believes-it")
        self.assertEqual(ws.response.status, 403)
        self.assertNotIn("sec-websocket-extensions", ws.headers)


class Off(DaemonTest):
    def test_nothing_is_compressed_unless_asked_for(self):
        with WebSocket(self.daemon.port, headers=DEFLATE, group="g") as ws:
            self.assertNotIn("sec-websocket-extensions", ws.headers)
            self.daemon.publish("n", words(5000), group="g")
            self.assertEqual(ws.expect("n")["data"], words(5000))
            self.assertEqual(ws.packed_count, 0)
            ws.send_raw(message('{"eventName":"x"}'))
            self.assertEqual(ws.closing()[0], 1002)


class Downwards(DaemonTest):
    options = {"compression.websocket": "true", "compression.min-bytes": "512"}

    def test_every_member_gets_what_it_can_read(self):
        members = [WebSocket(self.daemon.port, protocol, headers=headers, group="mixed") for protocol in ("json", "msgpack")
                   for headers in (DEFLATE, None, {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=8"})]
        for length in (0, 100, 511, 512, 600, 40000):
            self.daemon.publish("n", words(length), group="mixed")
            for ws in members:
                self.assertEqual(ws.expect("n")["data"], words(length))
        self.assertEqual([ws.packed_count > 0 for ws in members], [True, False, False] * 2)
        self.assertLess(members[0].wire_bytes, members[1].wire_bytes / 3)
        for ws in members:
            ws.close()

    def test_a_short_window_is_kept_to(self):
        for bits in range(10, 15):
            with WebSocket(self.daemon.port, headers={"Sec-WebSocket-Extensions": f"permessage-deflate; server_max_window_bits={bits}"},
                           group="short") as ws:
                half = noise((1 << bits) // 2 - 60)
                for data in (half + half, half + words(1 << bits) + half):
                    self.daemon.publish("n", data, group="short")
                    self.assertEqual(ws.expect("n")["data"], data)
                self.assertEqual(ws.packed_count, 1)

    def test_it_is_compressed_once_for_all_members(self):
        members = [WebSocket(self.daemon.port, headers=DEFLATE, group="many") for _ in range(20)]
        before = self.daemon.counter("messages_packed")
        for number in range(10):
            self.daemon.publish("n", [number, words(3000)], group="many")
            for ws in members:
                self.assertEqual(ws.expect("n")["data"][0], number)
        # Two workers may begin with the same one at once; the later one is thrown away.
        self.assertIn(self.daemon.counter("messages_packed") - before, range(10, 21))
        self.assertTrue(all(ws.packed_count == 10 for ws in members))
        for ws in members:
            ws.close()

    def test_what_does_not_shrink_goes_out_as_it_is(self):
        with WebSocket(self.daemon.port, "msgpack", headers=DEFLATE, group="noise") as ws, WebSocket(self.daemon.port, "msgpack") as publisher:
            publisher.send("rtc.join", {"group": "noise"})
            publisher.send("n", os.urandom(20000), to={"group": "noise"})
            self.assertEqual(len(ws.expect("n")["data"]), 20000)
            self.assertEqual(ws.packed_count, 0)

    def test_the_welcome_with_its_secret_is_never_compressed(self):
        groups = [f"{words(50)}{number}" for number in range(60)]
        with WebSocket(self.daemon.port, headers=DEFLATE, group=groups) as ws:
            self.assertEqual(len(ws.welcome["data"]["groups"]), 60)
            self.assertEqual(ws.packed_count, 0)

    def test_a_slow_reader_gets_every_one_whole(self):
        with WebSocket(self.daemon.port, headers=DEFLATE, group="slow") as ws:
            data = noise(60000)
            count = 0

            def is_half_sent():
                nonlocal count
                count += self.daemon.publish("n", data, group="slow")
                self.daemon.admin("ping")
                return self.daemon.admin("show.connection", connection=ws.id)["unsentBytes"]
            wait_until(is_half_sent, "a full socket")
            ws.send_raw(frame(PING, b"?"))
            for _ in range(count):
                self.assertEqual(ws.expect("n")["data"], data)
            self.assertEqual(ws.packed_count, count)

    def test_a_close_does_not_cut_into_a_half_sent_one(self):
        with WebSocket(self.daemon.port, headers=DEFLATE, group="cut") as ws:
            def is_half_sent():
                self.daemon.publish("n", noise(60000), group="cut")
                self.daemon.admin("ping")
                return self.daemon.admin("show.connection", connection=ws.id)["unsentBytes"]
            wait_until(is_half_sent, "a full socket")
            ws.send_raw(frame(CLOSE, b"\x03\xe8"))
            self.assertEqual(ws.closing()[0], 1000)

    def test_a_connection_may_come_back_without_it_and_with_it(self):
        with WebSocket(self.daemon.port, headers=DEFLATE, group="back") as ws:
            ws.drop()
            token = ws.token
            for number, headers in enumerate((None, DEFLATE, None)):
                self.daemon.publish("n", words(2000), group="back")
                with WebSocket(self.daemon.port, headers=headers, token=token, received=number) as again:
                    token = again.token
                    self.assertTrue(again.welcome["data"]["resumed"])
                    self.assertEqual(again.expect("n")["data"], words(2000))
                    self.assertEqual(again.packed_count, 1 if headers else 0)


class Upwards(DaemonTest):
    options = {"compression.websocket": "true", "publish.to-group": "anyone"}

    def publishes(self, ws, data, send):
        """What is published so comes back as it was."""
        send(json.dumps({"eventName": "n", "data": data, "to": {"group": "up"}}).encode())
        self.assertEqual(ws.expect("n")["data"], data)

    def test_compressed_messages_are_taken_in_any_pieces(self):
        with WebSocket(self.daemon.port, headers=DEFLATE, group="up") as ws:
            source = random.Random(7)
            for data in ("", "x", words(5000), noise(50000), words(65000)):
                self.publishes(ws, data, lambda text: ws.send_raw(message(text)))
                self.publishes(ws, data, lambda text: ws.send_raw(frame(TEXT, text)))

                def in_fragments(text):
                    body, cut = packed(text), []
                    while body:
                        at = source.randrange(len(body) // 3 + 2)
                        cut.append(body[:at])
                        body = body[at:]
                    for number, part in enumerate(cut):
                        ws.send_raw(frame(0 if number else TEXT, part, final=number == len(cut) - 1, reserved=0 if number else RSV1)
                                    + frame(PING, b"between"))
                self.publishes(ws, data, in_fragments)
            for byte in message('{"eventName":"n","data":"slow","to":{"group":"up"}}'):
                ws.send_raw(bytes([byte]))
            self.assertEqual(ws.expect("n")["data"], "slow")

    def test_messages_of_many_clients_may_be_unfinished_at_once(self):
        clients = [WebSocket(self.daemon.port, headers=DEFLATE, group="up") for _ in range(10)]
        bodies = [packed(json.dumps({"eventName": "n", "data": [number, words(3000, number)], "to": {"group": "up"}}).encode())
                  for number in range(10)]
        for at in range(10):
            for ws, body in zip(clients, bodies):
                size = len(body) // 9
                ws.send_raw(frame(0 if at else TEXT, body[at * size:(at + 1) * size], final=at == 9, reserved=0 if at else RSV1))
        for ws in clients:
            got = sorted(ws.expect("n")["data"] for _ in range(10))
            self.assertEqual(got, [[number, words(3000, number)] for number in range(10)])
            ws.close()

    def test_final_blocks_and_unstripped_ends_are_taken(self):
        text = b'{"eventName":"n","data":1,"to":{"group":"up"}}'
        stream = zlib.compressobj(6, zlib.DEFLATED, -15)
        final = stream.compress(text) + stream.flush(zlib.Z_FINISH)
        with WebSocket(self.daemon.port, headers=DEFLATE, group="up") as ws:
            for body in (final, final + b"\0", packed(text) + b"\0\0\xff\xff", packed(text, level=0), packed(text, window=9)):
                ws.send_raw(frame(TEXT, body, reserved=RSV1))
                self.assertEqual(ws.expect("n")["data"], 1)

    def test_empty_messages_are_messages(self):
        with WebSocket(self.daemon.port, headers=DEFLATE) as ws:
            for body in (b"", b"\0"):
                ws.send_raw(frame(TEXT, body, reserved=RSV1))
                self.assertEqual(ws.receive()["data"]["code"], "bad-envelope")

    def test_what_is_malformed_is_closed_with_its_code(self):
        for name, data, code in (
                ("continuation marked", frame(TEXT, packed(b"{}"), final=False, reserved=RSV1) + frame(0, b"", reserved=RSV1), 1002),
                ("continuation of a plain message marked", frame(TEXT, b"{", final=False) + frame(0, b"}", reserved=RSV1), 1002),
                ("ping marked", frame(PING, b"x", reserved=RSV1), 1002), ("close marked", frame(CLOSE, b"\x03\xe8", reserved=RSV1), 1002),
                ("another bit", frame(TEXT, packed(b"{}"), reserved=2), 1002), ("two bits", frame(TEXT, packed(b"{}"), reserved=6), 1002),
                ("no deflate", frame(TEXT, b"\xff\xff\xff\xff", reserved=RSV1), 1007),
                ("cut off", frame(TEXT, packed(words(500).encode())[:-9], reserved=RSV1), 1007),
                ("not UTF-8", message(b"\xff"), 1007), ("UTF-8 cut off", message(b"{\xe2\x82"), 1007),
                ("binary for json", message(b"{}", opcode=BINARY), 1003)):
            with self.subTest(name), WebSocket(self.daemon.port, headers=DEFLATE) as ws:
                ws.send_raw(data)
                self.assertEqual(ws.closing()[0], code)
                self.assertTrue(ws.reader.is_closed())

    def test_control_frames_between_compressed_fragments_are_answered(self):
        with WebSocket(self.daemon.port, headers=DEFLATE) as ws:
            body = packed(b'{"eventName":"rtc.ping","data":7}')
            ws.send_raw(frame(TEXT, body[:9], final=False, reserved=RSV1) + frame(PING, b"now") + frame(0, body[9:]))
            self.assertEqual(ws.frame(), (PONG, b"now"))
            self.assertEqual(ws.expect("rtc.pong")["data"], 7)

    def test_the_bound_is_that_of_the_text(self):
        head = b'{"eventName":"rtc.ping","data":"'
        with WebSocket(self.daemon.port, headers=DEFLATE) as ws:
            for filler in (b"x", noise(65536).encode()):
                text = head + (filler * 65536)[:65536 - len(head) - 2] + b'"}'
                ws.send_raw(message(text))
                self.assertEqual(len(ws.expect("rtc.pong")["data"]), 65536 - len(head) - 2)
            ws.send_raw(message(head + b"x" * (65536 - len(head) - 1) + b'"}'))
            self.assertEqual(ws.closing()[0], 1009)

    def test_messages_under_back_pressure_are_taken_later_and_once(self):
        with WebSocket(self.daemon.port, headers=DEFLATE, group="up") as ws, WebSocket(self.daemon.port, headers=DEFLATE) as other:
            count = 2000
            with self.daemon.paused():
                for at in range(0, count, 100):
                    other.link.setblocking(True)
                    other.send_raw(b"".join(message(json.dumps({"eventName": "n", "data": number, "to": {"group": "up"}}))
                                            for number in range(at, at + 100)))
            self.assertEqual([ws.expect("n")["data"] for _ in range(count)], list(range(count)))


class Polls(DaemonTest):
    options = {"compression.polls": "true", "compression.min-bytes": "512", "http.body-bytes": "64KiB", "publish.to-group": "anyone"}

    def poll(self, accepted, data, codec="json"):
        """The answer to a poll of one who has been welcomed already."""
        headers = {**({"Accept-Encoding": accepted} if accepted is not None else {}),
                   **({"Accept": "application/msgpack"} if codec == "msgpack" else {})}
        with Poller(self.daemon.port, group="polls", codec=codec, wait=0) as poller:
            self.daemon.publish("n", data, group="polls")
            response = poller.http.request("GET", "/rtc/poll", headers=headers, token=poller.token, received=0, wait=20000)
            self.assertEqual((response.status, response.headers["vary"]), (200, "Origin, Accept-Encoding"))
            is_packed = response.headers.get("content-encoding") == "gzip"
            if is_packed:
                self.assertLess(len(response.body), len(gzip.decompress(response.body)))
                response.body = gzip.decompress(response.body)
            body = response.msgpack() if codec == "msgpack" else response.json()
            self.assertEqual(body["messages"][0]["data"], data)
            return is_packed

    def test_answers_are_compressed_for_who_accepts_it(self):
        for accepted in ("gzip", "GZIP", "x-gzip", "deflate, gzip;q=0.1, br", "*", "gzip;q=1.000", "*;q=0, gzip", "gzip ; q=0.5, identity;q=0.5",
                         "br,\tgzip"):
            self.assertTrue(self.poll(accepted, words(3000)), accepted)
        self.assertTrue(self.poll("gzip", words(3000), "msgpack"))

    def test_answers_are_not_compressed_for_who_does_not(self):
        for accepted in (None, "", "identity", "gzip;q=0", "gzip;q=0.000", "*;q=1, gzip;q=0", "*;q=0", "br, deflate", "gzip;q=0.5, identity",
                         "gzip;q=x", "gzip;q=2", "gzip;q=0.0001", "gzip;level=1", "gzi p", "gzipp", ";q=1"):
            self.assertFalse(self.poll(accepted, words(3000)), accepted)

    def test_short_answers_go_out_as_they_are(self):
        self.assertFalse(self.poll("gzip", "short"))

    def test_a_poll_that_waits_is_compressed_when_it_is_answered(self):
        with Poller(self.daemon.port, group="held", wait=0) as poller:
            poller.http.send("GET", "/rtc/poll", headers={"Accept-Encoding": "gzip"}, token=poller.token, received=0, wait=20000)
            wait_until(lambda: any(c["id"] == poller.id and c["state"] == "open" for c in self.daemon.connections()), "a held poll")
            self.daemon.publish("n", words(3000), group="held")
            response = poller.http.reader.response()
            self.assertEqual(response.headers["content-encoding"], "gzip")
            self.assertEqual(json.loads(gzip.decompress(response.body))["messages"][0]["data"], words(3000))
            # The next one on the same link may want something else.
            self.daemon.publish("n", words(3000), group="held")
            response = poller.http.request("GET", "/rtc/poll", token=poller.token, received=1, wait=20000)
            self.assertNotIn("content-encoding", response.headers)
            self.assertEqual(response.json()["first"], 2)

    def test_the_welcome_with_its_secret_is_never_compressed(self):
        groups = [f"{words(50)}{number}" for number in range(60)]
        response = request(self.daemon.port, "GET", "/rtc/poll", headers={"Accept-Encoding": "gzip"}, wait=0, group=groups)
        self.assertNotIn("content-encoding", response.headers)
        self.assertGreater(len(response.body), 2000)

    def test_server_sent_events_are_not_compressed(self):
        with Sse(self.daemon.port, headers={"Accept-Encoding": "gzip"}, group="events") as sse:
            self.assertNotIn("content-encoding", sse.headers)
            self.daemon.publish("n", words(3000), group="events")
            self.assertEqual(sse.expect("n")["data"], words(3000))

    def send(self, token, body, coding):
        headers = {"Content-Type": "application/json", **({"Content-Encoding": coding} if coding is not None else {})}
        return request(self.daemon.port, "POST", "/rtc/send", body, headers, token=token)

    def test_compressed_sends_are_taken(self):
        with WebSocket(self.daemon.port, group="sends") as ws:
            token = negotiate(self.daemon.port, transports=["longpoll"])["connectionToken"]
            for number, (coding, pack) in enumerate((("gzip", gzip.compress), ("X-GZip", gzip.compress), ("identity, gzip", gzip.compress),
                                                     ("identity", bytes), (None, bytes), ("gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])))):
                body = json.dumps([{"eventName": "n", "data": [number, words(2000)], "to": {"group": "sends"}}]).encode()
                self.assertEqual(self.send(token, pack(body), coding).json(), {"received": number + 1})
                self.assertEqual(ws.expect("n")["data"], [number, words(2000)])

    def test_unknown_codings_are_refused_and_told_what_is_taken(self):
        token = negotiate(self.daemon.port, transports=["longpoll"])["connectionToken"]
        for coding in ("deflate", "br", "zstd", "gzip, gzip", "br, gzip", "gzip;q=1", "gzi"):
            response = self.send(token, b"[]", coding)
            self.assertEqual((response.status, response.json()["code"]), (415, "unsupported"), coding)
            self.assertEqual(response.headers["accept-encoding"], "gzip")

    def test_malformed_bodies_are_refused(self):
        token = negotiate(self.daemon.port, transports=["longpoll"])["connectionToken"]
        whole = gzip.compress(b"[]")
        for body in (b"[]", whole[:-1], whole + b"x", whole[:-6] + b"\0\0" + whole[-4:], b"\x1f\x8b"):
            response = self.send(token, body, "gzip")
            self.assertEqual((response.status, response.json()["code"]), (400, "bad-envelope"))
        self.assertEqual(self.send(token, whole, "gzip").status, 200)

    def test_a_bomb_is_refused(self):
        token = negotiate(self.daemon.port, transports=["longpoll"])["connectionToken"]
        response = self.send(token, gzip.compress(b" " * (8 << 20)), "gzip")
        self.assertEqual((response.status, response.json()["code"]), (413, "too-large"))

    def test_nothing_is_taken_apart_for_who_has_not_proved_anything(self):
        response = request(self.daemon.port, "POST", "/rtc/negotiate", gzip.compress(b"{}"), {"Content-Encoding": "gzip"})
        self.assertEqual((response.status, response.headers["accept-encoding"]), (415, "identity"))
        self.assertEqual(self.send("A" * 32, gzip.compress(b"[]"), "gzip").status, 404)


class PollsOff(DaemonTest):
    def test_nothing_is_compressed_unless_asked_for(self):
        with Poller(self.daemon.port, group="off", wait=0) as poller:
            self.daemon.publish("n", words(3000), group="off")
            response = poller.http.request("GET", "/rtc/poll", headers={"Accept-Encoding": "gzip"}, token=poller.token, received=0, wait=20000)
            self.assertNotIn("content-encoding", response.headers)
            self.assertEqual(response.headers["vary"], "Origin")
            response = request(self.daemon.port, "POST", "/rtc/send", gzip.compress(b"[]"), {"Content-Encoding": "gzip"}, token=poller.token)
            self.assertEqual((response.status, response.headers["accept-encoding"]), (415, "identity"))


if __name__ == "__main__":
    unittest.main()
