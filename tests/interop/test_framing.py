"""RFC 6455 frame by frame, as conformance programs ask it of an echo server; driven by our own raw client."""

import itertools
import json
import random
import struct
import time
import unittest

from echo import FRAGMENTS_MAX, MESSAGE_MAX, EchoTest, closing
from client import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, connect, frame, head_of, reset
from harness import wait_until

SAMPLE = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8 \u20ac \U0001F600 \U0010FFFF \u0000".encode()


class Messages(EchoTest):
    def test_every_length_comes_back_as_it_went(self):
        ws = self.connect()
        for length in (0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 128, 129, 1023, 65534, 65535, 65536, 65537, MESSAGE_MAX):
            for opcode, payload in ((TEXT, b"*" * length), (BINARY, random.randbytes(length))):
                with self.subTest(length=length, opcode=opcode):
                    ws.send_raw(frame(opcode, payload))
                    self.assertEqual(ws.frame(), (opcode, payload))

    def test_text_and_binary_may_take_turns_on_one_connection(self):
        ws = self.connect()
        order = [random.choice((TEXT, BINARY)) for _ in range(200)]
        ws.send_raw(b"".join(frame(opcode, b"%d" % number) for number, opcode in enumerate(order)))
        self.assertEqual([ws.frame() for _ in order], [(opcode, b"%d" % number) for number, opcode in enumerate(order)])

    def test_bytes_may_come_in_pieces_of_any_size(self):
        ws = self.connect()
        payload = random.randbytes(70000)
        data = frame(BINARY, payload)
        for size in (1, 2, 3, 5, 13, 997, 4096):
            piece = data if size > 64 else frame(BINARY, payload[:1500])
            for at in range(0, len(piece), size):
                ws.send_raw(piece[at:at + size])
            self.assertEqual(ws.frame(), (BINARY, payload if size > 64 else payload[:1500]), size)

    def test_any_mask_will_do(self):
        ws = self.connect()
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x00\x00\x00", b"\x00\x00\x00\x80", random.randbytes(4)):
            for length in range(0, 40):
                ws.send_raw(frame(BINARY, bytes(range(length)), mask=mask))
                self.assertEqual(ws.frame(), (BINARY, bytes(range(length))))

    def test_a_mask_goes_on_over_pieces_of_a_frame(self):
        ws = self.connect()
        payload = bytes(range(64))
        data = frame(BINARY, payload, mask=b"\x37\xfa\x21\x3d")
        for first, second in itertools.product(range(6, 14), range(20, 28)):
            for piece in (data[:first], data[first:second], data[second:]):
                ws.send_raw(piece)
            self.assertEqual(ws.frame(), (BINARY, payload))

    def test_one_who_does_not_read_is_read_no_further_and_loses_nothing(self):
        ws = self.connect()
        before = self.resident_bytes()
        payload, sent = b"x" * 60000, 0
        ws.link.settimeout(1)
        data = frame(BINARY, payload, mask=b"\0\0\0\0")
        rest = b""
        try:
            while sent < 10000:
                rest = data
                while rest:
                    rest = rest[ws.link.send(rest):]
                sent += 1
        except TimeoutError:
            pass
        self.assertLess(sent, 10000)
        self.assertLess(self.resident_bytes() - before, 4 << 20)
        ws.link.settimeout(20)
        for _ in range(sent):
            self.assertEqual(ws.frame(), (BINARY, payload))
        ws.send_raw(rest)
        if rest:
            self.assertEqual(ws.frame(), (BINARY, payload))


