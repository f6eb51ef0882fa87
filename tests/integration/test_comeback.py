"""Stateful reconnect under attack: storms of clients that vanish, races for one token, envelopes from everywhere."""

import json
import select
import unittest

from client import Closed, Poller, Sse, WebSocket, connect, head_of, request
from harness import Daemon, DaemonTest, has_plain_memory, memory_bytes, wait_until

HANDSHAKE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


class Storms(unittest.TestCase):
    PARKED = 200

    def vanish(self, daemon, count):
        """So many clients come, have envelopes waiting, and go without a word. Their ids, the last to go at the end."""
        ids = []
        for _ in range(count):
            ws = WebSocket(daemon.port, group="g")
            ids.append(ws.id)
            ws.drop()
        return ids

    def test_clients_that_come_and_vanish_cost_no_more_than_those_that_may_wait(self):
        options = {"resume.parked": self.PARKED, "limits.connections-per-address": "unlimited"}
        with Daemon(options, workers=1) as daemon:
            def parked():
                return [c["id"] for c in daemon.connections() if c["state"] == "parked"]
            self.vanish(daemon, 2 * self.PARKED)
            wait_until(lambda: daemon.counter("parked_evicted") >= self.PARKED - 1, "the first to be let go")
            before = memory_bytes(daemon)
            ids = self.vanish(daemon, 10 * self.PARKED)
            wait_until(lambda: ids[-1] in parked(), "the last to be parked")
            # The oldest went first.
            self.assertEqual(set(parked()), set(ids[-len(parked()):]))
            self.assertLessEqual(len(parked()), self.PARKED + 1)
            if has_plain_memory():
                self.assertLess(memory_bytes(daemon) - before, 1 << 20)

    def test_a_client_that_never_acknowledges_pins_no_more_than_it_may(self):
        with Daemon({"resume.bytes": "64KiB", "resume.envelopes": 100000}, workers=1) as daemon:
            with WebSocket(daemon.port, group="g", answers_pings=False) as ws:
                line = '{"eventName":"n","data":"%s"}\n' % ("x" * 1000)
                daemon.rtcctl("publish", "--group", "g", "--stream", input=line * 1000)
                for _ in range(1000):
                    ws.expect("n")
                shown = daemon.admin("show.connection", connection=ws.id)
                self.assertLessEqual(shown["keptBytes"], 64 << 10)
                self.assertGreater(shown["keptBytes"], 32 << 10)

    def test_a_users_own_storm_pushes_out_nobody_else(self):
        options = {"resume.parked-per-user": 4, "connection.claimed-users": "true"}
        with Daemon(options, workers=2) as daemon:
            quiet = WebSocket(daemon.port, user="bob")
            quiet.drop()
            for _ in range(30):
                WebSocket(daemon.port, user="ann").drop()
            wait_until(lambda: daemon.counter("parked_evicted") >= 26, "evictions")
            self.assertLessEqual(sum(c["user"] == "ann" for c in daemon.connections()), 4)
            with WebSocket(daemon.port, token=quiet.token, received=0, user="bob") as back:
                self.assertTrue(back.welcome["data"]["resumed"])


