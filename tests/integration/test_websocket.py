"""WebSocket (RFC 6455): the handshake, framing, closing; what is malformed costs its own connection and says why."""

import json
import struct
import unittest

from client import BINARY, CLOSE, PING, PONG, TEXT, Closed, WebSocket, frame, head_of, connect, Reader
from harness import CONTEXTS, DaemonTest, wait_until


class Handshake(DaemonTest):
    def test_json_is_the_default_and_no_subprotocol_is_named_unasked(self):
        with WebSocket(self.daemon.port) as ws:
            self.assertNotIn("sec-websocket-protocol", ws.headers)
            self.assertEqual(ws.welcome["data"]["protocol"], "json")

    def test_the_subprotocol_offered_is_chosen(self):
        for protocol in ("json", "msgpack"):
            with WebSocket(self.daemon.port, protocol) as ws:
                self.assertEqual(ws.headers["sec-websocket-protocol"], f"rtc.v1.{protocol}")
                self.assertEqual(ws.welcome["data"]["protocol"], protocol)

    def test_strange_subprotocols_are_refused(self):
        ws = WebSocket(self.daemon.port, headers={"Sec-WebSocket-Protocol": "chat, superchat"})
        self.assertEqual((ws.response.status, ws.response.json()["code"]), (406, "unsupported"))

    def test_another_version_is_told_which_one_is_spoken(self):
        ws = WebSocket(self.daemon.port, headers={"Sec-WebSocket-Version": "8"})
        self.assertEqual(ws.response.status, 426)
        self.assertEqual(ws.headers["sec-websocket-version"], "13")
        self.assertEqual(ws.headers["upgrade"], "websocket")
        self.assertTrue(ws.reader.is_closed())

    def test_a_key_that_is_no_key_is_refused(self):
        for key in ("", "short", "A" * 24, "AAAAAAAAAAAAAAAAAAAAAA="):
            self.assertEqual(WebSocket(self.daemon.port, headers={"Sec-WebSocket-Key": key}).response.status, 400, key)

    def test_frames_in_the_same_segment_as_the_handshake_are_taken(self):
        hello = json.dumps({"eventName": "rtc.join", "data": {"group": "early"}, "id": 9}).encode()
        with WebSocket(self.daemon.port, first=frame(TEXT, hello)) as ws:
            self.assertEqual(ws.expect("rtc.reply")["id"], 9)

    def test_pages_from_elsewhere_are_refused_and_own_pages_are_not(self):
        for origin in ("http://evil.example", "null", "http://localhost.evil.example", "http://localhost:1"):
            self.assertEqual(WebSocket(self.daemon.port, headers={"Origin": origin}).response.status, 403, origin)
        scheme = "https" if self.daemon.port in CONTEXTS else "http"
        with WebSocket(self.daemon.port, headers={"Origin": f"{scheme}://localhost"}) as ws:
            self.assertEqual(ws.response.status, 101)


