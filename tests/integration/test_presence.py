"""Who is in a group, asked by clients."""

import unittest

from client import Poller, Sse, WebSocket
from harness import DaemonTest, wait_until


class Presence(DaemonTest):
    options = {"connection.claimed-users": "true", "groups-default.presence": "anyone", "presence.members": 10}
    workers = 3

    def ask(self, client, group):
        return client.call("rtc.presence", {"group": group})["data"]

    def test_members_of_all_workers_are_named(self):
        clients = [WebSocket(self.daemon.port, group="named", user=user) for user in ("ann", "ann", "bob", None, None, None, None)]
        with Sse(self.daemon.port, group="named", user="eve") as sse:
            answer = self.ask(clients[0], "named")
            self.assertEqual((answer["group"], answer["count"]), ("named", 8))
            self.assertCountEqual([(m["connectionId"], m["userId"]) for m in answer["members"]],
                                  [(c.id, c.welcome["data"]["userId"]) for c in [*clients, sse]])
        for client in clients:
            client.close()

    def test_of_a_large_group_only_the_number_is_told(self):
        clients = [WebSocket(self.daemon.port, group="large") for _ in range(11)]
        self.assertEqual(self.ask(clients[0], "large"), {"group": "large", "count": 11})
        clients.pop().close()
        wait_until(lambda: len(self.ask(clients[0], "large").get("members", ())) == 10, "one to be gone")
        for client in clients:
            client.close()

    def test_pollers_are_answered(self):
        with Poller(self.daemon.port, group="polled", codec="msgpack") as poller:
            poller.send({"eventName": "rtc.presence", "data": {"group": "polled"}, "id": 5})
            answer = poller.gather(1)[0]
            self.assertEqual((answer["count"], [m["connectionId"] for m in answer["members"]]), (1, [poller.id]))

    def test_who_is_gone_before_the_answer_harms_nobody(self):
        for _ in range(100):
            ws = WebSocket(self.daemon.port, group="gone")
            ws.send("rtc.presence", {"group": "gone"}, id=1)
            ws.close()
        with WebSocket(self.daemon.port, group="gone") as ws:
            self.assertGreaterEqual(self.ask(ws, "gone")["count"], 1)


if __name__ == "__main__":
    unittest.main()