class Races(DaemonTest):
    options = {"limits.connections-per-address": "unlimited"}
    workers = 2

    def handshake(self, ws):
        link = connect(self.daemon.port)
        return link, head_of("GET", f"/rtc/websocket?token={ws.token}&received={ws.received}", HANDSHAKE)

    def read(self, links, got):
        """What has come on each of the links is added to `got`."""
        for link in select.select(links, [], [], 0.05)[0]:
            got[link] += link.recv(65536)

    def test_of_two_that_come_with_one_token_at_once_one_stays_and_the_other_is_told(self):
        for _ in range(10):
            first = WebSocket(self.daemon.port, group="race")
            first.drop()
            wait_until(lambda: any(c["id"] == first.id and c["state"] == "parked" for c in self.daemon.connections()), "parked")
            pair = [self.handshake(first) for _ in range(2)]
            with self.daemon.paused():
                for link, text in pair:
                    link.sendall(text)
            got = {link: b"" for link, _ in pair}

            def losers():
                self.read(got, got)
                # 4409 on its WebSocket, or 409 to its request
                return [link for link, text in got.items() if (4409).to_bytes(2, "big") in text or b" 409 " in text]
            (loser,) = wait_until(losers, "one to be told")
            (winner,) = (link for link in got if link is not loser)
            self.daemon.publish("n", 1, group="race")
            while b'"eventName":"n"' not in got[winner]:
                self.read([winner], got)
            self.assertEqual(losers(), [loser])
            self.assertNotIn(b'"eventName":"n"', got[loser])
            for link in got:
                link.close()
            self.daemon.admin("disconnect", connection=first.id)

    def test_a_token_is_not_guessed_nor_carried_to_another_user(self):
        with Daemon({"connection.claimed-users": "true"}) as daemon, WebSocket(daemon.port, user="ann") as ws:
            for at in range(0, len(ws.token), 3):
                wrong = ws.token[:at] + ("A" if ws.token[at] != "A" else "B") + ws.token[at + 1:]
                self.assertEqual(request(daemon.port, "POST", "/rtc/send", b"[]", token=wrong).status, 404)
            self.assertEqual(WebSocket(daemon.port, token=ws.token, received=0, user="bob").response.status, 403)
            self.assertNotIn("error", ws.call("rtc.join", {"group": "g"}))
            self.assertNotIn(ws.token, daemon.log())


class Lies(DaemonTest):
    def test_acknowledgements_of_what_was_never_sent_end_the_connection_and_harm_no_other(self):
        with WebSocket(self.daemon.port, group="lies") as honest:
            for number in (1, 1 << 32, (1 << 53) - 1, (1 << 64) - 1):
                liar = WebSocket(self.daemon.port, group="lies-too")
                liar.send("rtc.ack", {"received": number})
                with self.assertRaises(Closed) as closed:
                    while True:
                        liar.receive()
                self.assertEqual(closed.exception.args[0], 1008)
                liar.drop()
            for wrong in (-1, 1.5, "1", None, 1 << 64):
                honest.send("rtc.ack", {"received": wrong})
                self.assertEqual(honest.expect("rtc.error")["data"]["code"], "bad-envelope")
            self.daemon.publish("n", 1, group="lies")
            self.assertEqual(honest.expect("n")["data"], 1)
            # Backwards is no lie: it says nothing new.
            honest.send("rtc.ack", {"received": honest.received})
            honest.send("rtc.ack", {"received": 1})
            honest.send("rtc.ping", "p")
            self.assertEqual(honest.expect("rtc.pong")["data"], "p")


class Sources(DaemonTest):
    options = {"publish.to-group": "anyone", "publish.to-user": "true", "publish.to-connection": "true", "publish.to-all": "true",
               "connection.claimed-users": "true"}

    def everything(self, ws, publisher):
        """From a client and from the admin socket, to the group, the user, the connection and all: eight envelopes."""
        for to in ({"group": "g"}, {"user": "ann"}, {"connection": ws.id}, {"all": True}):
            publisher.call("n", f"client {to}", to=to)
            self.daemon.publish("n", f"admin {to}", **to)

    def test_what_came_from_anywhere_is_there_after_a_reconnect(self):
        with WebSocket(self.daemon.port) as publisher:
            for kind in (WebSocket, Sse):
                first = kind(self.daemon.port, group="g", user="ann")
                self.everything(first, publisher)
                seen = [first.expect("n")["data"] for _ in range(3)]
                first.drop() if kind is WebSocket else first.close()
                wait_until(lambda: any(c["id"] == first.id and c["state"] == "parked" for c in self.daemon.connections()), "parked")
                self.everything(first, publisher)
                with Poller(self.daemon.port, token=first.token, received=3, wait=0) as back:
                    self.assertTrue(back.welcome["data"]["resumed"])
                    seen += [e["data"] for e in back.first] + back.gather(13 - len(back.first))
                self.assertEqual(len(seen), 16)
                self.assertEqual(seen[:8], seen[8:])
                self.assertEqual(len(set(seen)), 8, json.dumps(seen))
                self.daemon.admin("disconnect", connection=first.id)


if __name__ == "__main__":
    unittest.main()