class Framing(DaemonTest):
    options = {"connection.message-bytes": "4KiB", "connection.message-fragments": "8", "queue.bytes": "1MiB"}

    def refused(self, data, code):
        with WebSocket(self.daemon.port) as ws, WebSocket(self.daemon.port) as bystander:
            ws.send_raw(data)
            self.assertEqual(ws.closing()[0], code)
            self.assertTrue(ws.reader.is_closed())
            self.assertEqual(bystander.call("rtc.join", {"group": "x"})["data"]["group"], "x")

    def test_malformed_frames_are_closed_with_the_codes_of_the_rfc(self):
        envelope = b'{"eventName":"x"}'
        table = [
            ("not masked", frame(TEXT, envelope, mask=None), 1002),
            ("ping not masked", frame(PING, b"", mask=None), 1002),
            ("reserved bit 1", frame(TEXT, envelope, reserved=4), 1002),
            ("reserved bit 3", frame(PING, b"", reserved=1), 1002),
            ("opcode 3", frame(3, envelope), 1002),
            ("opcode 15", frame(15), 1002),
            ("fragmented ping", frame(PING, b"", final=False), 1002),
            ("long ping", frame(PING, b"x" * 126), 1002),
            ("continuation of nothing", frame(0, b"x"), 1002),
            ("two messages at once", frame(TEXT, b"{", final=False) + frame(TEXT, b"}"), 1002),
            ("longer length than needed", b"\x81\xfe\x00\x05\0\0\0\0hello", 1002),
            ("64-bit length for few", b"\x81\xff" + struct.pack("!Q", 5) + b"\0\0\0\0hello", 1002),
            ("length 2^63", frame(TEXT, b"", length=2**63), 1002),
            ("length 2^64-1", frame(TEXT, b"", length=2**64 - 1), 1002),
            ("length 2^63-1", frame(TEXT, b"", length=2**63 - 1), 1009),
            ("length 2^32+5", frame(TEXT, b"", length=2**32 + 5), 1009),
            ("too large", frame(TEXT, b"", length=4097), 1009),
            ("too large in sum", frame(TEXT, b"x" * 4000, final=False) + frame(0, b"", length=97), 1009),
            ("too many fragments", frame(TEXT, b"", final=False) + frame(0, b"", final=False) * 8, 1008),
            ("bad UTF-8", frame(TEXT, b"\xff"), 1007),
            ("bad UTF-8 over fragments", frame(TEXT, b"\xed", final=False) + frame(0, b"\xa0\x80"), 1007),
            ("UTF-8 cut off", frame(TEXT, b"\xe2\x82"), 1007),
            ("binary for json", frame(BINARY, envelope), 1003),
            ("half a close code", frame(CLOSE, b"\x03"), 1002),
            ("close code 1005", frame(CLOSE, struct.pack("!H", 1005)), 1002),
            ("close code 999", frame(CLOSE, struct.pack("!H", 999)), 1002),
            ("close reason in bad UTF-8", frame(CLOSE, struct.pack("!H", 1000) + b"\xc0"), 1007),
        ]
        for name, data, code in table:
            with self.subTest(name):
                self.refused(data, code)

    def test_bytes_may_come_one_by_one(self):
        with WebSocket(self.daemon.port) as ws:
            message = json.dumps({"eventName": "rtc.join", "data": {"group": "é"}, "id": 3}).encode()
            for byte in frame(TEXT, message[:20], final=False) + frame(PING, b"in between") + frame(0, message[20:]):
                ws.send_raw(bytes([byte]))
            opcode, payload = ws.frame()
            self.assertEqual((opcode, payload), (PONG, b"in between"))
            self.assertEqual(ws.expect("rtc.reply")["data"]["group"], "é")

    def test_the_largest_message_is_taken_and_one_byte_more_is_not(self):
        with WebSocket(self.daemon.port) as ws:
            text = json.dumps({"eventName": "rtc.ping", "data": ""})
            fill = 4096 - len(text)
            ws.send("rtc.ping", "x" * fill)
            self.assertEqual(len(ws.expect("rtc.pong")["data"]), fill)
            ws.send("rtc.ping", "x" * (fill + 1))
            self.assertEqual(ws.closing()[0], 1009)

    def test_what_follows_a_close_is_ignored(self):
        with WebSocket(self.daemon.port) as ws:
            ws.send_raw(frame(CLOSE, struct.pack("!H", 1000)) + frame(TEXT, b"\xff") + frame(PING, b"late"))
            self.assertEqual(ws.closing()[0], 1000)
            self.assertTrue(ws.reader.is_closed())

    def test_a_close_does_not_cut_into_a_half_sent_envelope(self):
        with WebSocket(self.daemon.port, group="large") as ws:
            def is_half_sent():
                self.daemon.publish("n", "x" * 50000, group="large")
                self.daemon.admin("ping")       # the turn that sends is over
                return self.daemon.admin("show.connection", connection=ws.id)["unsentBytes"]
            wait_until(is_half_sent, "a full socket")
            ws.send_raw(frame(CLOSE, b"\x03\xe8"))
            # Reads every envelope on the way, whole.
            self.assertEqual(ws.closing()[0], 1000)

    def test_a_pong_does_not_cut_into_a_half_sent_envelope(self):
        with WebSocket(self.daemon.port, group="large") as ws:
            sent = 0
            def is_half_sent():
                nonlocal sent
                sent += self.daemon.publish("n", "x" * 50000, group="large")
                self.daemon.admin("ping")       # the turn that sends is over
                return self.daemon.admin("show.connection", connection=ws.id)["unsentBytes"]
            wait_until(is_half_sent, "a full socket")
            before = self.daemon.counter("bytes_received")
            ws.send_raw(frame(PING, b"?"))
            wait_until(lambda: self.daemon.counter("bytes_received") > before, "the ping to be taken")
            for _ in range(sent):
                self.assertEqual(ws.expect("n")["data"], "x" * 50000)

    def test_close_codes_are_echoed(self):
        for code in (1000, 1001, 3000, 4999):
            with WebSocket(self.daemon.port) as ws:
                self.assertEqual(ws.close(code)[0], code)

    def test_closing_with_1000_ends_the_connection_and_1001_only_parks_it(self):
        with WebSocket(self.daemon.port) as ended, WebSocket(self.daemon.port) as parked:
            ended.close(1000)
            parked.close(1001)
            states = lambda: {c["id"]: c["state"] for c in self.daemon.connections()}
            wait_until(lambda: states().get(parked.id) == "parked", "parked")
            self.assertNotIn(ended.id, states())

    def test_a_flood_of_unread_pings_stops_being_read(self):
        with WebSocket(self.daemon.port) as ws, WebSocket(self.daemon.port) as other:
            ws.link.settimeout(0.5)
            flood = frame(PING, b"x" * 125) * 1000
            try:
                for _ in range(400):
                    ws.send_raw(flood)
            except (TimeoutError, ConnectionError):
                pass
            self.assertEqual(other.call("rtc.join", {"group": "y"})["data"]["group"], "y")


