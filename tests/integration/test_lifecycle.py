"""Life-cycle events: what a program on the server's side may build on."""

import random
import threading
import unittest

from client import WebSocket, request
from harness import AdminLink, Daemon, DaemonTest, wait_until


class Listener(AdminLink):
    def __init__(self, daemon, event=None):
        super().__init__(daemon)
        self.send("listen", **({"event": event} if event else {}))
        reply = self.read()["data"]
        self.epoch, self.sequence = reply["epoch"], reply["sequence"]

    def until(self, name):
        """All up to the first of that name."""
        envelopes = []
        while not envelopes or envelopes[-1]["eventName"] != name:
            envelopes.append(self.read())
            if envelopes[-1] is None:
                raise AssertionError(f"the daemon is gone, and no {name} came: {envelopes}")
        return envelopes


class Reader:
    """Keeps account of who is online and which groups are occupied, as a program on the server's side would."""

    def __init__(self, test, epoch, sequence):
        self.test, self.epoch, self.sequence = test, epoch, sequence
        self.users, self.groups, self.open = {}, set(), {}

    def take_list(self, daemon):
        """Begins with lists, in small pages, instead of with nothing."""
        for command, keep in (("list.users", lambda row: self.users.__setitem__(row[0], row[2])), ("list.groups", lambda row: self.groups.add(row[0]))):
            cursor = {}
            while cursor is not None:
                reply = daemon.admin(command, at=True, limit=3, **cursor)
                self.test.assertEqual(reply["epoch"], self.epoch)
                for row in reply["rows"]:
                    keep(row)
                cursor = {"cursor": reply["cursor"]} if "cursor" in reply else None

    def take(self, envelope, is_strict=True):
        """One event. Where the reader was there from the start, it is strict: each makes sense with what came before."""
        name, data = envelope["eventName"], envelope["data"]
        self.test.assertEqual((data["epoch"], data["sequence"]), (self.epoch, self.sequence + 1))
        self.sequence += 1
        if name == "rtc.online":
            self.test.assertEqual(data["generation"], data["sequence"])
            if is_strict:
                self.test.assertNotIn(data["userId"], self.users)
            self.users[data["userId"]] = max(data["generation"], self.users.get(data["userId"], 0))
        elif name == "rtc.offline":
            if is_strict:
                self.test.assertEqual(self.users.get(data["userId"]), data["generation"])
            if self.users.get(data["userId"]) == data["generation"]:
                del self.users[data["userId"]]
        elif name in ("rtc.occupied", "rtc.vacated"):
            if is_strict:
                self.test.assertEqual(data["group"] in self.groups, name == "rtc.vacated")
            (self.groups.add if name == "rtc.occupied" else self.groups.discard)(data["group"])
        elif is_strict:
            self.take_connection(envelope)

    def take_connection(self, envelope):
        sender, generation = envelope["from"], envelope["data"].get("generation")
        self.test.assertEqual(generation, self.users.get(sender["userId"]))
        if envelope["eventName"] == "rtc.connected":
            self.test.assertNotIn(sender["connectionId"], self.open)
            self.open[sender["connectionId"]] = sender["userId"]
        else:
            self.test.assertEqual(self.open.pop(sender["connectionId"]), sender["userId"])


USERS = [f"user-{i}" for i in range(6)]
GROUPS = [f"group-{i}" for i in range(6)]


class Storm:
    """Clients of a few users, who come and go all the time, until it is stopped; some stay then."""

    def __init__(self, port, threads=8):
        self.port, self.staying, self.is_over, self.failures = port, [], threading.Event(), []
        self.round_count = 0
        self.threads = [threading.Thread(target=self.run, args=(random.Random(i),)) for i in range(threads)]

    def run(self, dice):
        try:
            while not self.is_over.is_set():
                ws = WebSocket(self.port, user=dice.choice(USERS), group=dice.sample(GROUPS, 2))
                if dice.random() < 0.5:
                    ws.drop()
                else:
                    ws.close()
                self.round_count += 1
            self.staying.append(WebSocket(self.port, user=dice.choice(USERS), group=dice.choice(GROUPS)))
        except Exception as error:      # pylint: disable=broad-exception-caught
            self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def wait_rounds(self, count):
        until = self.round_count + count
        wait_until(lambda: self.round_count >= until or self.failures, "clients that come and go")

    def end(self):
        """Who is still there then."""
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def __exit__(self, *error):
        self.end()
        for ws in self.staying:
            ws.drop()


