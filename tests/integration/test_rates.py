"""Limits of rate: what is beyond them is refused and counted; nothing else suffers."""

import time
import unittest

from client import Poller, WebSocket, request
from harness import Daemon, wait_until


class Rates(unittest.TestCase):
    def refusals(self, ws, event, count, **more):
        """How many of so many calls are refused as rate-limited; none is left unanswered."""
        refused = 0
        for number in range(1, count + 1):
            reply = ws.call(event, more.get("data"), id=number, **({"to": more["to"]} if "to" in more else {}))
            if reply.get("error"):
                self.assertEqual(reply["error"]["code"], "rate-limited", reply)
                self.assertIn("limits.", reply["error"]["message"])
                refused += 1
        return refused

    def test_messages_publishes_and_joins_of_a_connection(self):
        for option, event, more in (("messages", "rtc.leave", {"data": {"group": "g"}}), ("joins", "rtc.join", {"data": {"group": "g"}}),
                                    ("publishes", "n", {"to": {"group": "g"}})):
            with self.subTest(option), Daemon({f"limits.{option}-per-connection": 1, "limits.burst": "10s",
                                               "publish.to-group": "anyone"}, workers=1) as daemon:
                with WebSocket(daemon.port) as ws, WebSocket(daemon.port) as other:
                    begun = time.monotonic()
                    if option == "messages":
                        limited = [ws.call("rtc.join", {"group": str(n)}, id=n).get("error", {}).get("code") for n in range(1, 21)]
                        refused = limited.count("rate-limited")
                    else:
                        refused = self.refusals(ws, event, 20, **more)
                    # One more is let through for each second that this took.
                    self.assertGreaterEqual(refused, 9 - int(time.monotonic() - begun))
                    self.assertLessEqual(refused, 10)
                    self.assertEqual(daemon.counter("rate_limited"), refused)
                    # Another connection has a bucket of its own, and the first its connection.
                    self.assertNotIn("error", other.call("rtc.join", {"group": "h"}, id=1))
                    ws.send("rtc.ping", 1)
                    ws.expect("rtc.pong")

    def test_a_user_shares_one_over_all_connections_and_workers(self):
        with Daemon({"limits.joins-per-user": 1, "limits.burst": "10s", "connection.claimed-users": "true"}) as daemon:
            sockets = [WebSocket(daemon.port, user="u") for _ in range(6)]
            begun = time.monotonic()
            refused = sum(self.refusals(ws, "rtc.join", 5, data={"group": "g"}) for ws in sockets)
            self.assertGreaterEqual(refused, 19 - int(time.monotonic() - begun))
            self.assertLessEqual(refused, 20)
            with WebSocket(daemon.port, user="v") as other:
                self.assertNotIn("error", other.call("rtc.join", {"group": "g"}))
            for ws in sockets:
                ws.drop()

    def test_envelopes_by_post_are_counted_too_and_refused_one_by_one(self):
        with Daemon({"limits.messages-per-connection": 1, "limits.burst": "5s", "publish.to-group": "anyone"}, workers=1) as daemon:
            with Poller(daemon.port, wait=0) as poller:
                poller.send(*[{"eventName": "n", "to": {"group": "x"}, "id": number} for number in range(1, 11)])
                self.assertEqual(poller.sent, 10)
                replies = poller.poll()
                self.assertEqual([r["error"]["code"] for r in replies if "error" in r][-4:], ["rate-limited"] * 4)
                self.assertEqual(len(replies), 10)

    def test_connections_of_an_address(self):
        with Daemon({"limits.connects-per-address": 5}) as daemon:
            answers = [request(daemon.port, "POST", "/rtc/negotiate") for _ in range(8)]
            self.assertEqual([answer.status for answer in answers], [200] * 5 + [429] * 3)
            self.assertEqual((answers[-1].json()["reason"], answers[-1].headers["retry-after"]), ("rate-limited", "1"))
            refused = WebSocket(daemon.port)
            self.assertEqual(refused.response.status, 429)
            # Who has a connection comes back to it.
            with WebSocket(daemon.port, token=answers[0].json()["connectionToken"]) as ws:
                self.assertEqual(ws.id, answers[0].json()["connectionId"])

    def test_credentials_that_are_refused_again_and_again_are_not_looked_at(self):
        with Daemon({"limits.failures-per-address": 3}) as daemon:
            tried = [request(daemon.port, "POST", "/rtc/negotiate", headers={"Authorization": "Bearer x"}).status for _ in range(5)]
            self.assertEqual(tried, [401] * 3 + [429] * 2)
            self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 200)
            self.assertEqual(daemon.counter("rate_limited"), 2)

    def test_only_wrong_credentials_count_as_refused_ones(self):
        with Daemon({"limits.failures-per-address": 1, "connection.claimed-users": "true"}) as daemon:
            def status(path="", **headers):
                return request(daemon.port, "POST", "/rtc/negotiate" + path, headers=headers).status
            # Shown in the wrong place, or twice: the request is wrong, whatever the token is.
            self.assertEqual([status("?access_token=x"), status("?access_token=x", Authorization="Bearer x")] * 3, [400] * 6)
            self.assertEqual([status(Authorization="Bearer x") for _ in range(2)], [401, 429])

    def test_nothing_is_limited_unasked(self):
        with Daemon({"publish.to-group": "anyone"}, workers=1) as daemon, WebSocket(daemon.port) as ws:
            self.assertEqual(self.refusals(ws, "n", 2000, to={"group": "g"}), 0)
            self.assertEqual(daemon.counter("rate_limited"), 0)

    def test_back_pressure_does_not_use_it_up(self):
        with Daemon({"limits.publishes-per-connection": 1000, "limits.burst": "1s", "limits.mailbox": 64, "publish.to-group": "anyone"},
                    workers=1) as daemon, WebSocket(daemon.port, group="g") as ws:
            for number in range(1, 501):
                ws.send("n", number, to={"group": "g"})
            for number in range(1, 501):
                self.assertEqual(ws.expect("n")["data"], number)
            self.assertEqual(daemon.counter("rate_limited"), 0)


if __name__ == "__main__":
    unittest.main()
