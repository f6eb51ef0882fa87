"""The same front as clients see it that nobody here wrote: python3-websockets, and ws on Node."""

import asyncio
import os
import random
import subprocess
import unittest

import websockets

from echo import MESSAGE_MAX, EchoTest
from harness import PATIENCE_S
from node_modules import install


class Websockets(EchoTest):
    def talk(self, conversation, **options):
        async def whole():
            async with websockets.connect(f"ws://127.0.0.1:{self.daemon.port}/echo", max_size=None, **options) as ws:
                await conversation(ws)
        asyncio.run(asyncio.wait_for(whole(), PATIENCE_S * 2))

    def test_lengths_and_types(self):
        async def conversation(ws):
            for length in (0, 1, 125, 126, 127, 65535, 65536, 65537, MESSAGE_MAX):
                for message in ("x" * length, random.randbytes(length)):
                    await ws.send(message)
                    self.assertTrue(await ws.recv() == message, length)
        self.talk(conversation)

    def test_fragments(self):
        async def conversation(ws):
            await ws.send(["\u20ac ", "", "two ", "\U0001F600"])
            self.assertEqual(await ws.recv(), "\u20ac two \U0001F600")
            await ws.send([b"\0", b"", b"\xff" * 70000])
            self.assertEqual(await ws.recv(), b"\0" + b"\xff" * 70000)
        self.talk(conversation)

    def test_many_at_once_come_back_in_order(self):
        async def conversation(ws):
            async def send():
                for number in range(3000):
                    await ws.send(str(number))
            sender = asyncio.create_task(send())
            self.assertEqual([await ws.recv() for _ in range(3000)], [str(number) for number in range(3000)])
            await sender
        self.talk(conversation)

    def test_pings(self):
        async def conversation(ws):
            for payload in (b"a", b"x" * 125):
                await (await ws.ping(payload))
        self.talk(conversation)

    def test_close_codes(self):
        for code in (1000, 1001, 1011, 3000, 4999):
            async def conversation(ws):
                await ws.close(code, "why")
                self.assertEqual((ws.close_code, ws.close_reason), (code, "why"))
            self.talk(conversation)

    def test_compression_and_subprotocols_are_not_taken_up(self):
        async def conversation(ws):
            self.assertEqual((ws.extensions, ws.subprotocol), ([], None))
        self.talk(conversation, compression="deflate", subprotocols=["chat"])


class Ws(EchoTest):
    def test_every_case_of_ws_client(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ws_client.cjs")
        result = subprocess.run(["node", script, f"ws://127.0.0.1:{self.daemon.port}/echo"], capture_output=True, text=True, check=False,
                                env=dict(os.environ, NODE_PATH=install()), timeout=PATIENCE_S * 6)
        lines = result.stdout.splitlines()
        self.assertEqual([line for line in lines if not line.startswith("ok ")], [], result.stderr)
        self.assertEqual(len(lines), 9, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