class Fragments(EchoTest):
    def test_fragments_come_back_as_one_message(self):
        ws = self.connect()
        for opcode in (TEXT, BINARY):
            for sizes in ((0, 0), (0, 5), (5, 0), (1, 1, 1), (0, 0, 7, 0), (125, 126, 127), (65535, 1, 65536)):
                parts = [b"ab"[i % 2:i % 2 + 1] * size for i, size in enumerate(sizes)]
                ws.send_raw(b"".join(frame(opcode if i == 0 else 0, part, final=i == len(parts) - 1) for i, part in enumerate(parts)))
                self.assertEqual(ws.frame(), (opcode, b"".join(parts)), sizes)

    def test_control_frames_between_fragments_are_answered_at_once(self):
        ws = self.connect()
        for _ in range(3):
            ws.send_raw(frame(TEXT, b"one ", final=False) + frame(PING, b"a"))
            self.assertEqual(ws.frame(), (PONG, b"a"))
            ws.send_raw(frame(0, b"two ", final=False) + frame(PONG, b"not asked for") + frame(PING, b""))
            self.assertEqual(ws.frame(), (PONG, b""))
            ws.send_raw(frame(0, b"three"))
            self.assertEqual(ws.frame(), (TEXT, b"one two three"))

    def test_a_close_between_fragments_is_answered_and_the_half_message_is_not(self):
        ws = self.connect()
        ws.send_raw(frame(TEXT, b"half", final=False) + frame(CLOSE, struct.pack("!H", 1000)) + frame(0, b"rest"))
        self.assertEqual(closing(ws), (1000, b""))

    def test_as_many_fragments_as_are_allowed(self):
        ws = self.connect()
        for count, code in ((FRAGMENTS_MAX, None), (FRAGMENTS_MAX + 1, 1008)):
            ws.send_raw(b"".join(frame(BINARY if i == 0 else 0, b"x", final=i == count - 1) for i in range(count)))
            if code:
                self.assertEqual(closing(ws)[0], code)
            else:
                self.assertEqual(ws.frame(), (BINARY, b"x" * count))

    def test_what_is_out_of_order_is_refused(self):
        table = {
            "continuation of nothing": frame(0, b"x"),
            "unfinished continuation of nothing": frame(0, b"x", final=False),
            "continuation after a whole message": frame(TEXT, b"a") + frame(0, b"b"),
            "a text begins within a text": frame(TEXT, b"a", final=False) + frame(TEXT, b"b"),
            "a binary begins within a text": frame(TEXT, b"a", final=False) + frame(BINARY, b"b"),
            "unfinished begins within unfinished": frame(TEXT, b"a", final=False) + frame(TEXT, b"b", final=False),
        }
        for name, data in table.items():
            with self.subTest(name):
                ws = self.connect()
                ws.send_raw(data)
                self.assertEqual(closing(ws)[0], 1002)

    def test_memory_of_an_unfinished_message_is_bounded(self):
        before = self.resident_bytes()
        pieces = frame(BINARY, b"x", final=False) + frame(0, b"x", final=False) * (FRAGMENTS_MAX - 1)
        sockets = [self.connect() for _ in range(200)]
        for ws in sockets:
            ws.send_raw(pieces + frame(PING, b"all taken"))
        for ws in sockets:
            self.assertEqual(ws.frame(), (PONG, b"all taken"))
        # A thousand bytes each; what allocators round up to and what a connection costs is in it.
        self.assertLess(self.resident_bytes() - before, 200 * 8192)