class StormTest(DaemonTest):
    # What is dropped is never resumed: it is over soon.
    options = {"connection.claimed-users": "true", "resume.window": "100ms"}
    workers = 4

    def test_users_and_groups_come_and_go_in_order_and_once_whoever_races(self):
        with Listener(self.daemon, "rtc.*") as listener, Storm(self.daemon.port) as storm:
            listener.read()
            first = Reader(self, listener.epoch, listener.sequence)
            storm.wait_rounds(300)
            late = []
            for _ in range(5):
                other = Listener(self.daemon, "rtc.*")
                other.read()
                reader = Reader(self, other.epoch, other.sequence)
                reader.take_list(self.daemon)
                late.append((other, reader))
                storm.wait_rounds(50)
            storm.end()
            self.assertEqual(storm.failures, [])
            wait_until(lambda: len(self.daemon.admin("list.connections")["rows"]) == len(storm.staying), "the dropped ones to end")
            truth = self.daemon.admin("list.users", at=True)
            while first.sequence < truth["sequence"]:
                first.take(listener.read())
            self.assertEqual(first.users, {row[0]: row[2] for row in truth["rows"]})
            self.assertEqual(first.groups, {row[0] for row in self.daemon.admin("list.groups", at=True)["rows"]})
            self.assertEqual(set(first.open), {ws.id for ws in storm.staying})
            self.assertEqual(set(first.open.values()), set(first.users))
            for other, reader in late:
                with other:
                    while reader.sequence < truth["sequence"]:
                        reader.take(other.read(), is_strict=False)
                self.assertEqual((reader.users, reader.groups), (first.users, first.groups))
            self.assertEqual(self.daemon.counter("lifecycle_lost"), 0)


class PresenceTest(unittest.TestCase):
    def setUp(self):
        self.daemon = self.enterContext(Daemon({"connection.claimed-users": "true", "resume.window": "20s"}))

    def test_a_user_with_several_connections_is_online_until_the_last_has_ended(self):
        with Listener(self.daemon, "rtc.o*") as listener:
            first, second = WebSocket(self.daemon.port, user="ann"), WebSocket(self.daemon.port, user="ann")
            online = listener.read()
            self.assertEqual((online["eventName"], online["data"]["userId"]), ("rtc.online", "ann"))
            first.close()
            second.close()
            offline = listener.read()
            self.assertEqual((offline["eventName"], offline["data"]["generation"]), ("rtc.offline", online["data"]["sequence"]))
            with WebSocket(self.daemon.port, user="ann"):
                again = listener.read()
            # Whoever hears of that rtc.offline only now sees that it is an old one.
            self.assertGreater(again["data"]["generation"], offline["data"]["generation"])

    def test_to_resume_makes_no_event(self):
        with Listener(self.daemon, "rtc.*") as listener:
            ws = WebSocket(self.daemon.port, user="bob", group="g")
            names = [e["eventName"] for e in listener.until("rtc.connected")]
            self.assertEqual(names, ["rtc.epoch", "rtc.occupied", "rtc.online", "rtc.connected"])
            ws.drop()
            wait_until(lambda: self.daemon.connections()[0]["state"] == "parked", "the connection to be parked")
            self.assertEqual(self.daemon.admin("list.users", at=True)["rows"][0][:2], ["bob", 1])
            back = WebSocket(self.daemon.port, token=ws.token, received=0)
            self.assertTrue(back.welcome["data"]["resumed"])
            back.close()
            self.assertEqual([e["eventName"] for e in listener.until("rtc.offline")], ["rtc.disconnected", "rtc.offline"])
            self.assertEqual(listener.read()["eventName"], "rtc.vacated")

    def test_who_never_opens_is_never_online(self):
        with Listener(self.daemon, "rtc.*") as listener:
            self.assertEqual(request(self.daemon.port, "POST", "/rtc/negotiate", user="eve").status, 200)
            self.assertEqual(self.daemon.admin("list.users")["rows"], [["eve", 1, 0]])
            self.assertEqual(self.daemon.admin("list.users", at=True)["rows"], [])
            with WebSocket(self.daemon.port):
                self.assertEqual([e["eventName"] for e in (listener.read(), listener.read())], ["rtc.epoch", "rtc.connected"])

    def test_rtcctl_says_as_of_which_event_a_list_holds(self):
        with WebSocket(self.daemon.port, user="ann"), WebSocket(self.daemon.port, user="bob"), Listener(self.daemon) as listener:
            listed = self.daemon.rtcctl("list", "users", "--at", "--columns", "user,generation")
            self.assertEqual(dict(line.split("\t") for line in listed.stdout.splitlines()),
                             {row[0]: str(row[2]) for row in self.daemon.admin("list.users", at=True)["rows"]})
            self.assertEqual(listed.stderr, f"As of life-cycle event {listener.sequence} of epoch {listener.epoch}\n")

    def test_generations_grow_though_nobody_listens(self):
        seen = []
        for _ in range(3):
            with WebSocket(self.daemon.port, user="dan") as ws:
                seen.append(self.daemon.admin("list.users", at=True)["rows"][0][2])
                ws.close()
            wait_until(lambda: not self.daemon.admin("list.users")["rows"], "the user to go")
        self.assertEqual(seen, sorted(set(seen)))


