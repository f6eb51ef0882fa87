"""Groups that remember: offsets, joining with since and last, rtc.history, and what they forget."""

import threading
import unittest

from client import Poller, Sse, WebSocket
from harness import AdminError, Daemon, wait_until

CONFIG = """
groups-default: {join: anyone}
groups:
  - {match: "short.**", history-envelopes: 5, publish: members, history: anyone}
  - {match: "kept.**", history-envelopes: 1000, history: anyone, publish: anyone}
  - {match: "long.**", history-envelopes: 25000, history-bytes: 64MiB}
  - {match: "closed.**", history-envelopes: 10, history: nobody}
"""


def numbers(envelopes):
    return [(envelope["offset"], envelope["data"]) for envelope in envelopes]


def rows(daemon, group, **asked):
    return [(int(position.partition(":")[2]), data) for position, _, _, data in daemon.admin("history", group=group, **asked)["rows"]]


class History(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({}, config=CONFIG)
        cls.daemon.start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def publish(self, group, values):
        for value in values:
            self.daemon.publish("n", value, group=group)

    def join(self, client, group, **asked):
        return client.call("rtc.join", {"group": group, **asked})["data"]

    def received(self, client, count):
        return numbers(client.expect("n") for _ in range(count))

    def test_a_group_numbers_and_remembers_what_nobody_was_there_for(self):
        self.publish("kept.alone", "abc")
        with WebSocket(self.daemon.port) as ws:
            reply = self.join(ws, "kept.alone", last=2)
            self.assertEqual((reply["offset"], reply["first"], reply["recovered"]), (3, 2, True))
            self.publish("kept.alone", "d")
            self.assertEqual(self.received(ws, 3), [(2, "b"), (3, "c"), (4, "d")])

    def test_since_gives_just_what_followed(self):
        with WebSocket(self.daemon.port) as ws:
            reply = self.join(ws, "kept.since")
            self.assertEqual((reply["offset"], reply["recovered"]), (0, False))
            self.publish("kept.since", range(1, 11))
            self.assertEqual(self.received(ws, 10), [(n, n) for n in range(1, 11)])
        for codec in ("json", "msgpack"):
            with WebSocket(self.daemon.port, protocol=codec) as back:
                again = self.join(back, "kept.since", since={"epoch": reply["epoch"], "offset": 7})
                self.assertEqual((again["epoch"], again["offset"], again["recovered"]), (reply["epoch"], 10, True))
                self.assertEqual(self.received(back, 3), [(8, 8), (9, 9), (10, 10)])

    def test_what_is_forgotten_is_never_said_to_be_recovered(self):
        self.publish("short.forgotten", range(1, 11))
        with WebSocket(self.daemon.port) as ws:
            epoch = self.join(ws, "short.forgotten")["epoch"]
        for since, is_recovered, offsets in (({"epoch": epoch, "offset": 4}, False, []), ({"epoch": epoch, "offset": 5}, True, [6, 7, 8, 9, 10]),
                                             ({"epoch": epoch, "offset": 10}, True, []), ({"epoch": epoch, "offset": 11}, False, []),
                                             ({"epoch": "another", "offset": 5}, False, [])):
            with self.subTest(since=since), WebSocket(self.daemon.port) as ws:
                self.assertEqual(self.join(ws, "short.forgotten", since=since)["recovered"], is_recovered)
                self.assertEqual([offset for offset, _ in self.received(ws, len(offsets))], offsets)
                self.publish("kept.other", [0])
                self.assertEqual(ws.call("rtc.join", {"group": "kept.fence"}, id=9)["data"]["group"], "kept.fence")

    def test_more_than_may_wait_is_not_recovered(self):
        with Daemon({"queue.envelopes": 16}, config=CONFIG) as daemon:
            for number in range(20):
                daemon.publish("n", number, group="kept.much")
            with WebSocket(daemon.port) as ws:
                reply = self.join(ws, "kept.much", last=20)
                self.assertFalse(reply["recovered"])
                self.assertEqual(self.received(ws, 8), [(n + 1, n) for n in range(12, 20)])
                reply = self.join(ws, "kept.much2")
            with WebSocket(daemon.port) as ws:
                epoch = daemon.admin("history", group="kept.much")["epoch"]
                self.assertFalse(self.join(ws, "kept.much", since={"epoch": epoch, "offset": 2})["recovered"])

    def test_history_is_told_in_pages(self):
        self.publish("kept.pages", range(1, 26))
        with WebSocket(self.daemon.port) as ws:
            reply = ws.call("rtc.history", {"group": "kept.pages", "limit": 10})["data"]
            self.assertEqual(numbers(reply["envelopes"]), [(n, n) for n in range(16, 26)])
            self.assertEqual(reply["envelopes"][0], {"eventName": "n", "data": 16, "group": "kept.pages", "offset": 16})
            reply = ws.call("rtc.history", {"group": "kept.pages", "since": {"epoch": reply["epoch"], "offset": 20}})["data"]
            self.assertEqual((numbers(reply["envelopes"]), reply["recovered"]), ([(n, n) for n in range(21, 26)], True))

    def test_rtcctl_goes_through_what_is_more_than_a_page(self):
        self.daemon.rtcctl("publish", "--group", "long.a", "--stream", input="".join('{"eventName":"n","data":%d}\n' % n for n in range(1, 25011)))
        epoch = self.daemon.admin("history", group="long.a", last=1)["epoch"]
        shown = self.daemon.rtcctl("history", "long.a", "--since", f"{epoch}:10", "-o", "tsv").stdout
        self.assertEqual([line.split("\t")[::3] for line in shown.splitlines()], [[f"{epoch}:{n}", str(n)] for n in range(11, 25011)])
        page = self.daemon.admin("history", group="long.a", since=f"{epoch}:10")
        self.assertEqual((len(page["rows"]), page["cursor"], page["recovered"]), (10000, f"{epoch}:10010", False))
        last = self.daemon.admin("history", group="long.a", since=f"{epoch}:15010")
        self.assertEqual((len(last["rows"]), last.get("cursor"), last["recovered"]), (10000, None, True))
        for position in f"{epoch}:9", "another:10":
            lost = self.daemon.rtcctl("history", "long.a", "--since", position, check=False)
            self.assertEqual((lost.returncode, lost.stdout), (68, ""))
            self.assertIn("not remembered any more", lost.stderr)
        self.assertEqual(self.daemon.rtcctl("history", "long.a", "--last", "10001", check=False).returncode, 65)

    def test_who_may_not_ask_gets_nothing_and_may_join_all_the_same(self):
        self.publish("closed.room", range(3))
        with WebSocket(self.daemon.port) as ws:
            self.assertEqual(ws.call("rtc.history", {"group": "closed.room"})["error"]["code"], "forbidden")
            self.assertFalse(self.join(ws, "closed.room", last=3)["recovered"])
            self.publish("closed.room", [3])
            self.assertEqual(self.received(ws, 1), [(4, 3)])

    def test_who_is_in_the_group_already_is_sent_nothing_again(self):
        self.publish("kept.again", range(3))
        with WebSocket(self.daemon.port) as ws:
            before = self.join(ws, "kept.again", last=1)
            self.assertEqual((self.received(ws, 1), before.pop("first")), ([(3, 2)], 3))
            self.assertEqual(self.join(ws, "kept.again", last=3), {**before, "recovered": False})
            self.publish("kept.again", [3])
            self.assertEqual(self.received(ws, 1), [(4, 3)])

    def test_a_group_without_history_says_so(self):
        with WebSocket(self.daemon.port) as ws:
            reply = self.join(ws, "plain", last=3)
            self.assertEqual(reply, {"group": "plain", "recovered": False})
            self.assertEqual(ws.call("rtc.history", {"group": "plain"})["error"]["code"], "not-found")

    def test_a_limit_that_lets_nothing_through_is_refused_and_loses_nothing(self):
        self.publish("kept.limit", "ab")
        with WebSocket(self.daemon.port) as ws:
            self.assertEqual(ws.call("rtc.history", {"group": "kept.limit", "limit": 0})["error"]["code"], "bad-envelope")
            reply = ws.call("rtc.history", {"group": "kept.limit", "limit": None, "last": None, "since": None})["data"]
            self.assertEqual((numbers(reply["envelopes"]), reply["recovered"]), ([(1, "a"), (2, "b")], True))

    def test_a_bad_since_is_refused(self):
        with WebSocket(self.daemon.port) as ws:
            for since in (1, {"offset": 1}, {"epoch": "", "offset": 1}, {"epoch": "x", "offset": -1}, {"epoch": "x", "offset": "1"}):
                self.assertEqual(ws.call("rtc.join", {"group": "kept.bad", "since": since})["error"]["code"], "bad-envelope")
            self.assertEqual(ws.call("rtc.join", {"group": "kept.bad", "last": -1})["error"]["code"], "bad-envelope")

    def test_whoever_joins_while_others_publish_sees_no_gap_and_no_double(self):
        """Each joins at some moment of the publishing, and asks for all that was before."""
        total = 600
        self.publish("kept.race", [0])
        clients = [WebSocket(self.daemon.port) for _ in range(40)]
        publisher = threading.Thread(target=self.publish, args=("kept.race", range(1, total)))
        publisher.start()
        for client in clients:
            self.assertTrue(self.join(client, "kept.race", last=1000)["recovered"])
        publisher.join()
        for client in clients:
            self.assertEqual(self.received(client, total), [(n + 1, n) for n in range(total)])
            client.drop()

    def test_other_transports_catch_up_as_well(self):
        self.publish("kept.transports", range(1, 4))
        with Poller(self.daemon.port) as poller:
            poller.send({"eventName": "rtc.join", "data": {"group": "kept.transports", "last": 2}, "id": 1})
            self.assertEqual(poller.gather(3)[1:], [2, 3])
        with Sse(self.daemon.port, group="kept.transports") as sse:
            self.publish("kept.transports", [4])
            self.assertEqual(numbers([sse.expect("n")]), [(4, 4)])


def state_of(envelopes, state=None):
    """What a client makes of envelopes with keys, one after the other."""
    state = dict(state or {})
    for envelope in envelopes:
        if envelope["data"] is None:
            state.pop(envelope["key"], None)
        else:
            state[envelope["key"]] = envelope["data"]
    return state


class Keys(unittest.TestCase):
    """Groups that remember the latest of each key."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({}, config="""
groups:
  - {match: "state.**", history-envelopes: 1000, history-keep: latest-per-key, history: anyone, publish: anyone}
  - {match: "tight.**", history-envelopes: 3, history-keep: latest-per-key, history: anyone}
  - {match: "stream.**", history-envelopes: 10, history: anyone, publish: anyone}
""")
        cls.daemon.start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def put(self, group, key, value):
        self.daemon.publish("set", value, group=group, key=key)

    def catch_up(self, group, protocol="json", **asked):
        """The join's reply and what followed it."""
        with WebSocket(self.daemon.port, protocol=protocol) as ws:
            reply = ws.call("rtc.join", {"group": group, **asked})["data"]
            self.daemon.publish("fence", group=group)
            envelopes = []
            while (envelope := ws.receive())["eventName"] != "fence":
                envelopes.append(envelope)
            return reply, envelopes

    def test_last_gives_the_value_of_every_key_in_order(self):
        for number in range(30):
            self.put("state.last", f"k{number % 4}", number)
        self.put("state.last", "k1", None)
        for protocol in ("json", "msgpack"):
            reply, envelopes = self.catch_up("state.last", protocol, last=100)
            self.assertEqual([(e["offset"], e["key"], e["data"]) for e in envelopes], [(27, "k2", 26), (28, "k3", 27), (29, "k0", 28)])
            self.assertEqual((reply["recovered"], reply["first"]), (True, 27))
        reply, envelopes = self.catch_up("state.last", last=2)
        self.assertEqual(([e["key"] for e in envelopes], reply["recovered"]), (["k3", "k0"], False))

    def test_since_any_offset_leads_to_the_state(self):
        published, joined = [], []
        for number in range(60):
            key, value = f"k{number * number % 7}", None if number % 5 == 4 else number
            self.put("state.since", key, value)
            published.append({"key": key, "data": value})
        for offset in range(61):
            epoch = joined[0] if joined else self.daemon.admin("history", group="state.since")["epoch"]
            with WebSocket(self.daemon.port) as ws:
                reply = ws.call("rtc.history", {"group": "state.since", "since": {"epoch": epoch, "offset": offset}})["data"]
            self.assertTrue(reply["recovered"])
            self.assertEqual(state_of(reply["envelopes"], state_of(published[:offset])), state_of(published))
            offsets = [e["offset"] for e in reply["envelopes"]]
            self.assertEqual(offsets, sorted(offsets))

    def test_what_the_limits_let_go_is_not_recovered(self):
        for key in "abc":
            self.put("tight.g", key, 1)
        epoch = self.daemon.admin("history", group="tight.g")["epoch"]
        self.assertTrue(self.daemon.admin("history", group="tight.g")["recovered"])
        self.put("tight.g", "d", 1)
        self.assertFalse(self.daemon.admin("history", group="tight.g")["recovered"])
        self.assertFalse(self.daemon.admin("history", group="tight.g", since=f"{epoch}:0")["recovered"])
        self.assertTrue(self.daemon.admin("history", group="tight.g", since=f"{epoch}:1")["recovered"])
        self.daemon.admin("clear.history", group="tight.g")
        self.put("tight.g", "e", 1)
        self.assertTrue(self.daemon.admin("history", group="tight.g")["recovered"])

    def test_a_tombstone_reaches_who_is_there_and_who_comes_back(self):
        with WebSocket(self.daemon.port) as ws:
            reply = ws.call("rtc.join", {"group": "state.gone"})["data"]
            ws.send("set", 1, to={"group": "state.gone"}, key="a")
            ws.send("set", None, to={"group": "state.gone"}, key="a")
            for data in (1, None):
                got = ws.expect("set")
                self.assertEqual((got["key"], got["data"]), ("a", data))
        back, envelopes = self.catch_up("state.gone", since={"epoch": reply["epoch"], "offset": 1})
        self.assertEqual((back["recovered"], [(e["key"], e["data"]) for e in envelopes]), (True, [("a", None)]))
        self.assertEqual(self.catch_up("state.gone", last=10)[1], [])

    def test_what_has_no_key_is_delivered_and_not_remembered(self):
        self.put("state.mixed", "a", 1)
        self.daemon.publish("set", 2, group="state.mixed")
        self.assertEqual(rows(self.daemon, "state.mixed"), [(1, 1)])
        self.assertEqual(self.daemon.admin("history", group="state.mixed")["offset"], 2)

    def test_other_groups_carry_keys_along(self):
        self.put("stream.g", "a", 1)
        self.put("stream.g", "a", 2)
        self.assertEqual(rows(self.daemon, "stream.g"), [(1, 1), (2, 2)])
        self.assertEqual([e["key"] for e in self.catch_up("stream.g", last=5)[1]], ["a", "a"])
        with WebSocket(self.daemon.port) as ws:
            self.daemon.publish("note", 1, all=True, key="k")
            self.assertEqual(ws.expect("note")["key"], "k")

    def test_a_bad_key_is_refused(self):
        with self.assertRaises(AdminError) as refused:
            self.put("state.bad", "a\nb", 1)
        self.assertEqual(refused.exception.code, "bad-envelope")
        with WebSocket(self.daemon.port) as ws:
            self.assertEqual(ws.call("set", 1, to={"group": "state.bad"}, key="k" * 129)["error"]["code"], "bad-envelope")

    def test_rtcctl_publishes_with_a_key(self):
        self.daemon.rtcctl("publish", "--group", "state.cli", "--key", "a", "set", "1")
        self.daemon.rtcctl("publish", "--group", "state.cli", "--stream", input='{"eventName":"set","data":2,"key":"a"}\n{"eventName":"set","data":3,"key":"b"}\n')
        listed = self.daemon.rtcctl("--no-header", "history", "state.cli").stdout.splitlines()
        self.assertEqual([line.split("\t")[1:] for line in listed], [["set", "a", "2"], ["set", "b", "3"]])

    def test_rtcctl_shows_all_values_and_says_so_where_fewer_were_asked_for(self):
        for number in range(130):
            self.put("state.many", f"k{number}", number)
        shown = self.daemon.rtcctl("history", "state.many", "-o", "tsv").stdout.splitlines()
        self.assertEqual([line.split("\t")[2] for line in shown], [f"k{number}" for number in range(130)])
        fewer = self.daemon.rtcctl("--no-header", "history", "state.many", "--last", "2", check=False)
        self.assertEqual((fewer.returncode, len(fewer.stdout.splitlines())), (68, 2))
        self.assertIn("values of more keys", fewer.stderr)
        self.assertEqual(self.daemon.rtcctl("history", "state.many", "--last", "0", check=False).returncode, 65)

    def test_a_group_that_has_nothing_yet_is_not_said_to_have_no_rule(self):
        for group, reason in (("state.new", "nothing yet"), ("ruleless", "history-envelopes")):
            for command in (("history", group), ("clear", "history", group)):
                self.assertIn(reason, self.daemon.rtcctl(*command, check=False).stderr)


class Forgetting(unittest.TestCase):
    def test_what_is_too_old_is_forgotten(self):
        with Daemon({}, config='groups: [{match: "**", history-envelopes: 10, history-age: 1s, history: anyone}]\n') as daemon:
            daemon.publish("n", 1, group="g")
            self.assertEqual(rows(daemon, "g"), [(1, 1)])
            wait_until(lambda: not daemon.admin("list.groups")["rows"], "the group to be forgotten")

    def test_groups_that_were_used_longest_ago_are_forgotten_first(self):
        with Daemon({"history.groups": 64}, config='groups: [{match: "**", history-envelopes: 10}]\n') as daemon:
            for number in range(2000):
                daemon.publish("n", number, group=f"g{number}")
            count = daemon.admin("status")["groups"]
            self.assertLessEqual(count, 64)
            self.assertEqual(rows(daemon, "g1999"), [(1, 1999)])

    def test_a_group_can_be_made_to_forget(self):
        with Daemon({}, config='groups: [{match: "**", history-envelopes: 10}]\n') as daemon:
            for number in range(1, 5):
                daemon.publish("n", number, group="g")
            epoch = daemon.admin("history", group="g")["epoch"]
            self.assertEqual(rows(daemon, "g", since=f"{epoch}:2"), [(3, 3), (4, 4)])
            self.assertEqual(rows(daemon, "g", last=1), [(4, 4)])
            daemon.rtcctl("clear", "history", "g")
            self.assertEqual(rows(daemon, "g"), [])
            daemon.publish("n", 5, group="g")
            self.assertEqual(rows(daemon, "g"), [(5, 5)])
            self.assertFalse(daemon.admin("history", group="g", since=f"{epoch}:2")["recovered"])
            self.assertEqual(daemon.rtcctl("--no-header", "history", "g").stdout, f"{epoch}:5\tn\t\t5\n")
            self.assertEqual(daemon.rtcctl("--no-header", "history", "g", "--since", f"{epoch}:4").stdout, f"{epoch}:5\tn\t\t5\n")

    def test_a_reload_changes_what_is_kept(self):
        with Daemon({}, config='groups: [{match: "**", history-envelopes: 10}]\n') as daemon:
            for number in range(10):
                daemon.publish("n", number, group="g")
            daemon.write_config('groups: [{match: "**", history-envelopes: 3}]\n')
            daemon.admin("reload")
            self.assertEqual(len(rows(daemon, "g")), 3)
            daemon.write_config('groups: [{match: "other", publish: anyone}]\n')
            daemon.admin("reload")
            for number in range(3):
                daemon.publish("n", number, group="g")
            self.assertEqual(daemon.admin("list.groups")["rows"], [])
            daemon.write_config("groups: []\n")
            daemon.admin("reload")
            with self.assertRaises(AdminError) as refused:
                daemon.admin("history", group="g")
            self.assertEqual(refused.exception.code, "not-found")

    def test_what_was_published_while_a_group_kept_nothing_is_never_said_to_be_recovered(self):
        keeping = 'groups: [{match: "**", history-envelopes: 10}]\n'
        for other in ("groups: []\n", 'groups: [{match: "other", publish: anyone}]\n'):
            with self.subTest(other=other), Daemon({}, config=keeping) as daemon:
                daemon.publish("n", 1, group="g")
                epoch = daemon.admin("history", group="g")["epoch"]
                daemon.write_config(other)
                daemon.admin("reload")
                daemon.publish("n", 2, group="g")
                daemon.write_config(keeping)
                daemon.admin("reload")
                daemon.publish("n", 3, group="g")
                with WebSocket(daemon.port) as ws:
                    joined = ws.call("rtc.join", {"group": "g", "since": {"epoch": epoch, "offset": 1}})["data"]
                    self.assertFalse(joined["recovered"])
                    self.assertNotEqual(joined["epoch"], epoch)


if __name__ == "__main__":
    unittest.main()
