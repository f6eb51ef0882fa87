"""Groups, users, direct sends, who may publish, order over several workers, and hand-over between them."""

import threading
import unittest

from client import Http, Poller, Sse, WebSocket, negotiate, request
from harness import AdminError, Daemon, DaemonTest, wait_until


class Groups(DaemonTest):
    def test_join_publish_leave(self):
        with WebSocket(self.daemon.port) as a, WebSocket(self.daemon.port, "msgpack") as b:
            self.assertEqual(a.call("rtc.join", {"group": "room"})["data"]["group"], "room")
            b.call("rtc.join", {"group": "room"})
            a.send("hi", {"x": 1}, to={"group": "room"})
            for client in (a, b):
                self.assertEqual(client.expect("hi"), {"eventName": "hi", "data": {"x": 1}, "group": "room"})
            a.send("hi", 2, to={"group": "room", "exceptSelf": True})
            self.assertEqual(b.expect("hi")["data"], 2)
            b.call("rtc.leave", {"group": "room"}, id=2)
            a.send("hi", 3, to={"group": "room"})
            self.assertEqual(a.expect("hi")["data"], 3)
            self.assertEqual(b.call("rtc.leave", {"group": "room"}, id=3)["error"]["code"], "not-found")

    def test_joining_twice_is_joining_once(self):
        with WebSocket(self.daemon.port) as ws:
            ws.call("rtc.join", {"group": "twice"})
            ws.call("rtc.join", {"group": "twice"}, id=2)
            self.assertEqual(self.daemon.publish("n", group="twice"), 1)
            ws.expect("n")

    def test_only_members_publish_unless_the_config_says_otherwise(self):
        with WebSocket(self.daemon.port) as ws:
            self.assertEqual(ws.call("x", to={"group": "elsewhere"})["error"]["code"], "forbidden")
            for to in ({"user": "u"}, {"connection": ws.id}, {"all": True}):
                self.assertEqual(ws.call("x", to=to)["error"]["code"], "forbidden")
        with Daemon({"publish.to-group": "nobody"}) as daemon, WebSocket(daemon.port, group="g") as ws:
            self.assertEqual(ws.call("x", to={"group": "g"})["error"]["code"], "forbidden")

    def test_bad_names_are_refused(self):
        with WebSocket(self.daemon.port) as ws:
            for name in ("", "x" * 256, "a\nb", "\u2028", 5, None):
                self.assertEqual(ws.call("rtc.join", {"group": name})["error"]["code"], "bad-envelope", name)
        for path in ("/rtc/sse?group=", "/rtc/sse?group=%0a", "/rtc/sse?group=%"):
            self.assertEqual(request(self.daemon.port, "GET", path).status, 400, path)

    def test_a_connection_is_in_as_many_groups_as_are_allowed(self):
        with Daemon({"connection.groups": 3}) as daemon, WebSocket(daemon.port, group=["a", "b", "c"]) as ws:
            self.assertEqual(ws.call("rtc.join", {"group": "d"})["error"]["code"], "forbidden")
            ws.call("rtc.leave", {"group": "b"}, id=2)
            self.assertNotIn("error", ws.call("rtc.join", {"group": "d"}, id=3))
            self.assertEqual(sorted(r[0] for r in daemon.admin("list.groups")["rows"]), ["a", "c", "d"])

    def test_empty_groups_are_gone(self):
        with WebSocket(self.daemon.port, group=[f"many{i}" for i in range(100)]) as ws:
            self.assertEqual(len(self.daemon.admin("list.groups", limit=1000)["rows"]), 100)
            ws.close()
        wait_until(lambda: not self.daemon.admin("list.groups")["rows"], "the groups to go")