class Refusals(EchoTest):
    def refused(self, data, codes, cut=None):
        ws = self.connect()
        started = time.monotonic()
        for at in range(0, len(data), cut or len(data)):
            try:
                ws.send_raw(data[at:at + (cut or len(data))])
            except (BrokenPipeError, ConnectionResetError):
                break
        self.assertIn(closing(ws)[0], codes)
        self.assertLess(time.monotonic() - started, 3)

    def test_lengths_beyond_the_limit_are_refused_by_the_header_alone(self):
        before = self.resident_bytes()
        for length in (MESSAGE_MAX + 1, 2**31, 2**31 - 1, 2**32, 2**32 + 5, 2**62, 2**63 - 1, 2**63, 2**64 - 1):
            for cut in (None, 1):
                for prefix in (b"", frame(BINARY, b"x", final=False)):
                    with self.subTest(length=length, cut=cut, continued=bool(prefix)):
                        head = frame(0 if prefix else BINARY, b"", length=length)
                        self.refused(prefix + head, (1002,) if length >= 2**63 else (1009,), cut)
        self.assertLess(self.resident_bytes() - before, 2 << 20)

    def test_a_sum_beyond_the_limit_is_refused_before_its_bytes_come(self):
        half = frame(BINARY, b"x" * (MESSAGE_MAX // 2), final=False)
        rest = frame(0, b"x" * (MESSAGE_MAX // 2), final=False)
        self.refused(half + rest + frame(0, b"", length=1), (1009,))

    def test_frames_without_a_mask_are_refused(self):
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG, 0):
            with self.subTest(opcode=opcode):
                self.refused(frame(opcode, b"", mask=None), (1002,))

    def test_reserved_bits_and_opcodes_are_refused(self):
        for reserved in range(1, 8):
            for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
                with self.subTest(reserved=reserved, opcode=opcode):
                    self.refused(frame(opcode, b"", reserved=reserved), (1002,))
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            with self.subTest(opcode=opcode):
                self.refused(frame(opcode, b"x"), (1002,))

    def test_lengths_written_longer_than_needed_are_refused(self):
        for length in (0, 1, 125):
            self.refused(bytes([0x82, 0x80 | 126]) + struct.pack("!H", length) + bytes(4 + length), (1002,))
            self.refused(bytes([0x82, 0x80 | 127]) + struct.pack("!Q", length) + bytes(4 + length), (1002,))
        self.refused(bytes([0x82, 0x80 | 127]) + struct.pack("!Q", 65535) + bytes(4), (1002,))

    def test_control_frames_may_be_neither_long_nor_fragmented(self):
        for opcode in (PING, PONG, CLOSE):
            self.refused(frame(opcode, struct.pack("!H", 1000) + b"x" * 124), (1002,))
            self.refused(frame(opcode, b"", final=False), (1002,))
            self.refused(frame(opcode, b"", length=65536), (1002,))

    def test_what_came_before_the_fault_is_answered_first(self):
        ws = self.connect()
        ws.send_raw(frame(TEXT, b"good") + frame(TEXT, b"bad", reserved=2) + frame(TEXT, b"not read"))
        self.assertEqual(ws.frame(), (TEXT, b"good"))
        self.assertEqual(closing(ws)[0], 1002)


class Pings(EchoTest):
    def test_pongs_carry_the_payload_of_the_ping_in_order(self):
        ws = self.connect()
        payloads = [random.randbytes(length) for length in (0, 1, 2, 124, 125)] + [b"%d" % number for number in range(100)]
        ws.send_raw(b"".join(frame(PING, payload) for payload in payloads))
        self.assertEqual([ws.frame() for _ in payloads], [(PONG, payload) for payload in payloads])

    def test_pongs_that_nobody_asked_for_are_ignored(self):
        ws = self.connect()
        ws.send_raw(frame(PONG, b"") + frame(PONG, b"unasked") + frame(PONG, b"\xff" * 125) + frame(PING, b"still here"))
        self.assertEqual(ws.frame(), (PONG, b"still here"))

    def test_a_ping_may_come_byte_by_byte(self):
        ws = self.connect()
        for byte in frame(PING, b"slow" * 10):
            ws.send_raw(bytes([byte]))
        self.assertEqual(ws.frame(), (PONG, b"slow" * 10))

    def test_a_flood_of_unread_pings_is_read_no_further(self):
        ws = self.connect()
        before = self.resident_bytes()
        ws.link.settimeout(1)
        flood = frame(PING, b"x" * 125, mask=b"\0\0\0\0") * 1000
        sent = 0
        try:
            for _ in range(1000):
                sent += ws.link.send(flood)
        except TimeoutError:
            pass
        self.assertLess(sent, len(flood) * 1000)
        self.assertLess(self.resident_bytes() - before, 4 << 20)
        other = self.connect()
        other.send_raw(frame(TEXT, b"served meanwhile"))
        self.assertEqual(other.frame(), (TEXT, b"served meanwhile"))


VALID = ["", "a", "\u0000", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff", "\U00010000",
         "\U0001fffe", "\U0001ffff", "\U000fffff", "\U0010fffe", "\U0010ffff", "\u03ba\u1f79\u03c3\u03bc\u03b5"]
INVALID = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xc2", b"\xc2\x20", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xe2\x82",
           b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xf0\x9f\x98",
           b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff",
           "\u03ba\u1f79".encode() + b"\xed\xa0\x80" + b"edited"]


class Utf8(EchoTest):
    def test_valid_text_comes_back_over_every_split(self):
        ws = self.connect()
        for text in VALID + [SAMPLE.decode()]:
            data = text.encode()
            ws.send_raw(frame(TEXT, data))
            self.assertEqual(ws.frame(), (TEXT, data))
            for at in range(len(data) + 1):
                ws.send_raw(frame(TEXT, data[:at], final=False) + frame(0, data[at:]))
                self.assertEqual(ws.frame(), (TEXT, data))

    def test_invalid_text_is_refused_over_every_split_and_nothing_comes_back(self):
        for data in INVALID:
            for at in range(len(data) + 1):
                with self.subTest(data=data, at=at):
                    ws = self.connect()
                    ws.send_raw(frame(TEXT, b"ok " + data[:at], final=False) + frame(0, data[at:]))
                    opcode, payload = ws.frame()
                    self.assertEqual((opcode, payload[:2]), (CLOSE, struct.pack("!H", 1007)))

    def test_invalid_text_is_refused_before_the_message_is_whole(self):
        ws = self.connect()
        begun = frame(TEXT, "\u03ba".encode() + b"\xf4\x90", length=1000)
        ws.send_raw(begun[:-1])
        ws.send_raw(begun[-1:])
        self.assertEqual(closing(ws)[0], 1007)

    def test_binary_may_hold_anything(self):
        ws = self.connect()
        for data in INVALID:
            ws.send_raw(frame(BINARY, data))
            self.assertEqual(ws.frame(), (BINARY, data))


class Closing(EchoTest):
    def test_codes_that_may_be_sent_are_sent_back(self):
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
            for reason in (b"", b"because", SAMPLE):
                ws = self.connect()
                ws.send_raw(frame(CLOSE, struct.pack("!H", code) + reason))
                self.assertEqual(closing(ws), (code, reason))

    def test_codes_that_may_not_be_sent_are_refused(self):
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
            for reason in (b"", b"because"):
                with self.subTest(code=code):
                    ws = self.connect()
                    ws.send_raw(frame(CLOSE, struct.pack("!H", code) + reason))
                    self.assertEqual(closing(ws)[0], 1002)

    def test_a_close_without_a_code_is_answered_without_one(self):
        ws = self.connect()
        ws.send_raw(frame(CLOSE))
        self.assertEqual(closing(ws), (1005, b""))

    def test_payloads_at_the_edges(self):
        for payload, code in ((b"\x03", 1002), (struct.pack("!H", 1000) + b"r" * 123, 1000), (struct.pack("!H", 1000) + b"\xc0\x80", 1007),
                              (struct.pack("!H", 1000) + b"\xe2\x82", 1007)):
            ws = self.connect()
            ws.send_raw(frame(CLOSE, payload))
            self.assertEqual(closing(ws)[0], code)

    def test_what_follows_a_close_is_not_looked_at(self):
        for late in (frame(TEXT, b"late"), frame(PING, b"late"), frame(CLOSE, struct.pack("!H", 4000)), frame(TEXT, b"\xff"), b"\xff" * 100):
            ws = self.connect()
            ws.send_raw(frame(CLOSE, struct.pack("!H", 1000)) + late)
            self.assertEqual(closing(ws), (1000, b""))

    def test_a_message_before_the_close_still_comes_back(self):
        ws = self.connect()
        ws.send_raw(frame(BINARY, b"x" * 200000) + frame(CLOSE, struct.pack("!H", 1000)))
        self.assertEqual(ws.frame(), (BINARY, b"x" * 200000))
        self.assertEqual(closing(ws), (1000, b""))

    def test_nothing_is_left_of_those_who_are_gone(self):
        sockets = [self.connect() for _ in range(20)]
        for number, ws in enumerate(sockets):
            if number % 2:
                reset(ws.link)
            else:
                ws.send_raw(frame(CLOSE, struct.pack("!H", 1001)))
                closing(ws)
        wait_until(lambda: not self.daemon.connections(), "an empty list")


class Handshakes(EchoTest):
    def test_subprotocols_and_extensions_are_not_taken_up(self):
        for name in ("chat", "rtc.v1.msgpack"):
            self.assertNotIn("sec-websocket-protocol", self.connect(headers={"Sec-WebSocket-Protocol": name}).headers)
        for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits=16", "permessage-deflate; server_max_window_bits=7",
                      "x-webkit-deflate-frame", "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits"):
            ws = self.connect(headers={"Sec-WebSocket-Extensions": offer})
            self.assertNotIn("sec-websocket-extensions", ws.headers)
            ws.send_raw(frame(TEXT, b"plain"))
            self.assertEqual(ws.frame(), (TEXT, b"plain"))

    def test_frames_in_the_segment_of_the_handshake_are_taken(self):
        for first in (frame(TEXT, b"early"), frame(TEXT, b"early")[:7], frame(TEXT, b"early") + frame(PING, b"p")):
            ws = self.connect(first=first)
            if len(first) == 7:
                ws.send_raw(frame(TEXT, b"early")[7:])
            self.assertEqual(ws.frame(), (TEXT, b"early"))

    def test_other_versions_are_told_which_one_is_spoken(self):
        for version in ("", "0", "7", "8", "12", "14", "255", "13, 8", "x"):
            ws = WebSocket(self.daemon.port, path="/echo", is_plain=True, headers={"Sec-WebSocket-Version": version})
            self.assertEqual((ws.response.status, ws.headers["sec-websocket-version"], ws.headers["upgrade"]), (426, "13", "websocket"))
            self.assertTrue(ws.reader.is_closed())

    def test_what_is_no_handshake_is_refused_and_closed(self):
        for name, value in (("Upgrade", "h2c"), ("Connection", "close"), ("Sec-WebSocket-Key", "x")):
            ws = WebSocket(self.daemon.port, path="/echo", is_plain=True, headers={name: value})
            self.assertIn(ws.response.status, (400, 426))
            self.assertTrue(ws.reader.is_closed())
        ws = WebSocket(self.daemon.port, path="/echo", is_plain=True, headers={"Origin": "http://evil.example"})
        self.assertEqual(ws.response.status, 403)

    def test_long_headers_cost_no_more_than_their_bytes(self):
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}

        def cost(name, filler, length):
            head = head_of("GET", "/rtc/websocket", {**fields, name: (filler * length)[:length]})
            before = self.processor_s()
            for _ in range(20):
                link = connect(self.daemon.port)
                link.sendall(head)
                self.assertTrue(link.recv(65536).startswith(b"HTTP/1.1 "))
                link.close()
            return (self.processor_s() - before) / 20
        for name, filler in itertools.product(("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Connection"), (",", " ,", '"', "a,")):
            with self.subTest(name=name, filler=filler):
                self.assertLess(cost(name, filler, 15000), 0.010)

    def test_a_peer_may_go_at_any_byte(self):
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        data = head_of("GET", "/echo", fields) + frame(TEXT, b"first", final=False) + frame(PING, b"p") + frame(0, b"second")
        for end in range(len(data) + 1):
            link = connect(self.daemon.port)
            link.sendall(data[:end])
            reset(link)
        ws = self.connect()
        ws.send_raw(frame(TEXT, b"alive"))
        self.assertEqual(ws.frame(), (TEXT, b"alive"))


class Admin(EchoTest):
    def test_the_log_says_that_this_build_is_for_tests(self):
        self.assertIn("dialect echo, which is for tests", self.daemon.log())

    def test_the_real_dialect_is_beside_it(self):
        with WebSocket(self.daemon.port) as ws:
            ws.send_raw(frame(BINARY, b"\x80"))
            self.assertEqual(ws.closing()[0], 1003)
        ws = self.connect()
        ws.send_raw(frame(TEXT, json.dumps({"eventName": "rtc.ping"}).encode()))
        self.assertEqual(ws.frame(), (TEXT, b'{"eventName": "rtc.ping"}'))


if __name__ == "__main__":
    unittest.main()
