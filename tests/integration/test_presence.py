"""Who is in a group: asked by clients, and announced to them."""

import contextlib
import json
import random
import select
import unittest

from client import Poller, Sse, WebSocket, reset
from harness import Daemon, DaemonTest, wait_until
from receivers import Receiver

ANNOUNCING = """
groups:
  - {match: connections.*, presence-events: connections}
  - {match: users.*, presence-events: users}
  - {match: kept.*, presence-events: connections, history-envelopes: 10}
"""
OPTIONS = {"connection.claimed-users": "true", "groups-default.presence": "anyone", "publish.to-group": "members",
           "limits.connections-per-address": "unlimited", "presence.interval": "50ms",
           "connection.keep-alive": "5min", "connection.timeout": "10min"}      # a Ping is no envelope, and would be waited for


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

    def test_users_are_counted_with_their_connections(self):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(WebSocket(self.daemon.port, group="by.user", user=user))
                       for user in ("ann", "ann", "bob", None, "ann", None, "bob", *["eve"] * 5)]
            answer = clients[0].call("rtc.presence", {"group": "by.user", "by": "users"})["data"]
            answer["members"].sort(key=lambda member: member["userId"])
            self.assertEqual(answer, {"group": "by.user", "by": "users", "count": 3, "connections": 12, "members": [
                {"userId": "ann", "connections": 3}, {"userId": "bob", "connections": 2}, {"userId": "eve", "connections": 5}]})
            self.assertEqual(clients[0].call("rtc.presence", {"group": "by.user", "by": "connections"})["data"], {"group": "by.user", "count": 12})
            self.assertEqual(self.daemon.admin("presence", group="by.user"), {
                "group": "by.user", "connections": 12, "users": 3, "rows": [["eve", 5], ["ann", 3], ["bob", 2]]})
            self.assertEqual(self.daemon.admin("presence", group="by.user", limit=1)["rows"], [["eve", 5]])
            told = self.daemon.rtcctl("presence", "by.user")
            self.assertEqual((told.stdout, told.stderr), ("eve\t5\nann\t3\nbob\t2\n", "12 connections, 3 users\n"))
            more = [stack.enter_context(WebSocket(self.daemon.port, group="by.user", user=f"u{i}")) for i in range(8)]
            self.assertEqual(more[0].call("rtc.presence", {"group": "by.user", "by": "users"})["data"],
                             {"group": "by.user", "by": "users", "count": 11, "connections": 20})
            self.assertEqual(clients[0].call("rtc.presence", {"group": "by.user", "by": "name"})["error"]["code"], "bad-envelope")
            self.assertEqual(self.daemon.admin("presence", group="nobody is here"), {
                "group": "nobody is here", "connections": 0, "users": 0, "rows": []})

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


def pending(client):
    """Something can be received from this WebSocket at once."""
    return client.reader.buffer or select.select([client.link], [], [], 0)[0]


class Observer:
    """A member that knows who is in its group: it asks, and goes by rtc.joined and rtc.left from then on, as rtc-protocol(7) says."""

    def __init__(self, port, group, user=None, by="connections"):
        self.ws, self.group, self.by = WebSocket(port, group=group, user=user), group, by
        self.key = "userId" if by == "users" else "connectionId"
        self.members, self.count, self.seen = None, None, []
        self.asking = 0
        self.ask()

    def ask(self):
        self.ws.send("rtc.presence", {"group": self.group, "by": self.by}, id=7)
        self.asking += 1

    def take(self, envelope):
        name, data = envelope["eventName"], envelope["data"]
        if name == "rtc.reply":
            self.asking -= 1
            self.members = {m[self.key] for m in data["members"]} if "members" in data else None
            self.count = data["count"]
        elif name in ("rtc.joined", "rtc.left"):
            self.seen.append((name, data))
            self.count = data["count"]
            if "members" not in data:
                self.members = None
                if data.get("ask"):
                    self.ask()
            elif self.members is not None and name == "rtc.joined":
                self.members |= {m[self.key] for m in data["members"]}
            elif self.members is not None:
                self.members -= {m[self.key] for m in data["members"]}

    def drain(self):
        while pending(self.ws):
            self.take(self.ws.receive())
        return self

    def knows(self, members):
        return self.drain().members == members and not self.asking

    def close(self):
        self.ws.close()