class Envelopes(DaemonTest):
    options = {"publish.to-group": "anyone"}

    def test_a_bad_envelope_costs_an_error_and_not_the_connection(self):
        table = [
            ("{", "byte"), ("[]", "object"), ('{"data":1}', "eventName"), ('{"eventName":5}', "eventName"),
            ('{"eventName":""}', "eventName"), ('{"eventName":"a\\u0000b"}', "eventName"),
            ('{"eventName":"%s"}' % ("x" * 129), "eventName"), ('{"eventName":"a","eventName":"b"}', "twice"),
            ('{"eventName":"a","to":"all"}', "to"), ('{"eventName":"a","to":{}}', "to"),
            ('{"eventName":"a","to":{"group":"g","all":true}}', "one of"), ('{"eventName":"a","to":{"group":7}}', "to"),
            ('{"eventName":"rtc.unheard"}', "rtc."), ('{"eventName":"a","data":[1,]}', "value"),
            ('{"eventName":"a","data":"\\ud800"}', "byte"), ('{"eventName":"a"} x', "follow"),
            ('{"eventName":"a","data":' + "[" * 65 + "]" * 65 + "}", "nested"),
        ]
        with WebSocket(self.daemon.port) as ws:
            for text, part in table:
                with self.subTest(text[:40]):
                    ws.send_raw(frame(TEXT, text.encode()))
                    error = ws.receive()
                    self.assertEqual((error["eventName"], error["data"]["code"]), ("rtc.error", "bad-envelope"))
                    self.assertIn(part, error["data"]["message"])
            self.assertEqual(ws.call("rtc.join", {"group": "still"})["data"]["group"], "still")

    def test_an_error_answers_the_id_that_asked(self):
        with WebSocket(self.daemon.port) as ws:
            reply = ws.call("x", id=77, to={"connection": "00000000-0000-4000-8000-000000000000"})
            self.assertEqual(reply["error"]["code"], "forbidden")
            self.assertNotIn("data", reply)

    def test_ids_are_checked(self):
        with WebSocket(self.daemon.port) as ws:
            for bad in ("0", "-1", "1.5", '"1"', "9007199254740992"):
                ws.send_raw(frame(TEXT, b'{"eventName":"x","id":%s}' % bad.encode()))
                self.assertEqual(ws.receive()["data"]["code"], "bad-envelope", bad)

    def test_an_event_for_the_server_without_handlers_says_so(self):
        with WebSocket(self.daemon.port) as ws:
            self.assertEqual(ws.call("hello")["error"]["code"], "no-handler")

    def test_the_two_encodings_agree(self):
        values = [None, True, 0, -1, 2**53, 2**63, -2**63, 2**64 - 1, 1.5, "é\n\u2028", [1, [2]], {"a": {"b": []}}]
        with WebSocket(self.daemon.port, "json", group="mix") as text, WebSocket(self.daemon.port, "msgpack", group="mix") as binary:
            for value in values:
                text.send("v", value, to={"group": "mix"})
                self.assertEqual((text.expect("v")["data"], binary.expect("v")["data"]), (value, value))
                binary.send("v", value, to={"group": "mix"})
                self.assertEqual((text.expect("v")["data"], binary.expect("v")["data"]), (value, value))

    def test_binary_has_a_form_in_json(self):
        with WebSocket(self.daemon.port, "json", group="bin") as text, WebSocket(self.daemon.port, "msgpack", group="bin") as binary:
            binary.send("v", b"\x00\xff", to={"group": "bin"})
            self.assertEqual(text.expect("v")["data"], {"$binary": "AP8="})
            self.assertEqual(binary.expect("v")["data"], b"\x00\xff")
            text.send("v", {"$binary": "AP8="}, to={"group": "bin"})
            self.assertEqual(binary.expect("v")["data"], b"\x00\xff")


if __name__ == "__main__":
    unittest.main()