class Targets(DaemonTest):
    options = {"publish.to-user": "true", "publish.to-connection": "true", "publish.to-all": "true",
               "connection.claimed-users": "true"}
    workers = 4

    def test_a_user_has_many_connections_on_all_workers(self):
        mine = [WebSocket(self.daemon.port, user="ann") for _ in range(8)]
        with WebSocket(self.daemon.port, user="bob") as bob:
            bob.send("hi", 1, to={"user": "ann"})
            self.assertEqual([ws.expect("hi")["data"] for ws in mine], [1] * 8)
            self.assertEqual(self.daemon.publish("there", user="ann"), 8)
            self.assertEqual({tuple(r[:2]) for r in self.daemon.admin("list.users")["rows"]}, {("ann", 8), ("bob", 1)})
            self.assertEqual(len(self.daemon.admin("show.user", user="ann")["rows"]), 8)
            self.assertEqual(self.daemon.admin("disconnect", user="ann", reason="bye")["disconnected"], 8)
            self.assertEqual([ws.closing() for ws in mine], [(1000, {"reason": "bye", "reconnect": False})] * 8)
            self.assertEqual(self.daemon.publish("there", user="ann"), 0)

    def test_another_user_does_not_get_a_connection_by_its_token(self):
        with WebSocket(self.daemon.port, user="ann") as ann:
            self.assertEqual(WebSocket(self.daemon.port, token=ann.token, user="eve", received=0).response.status, 403)
            self.assertNotIn("error", ann.call("rtc.join", {"group": "g"}))

    def test_one_connection_and_everybody(self):
        clients = [WebSocket(self.daemon.port) for _ in range(6)]
        clients[0].send("direct", 1, to={"connection": clients[3].id})
        self.assertEqual(clients[3].expect("direct")["data"], 1)
        clients[1].send("all", 2, to={"all": True, "exceptSelf": True})
        for number, client in enumerate(clients):
            if number != 1:
                self.assertEqual(client.expect("all")["data"], 2)
        reply = clients[1].call("x", to={"connection": "00000000-0000-4000-8000-000000000000"})
        self.assertEqual(reply["error"]["code"], "not-found")
        for client in clients:
            client.drop()


class Workers(DaemonTest):
    options = {"publish.to-group": "anyone"}
    workers = 4

    def test_all_members_on_all_workers_see_one_order(self):
        members = [WebSocket(self.daemon.port, group="order") for _ in range(12)]
        publishers = [WebSocket(self.daemon.port) for _ in range(4)]

        def publish(number):
            for i in range(100):
                publishers[number].send("n", [number, i], to={"group": "order"})
        threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        orders = [[tuple(ws.expect("n")["data"]) for _ in range(400)] for ws in members]
        for thread in threads:
            thread.join()
        self.assertTrue(all(order == orders[0] for order in orders))
        for number in range(4):
            self.assertEqual([i for n, i in orders[0] if n == number], list(range(100)))
        for ws in members + publishers:
            ws.drop()

    def test_requests_reach_the_worker_that_owns_the_connection(self):
        workers = set()
        for _ in range(16):
            answer = negotiate(self.daemon.port)
            token = answer["connectionToken"]
            with Poller(self.daemon.port, token=token, wait=0, group="h") as poller:
                for number in range(4):  # new links, which the kernel deals out anew
                    poller.http.close()
                    poller.http = Http(self.daemon.port)
                    poller.send({"eventName": "e", "data": number, "to": {"connection": poller.id}, "id": number + 1})
                    poller.gather(1)
                    self.assertEqual(poller.received, number + 1)
                workers.add(self.daemon.admin("show.connection", connection=poller.id)["worker"])
                with WebSocket(self.daemon.port, token=token, received=poller.received) as ws:
                    self.assertTrue(ws.welcome["data"]["resumed"])
                    ws.close()
        self.assertGreater(len(workers), 1)

    def test_a_pipelined_body_travels_with_its_link(self):
        for _ in range(8):
            with Poller(self.daemon.port, wait=0) as poller:
                body = b'{"eventName":"e","id":1}'
                with Http(self.daemon.port) as http:
                    for number in range(3):
                        http.send("POST", "/rtc/send", body, {"Content-Type": "application/json"}, token=poller.token,
                                  first=number + 1)
                    self.assertEqual([http.reader.response().json()["received"] for _ in range(3)], [1, 2, 3])


class HugeGroup(unittest.TestCase):
    def test_members_that_leave_during_a_sliced_fanout_disturb_nobody(self):
        with Daemon({"limits.fanout-slice": 16}, workers=1) as daemon:
            stay = [Sse(daemon.port, group="huge") for _ in range(60)]
            go = [Sse(daemon.port, group="huge") for _ in range(60)]
            daemon.rtcctl("publish", "--group", "huge", "--stream",
                          input="".join('{"eventName":"n","data":%d}\n' % n for n in range(50)))
            for sse in go:
                request(daemon.port, "DELETE", "/rtc/connection", token=sse.token)
            daemon.rtcctl("publish", "--group", "huge", "--stream",
                          input="".join('{"eventName":"n","data":%d}\n' % n for n in range(50, 100)))
            for sse in stay:
                self.assertEqual([sse.expect("n")["data"] for _ in range(100)], list(range(100)))
            for sse in stay + go:
                sse.close()


if __name__ == "__main__":
    unittest.main()
