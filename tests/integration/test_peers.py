"""Clients that nobody here wrote: python3-websockets and curl."""

import asyncio
import json
import subprocess
import unittest

import msgpack
import websockets

from harness import PATIENCE_S, DaemonTest


class Websockets(DaemonTest):
    def url(self, query):
        return f"ws://127.0.0.1:{self.daemon.port}/rtc/websocket?{query}"

    def test_json_and_messagepack_meet_in_one_group(self):
        async def meet():
            async with websockets.connect(self.url("group=g"), subprotocols=["rtc.v1.json"]) as text, \
                       websockets.connect(self.url("group=g"), subprotocols=["rtc.v1.msgpack"]) as binary:
                self.assertEqual((text.subprotocol, binary.subprotocol), ("rtc.v1.json", "rtc.v1.msgpack"))
                self.assertEqual(json.loads(await text.recv())["eventName"], "rtc.welcome")
                self.assertEqual(msgpack.unpackb(await binary.recv())["eventName"], "rtc.welcome")
                await text.send(json.dumps({"eventName": "hi", "data": {"n": 1}, "to": {"group": "g"}}))
                expected = {"eventName": "hi", "data": {"n": 1}, "group": "g"}
                self.assertEqual(json.loads(await text.recv()), expected)
                self.assertEqual(msgpack.unpackb(await binary.recv()), expected)
                await binary.send(msgpack.packb({"eventName": "hi", "data": b"\x00", "to": {"group": "g"}}))
                self.assertEqual(json.loads(await text.recv())["data"], {"$binary": "AA=="})
        asyncio.run(asyncio.wait_for(meet(), PATIENCE_S))

    def test_compression_that_is_offered_is_not_taken_up(self):
        async def connect():
            async with websockets.connect(self.url(""), compression="deflate") as ws:
                self.assertEqual(ws.extensions, [])
                await ws.ping()
                await (await ws.ping())
        asyncio.run(asyncio.wait_for(connect(), PATIENCE_S))

    def test_a_large_fragmented_message_and_the_close(self):
        async def talk():
            async with websockets.connect(self.url("group=big")) as ws:
                await ws.recv()
                text = json.dumps({"eventName": "big", "data": "x" * 60000, "to": {"group": "big"}})
                await ws.send(text[i:i + 1000] for i in range(0, len(text), 1000))
                self.assertEqual(len(json.loads(await ws.recv())["data"]), 60000)
                await ws.send("x" * 100000)
                with self.assertRaises(websockets.ConnectionClosed) as closed:
                    while True:
                        await ws.recv()
                self.assertEqual(closed.exception.code, 1009)
        asyncio.run(asyncio.wait_for(talk(), PATIENCE_S))


class Curl(DaemonTest):
    def curl(self, path, *arguments):
        return subprocess.run(["curl", "-sS", *arguments, f"http://127.0.0.1:{self.daemon.port}{path}"], capture_output=True,
                              text=True, check=True, timeout=PATIENCE_S).stdout

    def test_the_whole_life_of_a_connection(self):
        negotiated = json.loads(self.curl("/rtc/negotiate", "-X", "POST"))
        token = negotiated["connectionToken"]
        self.curl(f"/rtc/poll?token={token}&wait=0")
        join = '{"eventName":"rtc.join","data":{"group":"c"},"id":1}'
        sent = self.curl(f"/rtc/send?token={token}&first=1", "-H", "Content-Type: application/json", "-d", join)
        self.assertEqual(json.loads(sent), {"received": 1})
        self.daemon.publish("hello", 1, group="c")
        body = json.loads(self.curl(f"/rtc/poll?token={token}&received=0"))
        self.assertEqual([e["eventName"] for e in body["messages"]], ["rtc.reply", "hello"])
        self.curl(f"/rtc/connection?token={token}", "-X", "DELETE")
        self.assertNotIn(negotiated["connectionId"], [c["id"] for c in self.daemon.connections()])

    def test_an_event_stream(self):
        child = subprocess.Popen(["curl", "-sN", f"http://127.0.0.1:{self.daemon.port}/rtc/sse?group=c"], stdout=subprocess.PIPE,
                                 text=True)
        self.assertIn("rtc.welcome", child.stdout.readline())
        self.daemon.publish("hello", [5], group="c")
        lines = [child.stdout.readline() for _ in range(3)]
        self.assertEqual(lines[1:], ["id: 1\n", 'data: {"eventName":"hello","data":[5],"group":"c"}\n'])
        child.terminate()
        child.wait()
        child.stdout.close()


if __name__ == "__main__":
    unittest.main()
