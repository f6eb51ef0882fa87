"""permessage-deflate (RFC 7692) on the echo front: by our own raw client as conformance programs ask for it, and by clients that nobody
here wrote."""

import asyncio
import itertools
import os
import random
import subprocess
import unittest

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from echo import MESSAGE_MAX, EchoTest
from client import BINARY, PING, PONG, TEXT, frame, packed
from harness import PATIENCE_S
from node_modules import install

RSV1 = 4
LENGTHS = (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)


def offers():
    """Every combination of the parameters, and lists of which the first cannot be kept."""
    for server_no, client_no in itertools.product(("", "; server_no_context_takeover"), ("", "; client_no_context_takeover")):
        for server_bits in ("", *(f"; server_max_window_bits={bits}" for bits in (8, 9, 12, 15))):
            for client_bits in ("", "; client_max_window_bits", "; client_max_window_bits=9"):
                yield "permessage-deflate" + server_no + client_no + server_bits + client_bits
    yield "permessage-deflate; server_max_window_bits=9; unknown, permessage-deflate; server_no_context_takeover, permessage-deflate"


def payloads(length, source):
    """Text, a pattern, and noise."""
    yield TEXT, "".join(source.choices("etaoin shrdlu \u00e9\u20ac", k=length)).encode()[:length].decode(errors="ignore").encode()
    yield TEXT, b"*" * length
    yield BINARY, b"\0\xfe" * (length // 2)
    yield BINARY, source.randbytes(length)


class Deflate(EchoTest):
    options = {**EchoTest.options, "compression.websocket": "true", "compression.min-bytes": "0"}


class Raw(Deflate):
    def test_messages_of_every_length_and_kind_with_every_offer(self):
        source = random.Random(11)
        for offer in offers():
            ws = self.connect(headers={"Sec-WebSocket-Extensions": offer})
            self.assertIn("server_no_context_takeover; client_no_context_takeover", ws.headers["sec-websocket-extensions"], offer)
            for length in (16, 1024, 8192) if "server_no" in offer or "client_no" in offer else LENGTHS:
                for opcode, payload in payloads(length, source):
                    mask = b"\0\0\0\0" if length > 1024 else b"\x11\x22\x33\x44"
                    ws.send_raw(frame(opcode, packed(payload), reserved=RSV1, mask=mask))
                    self.assertEqual(ws.frame(), (opcode, payload), (offer, length))
            self.assertGreater(ws.packed_count, 0, offer)
            ws.link.close()

    def test_many_messages_on_one_connection_in_fragments(self):
        source = random.Random(12)
        ws = self.connect(headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
        for number in range(1000):
            text = f"message {number} ".encode() * source.randrange(1, 80)
            body = packed(text, level=source.randrange(10))
            size = source.randrange(1, len(body) + 1)
            parts = [body[at:at + size] for at in range(0, len(body), size)]
            for at, part in enumerate(parts):
                ws.send_raw(frame(0 if at else TEXT, part, final=at == len(parts) - 1, reserved=0 if at else RSV1))
                if number % 100 == 0:
                    ws.send_raw(frame(PING, b"p"))
                    self.assertEqual(ws.frame()[0], PONG if at < len(parts) - 1 else TEXT)
            if number % 100 == 0:
                self.assertEqual(ws.frame()[0], PONG)
            else:
                self.assertEqual(ws.frame(), (TEXT, text))


class Websockets(Deflate):
    def talk(self, **parameters):
        async def whole():
            factory = ClientPerMessageDeflateFactory(**parameters)
            async with websockets.connect(f"ws://127.0.0.1:{self.daemon.port}/echo", max_size=None, compression=None,
                                          extensions=[factory]) as ws:
                self.assertEqual(len(ws.extensions), 1)
                for length in (0, 1, *LENGTHS, MESSAGE_MAX):
                    for message in ("x" * length, random.randbytes(length), "\u20ac uro " * (length // 10)):
                        await ws.send(message)
                        self.assertTrue(await ws.recv() == message, length)
                await ws.send(["\u20ac ", "", "two ", "\U0001F600"])
                self.assertEqual(await ws.recv(), "\u20ac two \U0001F600")
        asyncio.run(asyncio.wait_for(whole(), PATIENCE_S * 2))

    def test_with_every_kind_of_parameter(self):
        for parameters in ({}, {"client_max_window_bits": True}, {"client_max_window_bits": 10}, {"server_no_context_takeover": True},
                           {"client_no_context_takeover": True}, {"server_max_window_bits": 9}, {"server_max_window_bits": 15},
                           {"server_no_context_takeover": True, "client_no_context_takeover": True, "server_max_window_bits": 12}):
            with self.subTest(**parameters):
                self.talk(**parameters)


class Ws(Deflate):
    def test_every_case_of_ws_client(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ws_client.cjs")
        result = subprocess.run(["node", script, f"ws://127.0.0.1:{self.daemon.port}/echo", "deflate"], capture_output=True, text=True,
                                check=False, env=dict(os.environ, NODE_PATH=install()), timeout=PATIENCE_S * 6)
        lines = result.stdout.splitlines()
        self.assertEqual([line for line in lines if not line.startswith("ok ")], [], result.stderr)
        self.assertEqual(len(lines), 12, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