class LifecycleTest(unittest.TestCase):
    def test_a_listener_learns_first_where_it_came_in(self):
        with Daemon() as daemon, Listener(daemon) as first:
            greeting = first.read()
            self.assertEqual(greeting["eventName"], "rtc.epoch")
            self.assertEqual(greeting["data"], {"epoch": first.epoch, "sequence": first.sequence})
            with WebSocket(daemon.port) as ws:
                ws.close()
            connected, disconnected = first.until("rtc.disconnected")
            self.assertEqual(connected["eventName"], "rtc.connected")
            self.assertTrue(connected["data"].pop("address").startswith("127.0.0.1:"))
            self.assertEqual(connected["data"], {"transport": "websocket", "protocol": "json", "epoch": first.epoch, "sequence": first.sequence + 1})
            self.assertEqual((disconnected["from"]["connectionId"], disconnected["data"]["sequence"]), (ws.id, first.sequence + 2))
            with Listener(daemon, "rtc.disconnected") as second:
                self.assertEqual((second.epoch, second.sequence), (first.epoch, first.sequence + 2))
                with WebSocket(daemon.port) as ws:
                    ws.close()
                self.assertEqual(second.read()["data"]["sequence"], first.sequence + 4)

    def test_the_last_events_arrive_when_the_daemon_is_stopped(self):
        # Many more than the mailbox of the main thread holds.
        with Daemon({"connection.claimed-users": "true", "limits.mailbox": 64}, workers=4) as daemon:
            clients = [WebSocket(daemon.port, user=f"user-{i % 50}", group="g") for i in range(600)]
            with Listener(daemon, "rtc.*") as listener:
                listener.read()
                reader = Reader(self, listener.epoch, listener.sequence)
                reader.take_list(daemon)
                self.assertEqual((len(reader.users), reader.groups), (50, {"g"}))
                reader.open = {client.id: f"user-{i % 50}" for i, client in enumerate(clients)}
                daemon.process.terminate()
                reasons = set()
                ending = threading.Thread(target=lambda: reasons.update(self.reason_of_end(client) for client in clients))
                ending.start()
                while (envelope := listener.read()) is not None:
                    reader.take(envelope)
                ending.join()
                daemon.process.wait(20)         # a second signal would end it at once
            self.assertEqual((reader.users, reader.groups, reader.open, reasons), ({}, set(), {}, {"shutdown"}))

    def reason_of_end(self, client):
        _, farewell = client.closing()
        client.drop()
        return farewell["reason"]

    def test_another_start_is_another_epoch(self):
        with Daemon() as daemon:
            with Listener(daemon) as before:
                before.until("rtc.epoch")
                daemon.process.kill()
                daemon.process.wait()
                self.assertIsNone(before.read())
            daemon.start()
            with Listener(daemon) as after:
                self.assertEqual(after.read()["eventName"], "rtc.epoch")
                self.assertNotEqual(after.epoch, before.epoch)


if __name__ == "__main__":
    unittest.main()