def names(data):
    return [m["connectionId"] for m in data["members"]]


class Announced(DaemonTest):
    """Members are told who comes and goes."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({**OPTIONS, "presence.members": 20}, ANNOUNCING, workers=2)
        cls.daemon.start()

    def test_who_comes_and_goes_is_announced_by_connection(self):
        with WebSocket(self.daemon.port, group="connections.a", user="ann") as ann:
            own = ann.expect("rtc.joined")
            self.assertEqual((own["group"], own["data"]), ("connections.a", {"group": "connections.a", "count": 1, "members": [
                {"connectionId": ann.id, "userId": "ann"}]}))
            bob = WebSocket(self.daemon.port, group="connections.a")
            self.assertEqual(ann.expect("rtc.joined")["data"], {"group": "connections.a", "count": 2, "members": [
                {"connectionId": bob.id, "userId": None}]})
            bob.close()
            self.assertEqual(ann.expect("rtc.left")["data"], {"group": "connections.a", "count": 1, "members": [
                {"connectionId": bob.id, "userId": None}]})

    def test_a_group_without_the_option_is_silent(self):
        with WebSocket(self.daemon.port, group="silent") as ann:
            WebSocket(self.daemon.port, group="silent").close()
            with WebSocket(self.daemon.port, group="connections.other") as other:
                other.expect("rtc.joined")
            self.daemon.publish("n", group="silent")
            self.assertEqual(ann.receive()["eventName"], "n")

    def test_who_comes_and_goes_at_once_makes_no_noise(self):
        with WebSocket(self.daemon.port, group="connections.b") as ann:
            ann.expect("rtc.joined")
            with WebSocket(self.daemon.port) as bob:
                with self.daemon.paused():
                    for _ in range(20):
                        bob.send("rtc.join", {"group": "connections.b"})
                        bob.send("rtc.leave", {"group": "connections.b"})
                bob.call("rtc.join", {"group": "connections.b"})
            self.assertEqual(names(ann.expect("rtc.joined")["data"]), [bob.id])

    def test_users_are_announced_by_their_first_and_last_connection(self):
        with WebSocket(self.daemon.port, group="users.a", user="eve") as eve:
            self.assertEqual(eve.expect("rtc.joined")["data"], {"group": "users.a", "by": "users", "count": 1, "members": [{"userId": "eve"}]})
            ann = [WebSocket(self.daemon.port, group="users.a", user="ann") for _ in range(5)]
            anonymous = WebSocket(self.daemon.port, group="users.a")
            self.assertEqual(eve.expect("rtc.joined")["data"], {"group": "users.a", "by": "users", "count": 2, "members": [{"userId": "ann"}]})
            for client in ann[1:]:
                client.close()
            anonymous.close()
            ann.append(WebSocket(self.daemon.port, group="users.a", user="ann"))
            ann[0].close()
            bob = WebSocket(self.daemon.port, group="users.a", user="bob")
            self.assertEqual(eve.receive()["data"]["members"], [{"userId": "bob"}])
            ann[-1].close()
            self.assertEqual(eve.receive()["data"], {"group": "users.a", "by": "users", "count": 2, "members": [{"userId": "ann"}]})
            bob.close()

    def test_losing_and_changing_transports_is_silent_until_the_window_is_over(self):
        with Daemon({**OPTIONS, "resume.window": "1s"}, ANNOUNCING) as daemon, WebSocket(daemon.port, group="connections.c") as ann:
            ann.expect("rtc.joined")
            bob = WebSocket(daemon.port, group="connections.c")
            ann.expect("rtc.joined")
            reset(bob.link)
            wait_until(lambda: any(c["state"] == "parked" for c in daemon.connections()), "bob to be parked")
            again = WebSocket(daemon.port, token=bob.token, received=bob.received)
            self.assertTrue(again.welcome["data"]["resumed"])
            taken = WebSocket(daemon.port, token=bob.token, received=bob.received)
            reset(taken.link)
            told = ann.expect("rtc.left")["data"]
            self.assertEqual((names(told), told["count"]), ([bob.id], 1))
            self.assertEqual(daemon.admin("list.connections")["rows"][0][0], ann.id)

    def test_ends_on_purpose_and_by_an_operator_are_told_without_a_window(self):
        with WebSocket(self.daemon.port, group="connections.d") as ann:
            ann.expect("rtc.joined")
            for end in (lambda c: c.close(), lambda c: c.call("rtc.leave", {"group": "connections.d"}),
                        lambda c: self.daemon.admin("disconnect", connection=c.id)):
                bob = WebSocket(self.daemon.port, group="connections.d")
                self.assertEqual(names(ann.expect("rtc.joined")["data"]), [bob.id])
                end(bob)
                self.assertEqual(names(ann.expect("rtc.left")["data"]), [bob.id])

    def test_announcements_have_no_place_in_a_history(self):
        with WebSocket(self.daemon.port, group="kept.a") as ann:
            self.assertNotIn("offset", ann.expect("rtc.joined"))
            self.daemon.publish("n", 1, group="kept.a")
            self.assertEqual(ann.expect("n")["offset"], 1)
            self.assertEqual([e["eventName"] for e in ann.call("rtc.history", {"group": "kept.a"})["data"]["envelopes"]], ["n"])

    def test_of_a_large_group_only_the_number_is_told_until_it_is_small_again(self):
        with contextlib.ExitStack() as stack:
            ann = Observer(self.daemon.port, "connections.e")
            stack.callback(ann.close)
            others = [stack.enter_context(WebSocket(self.daemon.port, group="connections.e")) for _ in range(30)]
            wait_until(lambda: ann.drain().count == 31, "all to be counted")
            self.assertIsNone(ann.members)
            self.assertEqual(ann.seen[-1], ("rtc.joined", {"group": "connections.e", "count": 31}))
            for client in others[:5]:
                client.close()
            wait_until(lambda: ann.drain().count == 26, "those who left to be counted")
            self.assertEqual(ann.seen[-1], ("rtc.left", {"group": "connections.e", "count": 26}))
            for client in others[5:15]:
                client.close()
            wait_until(lambda: ann.knows({ann.ws.id, *(c.id for c in others[15:])}), "names")
            self.assertIn(("rtc.left", {"group": "connections.e", "count": 16, "ask": True}), ann.seen[-1:])

    def test_the_option_can_be_switched_on_and_off(self):
        with Daemon(OPTIONS, "groups: []\n") as daemon:
            clients = [WebSocket(daemon.port, group="users.a", user=user) for user in ("ann", "ann", "bob")]
            daemon.write_config(ANNOUNCING)
            daemon.admin("reload")
            ann, other, bob = clients
            wait_until(lambda: daemon.admin("show.config", option="presence.interval"), "an answer")
            eve = WebSocket(daemon.port, group="users.a", user="eve")
            self.assertEqual(bob.expect("rtc.joined")["data"], {"group": "users.a", "by": "users", "count": 3, "members": [{"userId": "eve"}]})
            other.close()
            eve.close()
            self.assertEqual(bob.expect("rtc.left")["data"]["members"], [{"userId": "eve"}])
            ann.close()
            self.assertEqual(bob.expect("rtc.left")["data"], {"group": "users.a", "by": "users", "count": 1, "members": [{"userId": "ann"}]})
            daemon.write_config("groups: []\n")
            daemon.admin("reload")
            with WebSocket(daemon.port, group="users.a", user="dan") as dan:
                daemon.publish("n", group="users.a")
                self.assertEqual((bob.receive()["eventName"], dan.receive()["eventName"]), ("n", "n"))
            bob.close()


class Named(unittest.TestCase):
    """Members are named with what a webhook attached to them."""

    def test_clients_see_info_and_operators_labels_too(self):
        def judge(handler, asked):
            said = {"user": "ann", "groups": ["connections.named"], "labels": {"plan": "gold"}, "info": {"name": "Ann"}}
            handler.answer(200, json.dumps(said).encode(), Content_Type="application/json")

        with Receiver(judge) as receiver:
            config = ANNOUNCING + f"webhooks: [{{name: judge, url: '{receiver.url}', events: connect}}]\n"
            with Daemon(OPTIONS, config) as daemon, WebSocket(daemon.port) as ann:
                member = {"connectionId": ann.id, "userId": "ann", "info": {"name": "Ann"}}
                self.assertEqual(ann.expect("rtc.joined")["data"], {"group": "connections.named", "count": 1, "members": [member]})
                self.assertEqual(ann.call("rtc.presence", {"group": "connections.named"})["data"]["members"], [member])
                shown = daemon.admin("show.group", group="connections.named", columns="user,labels,info")["rows"]
                self.assertEqual(shown, [["ann", {"plan": "gold"}, {"name": "Ann"}]])
                with WebSocket(daemon.port) as other:
                    self.assertEqual(names(ann.expect("rtc.joined")["data"]), [other.id])
                    other.close()
                self.assertEqual(ann.expect("rtc.left")["data"]["members"], [{**member, "connectionId": other.id}])


class Storm(unittest.TestCase):
    """Many come and go on several workers, and whoever goes by what it is told has the exact set."""

    def storm(self, group, by, limit, seed, steps=1500):
        choose = random.Random(seed)
        others, observers = [], []
        users = [f"u{i}" for i in range(25)] if by == "users" else [None, "ann", "bob"]
        with Daemon({**OPTIONS, "presence.members": limit}, ANNOUNCING, workers=3) as daemon:
            for _ in range(15):
                observers.append(Observer(daemon.port, group, choose.choice(users), by))
            pacer = WebSocket(daemon.port)
            for step in range(steps):
                if step % 50 == 0:      # a tick goes by
                    pacer.call("rtc.join", {"group": "connections.pace"})
                    pacer.expect("rtc.joined")
                    pacer.call("rtc.leave", {"group": "connections.pace"})
                what = choose.random()
                if what < 0.4 and len(others) < 185:
                    others.append(WebSocket(daemon.port, user=choose.choice(users), group=group))
                elif what < 0.55 and others:
                    others.pop(choose.randrange(len(others))).close()
                elif what < 0.7 and others:
                    choose.choice(others).send(choose.choice(["rtc.join", "rtc.leave"]), {"group": group})
                elif what < 0.75 and others:
                    index = choose.randrange(len(others))
                    old = others[index]
                    reset(old.link)
                    others[index] = WebSocket(daemon.port, token=old.token, received=old.received, user=old.welcome["data"]["userId"])
                    others[index].received += old.received
                elif what < 0.78:
                    choose.choice(observers).ask()
                elif what < 0.8:
                    gone = observers.pop(choose.randrange(len(observers)))
                    gone.close()
                    observers.append(Observer(daemon.port, group, choose.choice(users), by))
                for client in others:
                    while pending(client):
                        client.receive()
                for observer in observers:
                    observer.drain()

            def all_know():
                rows = daemon.admin("show.group", group=group)["rows"]
                members = {row[0] for row in rows} if by == "connections" else {row[1] for row in rows if row[1]}
                is_named = len(members) <= limit * 7 / 8
                return all(o.knows(members) if is_named or o.drain().members is not None else o.count == len(members) for o in observers)

            wait_until(all_know, "everyone to know")
            self.assertGreater(daemon.counter("presence_told"), 20)
            for client in [pacer, *others, *(o.ws for o in observers)]:
                client.drop()

    def test_everyone_knows_the_connections(self):
        self.storm("connections.storm", "connections", 1000, 1)

    def test_everyone_knows_the_users(self):
        self.storm("users.storm", "users", 1000, 2)

    def test_a_group_around_the_size_up_to_which_members_are_named(self):
        self.storm("connections.storm", "connections", 60, 3)
        self.storm("users.storm", "users", 20, 4)

    def test_a_mass_reconnect_costs_envelopes_by_the_tick_and_not_by_the_member(self):
        with Daemon({**OPTIONS, "presence.interval": "1s", "presence.members": 1000}, ANNOUNCING, workers=2) as daemon:
            watcher = Observer(daemon.port, "connections.mass")
            for _ in range(3):
                clients = [WebSocket(daemon.port, group="connections.mass") for _ in range(150)]
                wait_until(lambda: watcher.knows({watcher.ws.id, *(c.id for c in clients)}), "all to be known")
                for client in clients:
                    client.close()
            wait_until(lambda: watcher.knows({watcher.ws.id}), "all to be gone")
            told = daemon.counter("presence_told")
            self.assertEqual(told, len(watcher.seen))
            self.assertLess(told, 2 * 3 * 2 * 10)
            watcher.close()


if __name__ == "__main__":
    unittest.main()
