"""Listings that are filtered, sorted and cut to some columns by the daemon, against the same done here over a random crowd."""

import contextlib
import json
import os
import pty
import random
import re
import subprocess
import threading
import unittest

from client import Poller, Sse, WebSocket, negotiate
from harness import BUILD, AdminError, Daemon, DaemonTest, wait_until

COLUMNS = "id user state transport protocol address groups queued age".split()
SIZES = {"queued"}
COMPARISONS = {"=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
               ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def matches(pattern, text):
    """As lib/pattern.h says."""
    parts = re.split(r"(\*\*?)", pattern)
    expression = "".join({"**": ".*", "*": "[^.:/]*"}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(expression, text, re.DOTALL) is not None


class Expression:
    """One made at random, and what it says of a row."""

    def __init__(self, chance, depth):
        kind = chance.choice(["test", "test", "not", "and", "or"]) if depth else "test"
        if kind == "test":
            self._make_test(chance)
        elif kind == "not":
            inner = Expression(chance, depth - 1)
            self.text, self.holds = f"not ({inner.text})", lambda row: not inner.holds(row)
        else:
            left, right = Expression(chance, depth - 1), Expression(chance, depth - 1)
            self.text = f"({left.text}) {kind} ({right.text})"
            self.holds = (lambda row: left.holds(row) and right.holds(row)) if kind == "and" else (lambda row: left.holds(row) or right.holds(row))

    def _make_test(self, chance):
        column = chance.choice(["user", "state", "transport", "protocol", "groups", "queued", "address"])
        sign = chance.choice(list(COMPARISONS) + ["~"])
        if column in ("groups", "queued"):
            sign = "<=" if sign == "~" else sign
            value = chance.choice([0, 1, 2, 3, 100, 2000, 4096])
            text = f"{value // 1024}KiB" if column in SIZES and value and value % 1024 == 0 else str(value)
        elif sign == "~":
            value = chance.choice(["*", "a*", "*poll", "127.*.0.1", "web**", "??", "u:*", "u:**"])
            text = f"'{value}'"
        else:
            value = chance.choice(["", "ann", "bob", "u:1", "open", "parked", "websocket", "sse", "longpoll", "json", "it's", "a b"])
            text = '"' + value + '"'
        self.text = f"{column}{sign}{text}" if chance.random() < 0.5 else f"{column} {sign} {text}"
        self.holds = ((lambda row: matches(value, row[column])) if sign == "~" else (lambda row: COMPARISONS[sign](row[column], value)))


def crowd(daemon, stack, chance, count):
    """Clients of every kind, with users and groups of their own, some of whom are owed something."""
    users = ["", "ann", "bob", "u:1", "u:2.x", "it's", "a b"]
    for number in range(count):
        query = {"user": chance.choice(users) or None, "group": [f"g{i}" for i in range(chance.randrange(4))] or None}
        kind = chance.choice(["websocket", "msgpack", "sse", "poll", "parked"])
        if kind == "poll":
            stack.enter_context(Poller(daemon.port, wait=0, **query))
        elif kind == "sse":
            stack.enter_context(Sse(daemon.port, **query))
        else:
            client = stack.enter_context(WebSocket(daemon.port, "msgpack" if kind == "msgpack" else None, answers_pings=False, **query))
            if kind == "parked":
                client.drop()
        if number % 10 == 0:
            daemon.publish("n", "x" * chance.randrange(1000), group="g0")


class OfACrowd(DaemonTest):
    options = {"connection.claimed-users": "true", "connection.keep-alive": "1h", "connection.timeout": "2h"}
    workers = 3

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack = contextlib.ExitStack()
        cls.chance = random.Random(7)
        crowd(cls.daemon, cls.stack, cls.chance, 120)
        # Nothing more comes or goes: what is owed stays owed, as nobody acknowledges.
        wait_until(lambda: sum(row["state"] == "parked" for row in cls.daemon.connections()) > 10, "those without a transport")
        wait_until(lambda: cls._settled() == cls._settled(), "nothing to change any more")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()
        super().tearDownClass()

    @classmethod
    def _settled(cls):
        return [{key: value for key, value in row.items() if key != "age"} for row in cls.daemon.connections()]

    def pages(self, command, **data):
        """All rows, page by page."""
        rows, cursor = [], None
        while True:
            page = self.daemon.admin(command, **data, **({"cursor": cursor} if cursor else {}))
            rows += page["rows"]
            cursor = page.get("cursor")
            if not cursor:
                return rows

    def test_filters_say_the_same_as_here(self):
        rows = self._settled()
        used = 0
        for _ in range(500):
            expression = Expression(self.chance, 3)
            if len(expression.text) > 1024:
                continue
            expected = sorted(row["id"] for row in rows if expression.holds(row))
            got = self.pages("list.connections", filter=expression.text, columns="id", limit=self.chance.choice([1000, 50, 7]))
            self.assertEqual(sorted(row[0] for row in got), expected, expression.text)
            used += 0 < len(expected) < len(rows)
        self.assertGreater(used, 80)

    def test_the_first_by_any_order_are_the_same_as_here(self):
        rows = self._settled()
        for _ in range(100):
            keys = [(self.chance.choice(COLUMNS[:-1]), self.chance.random() < 0.5) for _ in range(self.chance.randrange(1, 4))]
            keys.append(("id", False))      # so that no two are alike
            limit = self.chance.choice([1, 3, 10, 119, 120, 5000])
            ordered = list(rows)
            for column, is_descending in reversed(keys):
                ordered.sort(key=lambda row, column=column: row[column].encode() if isinstance(row[column], str) else row[column],
                             reverse=is_descending)
            text = ",".join(("-" if is_descending else "") + column for column, is_descending in keys)
            page = self.daemon.admin("list.connections", sort=text, limit=limit)
            self.assertEqual([row[:COLUMNS.index("age")] for row in page["rows"]], [list(row.values()) for row in ordered[:limit]], text)
            self.assertEqual((page["matched"], "cursor" in page), (len(rows), False))

    def test_only_the_columns_that_were_asked_for_are_sent(self):
        rows = {row["id"]: row for row in self._settled()}
        for row in self.pages("list.connections", columns="queued,id,user"):
            self.assertEqual(row, [rows[row[1]]["queued"], row[1], rows[row[1]]["user"]])
        page = self.daemon.admin("list.connections", columns="user", filter="queued>0", sort="-queued,id", limit=5)
        expected = sorted((row for row in rows.values() if row["queued"]), key=lambda row: (-row["queued"], row["id"]))
        self.assertEqual([row[0] for row in page["rows"]], [row["user"] for row in expected[:5]])
        self.assertEqual(page["matched"], len(expected))

    def test_every_listing_takes_them(self):
        members = {name: count for name, count, _ in self.pages("list.groups")}
        self.assertEqual(self.pages("list.groups", filter="members>=30", columns="group", limit=1),
                         self.pages("list.groups", filter="members>=30", columns="group"))
        self.assertEqual({name for name, in self.pages("list.groups", filter="members>=30", columns="group")},
                         {name for name, count in members.items() if count >= 30})
        (largest,) = self.daemon.admin("list.groups", sort="-members", limit=1)["rows"]
        self.assertEqual(largest[1], max(members.values()))
        self.assertEqual(self.daemon.admin("list.users", sort="-user", columns="user", filter="user~u:**")["rows"], [["u:2.x"], ["u:1"]])
        in_group = self.pages("show.group", group="g0", filter="user=ann")
        self.assertEqual({row[0] for row in in_group}, {row[0] for row in self.pages("list.connections", group="g0", filter="user=ann")})
        self.assertTrue(in_group)
        of_user = self.daemon.admin("show.user", user="ann", sort="transport,id", columns="transport,id")["rows"]
        self.assertEqual(of_user, sorted(of_user))
        self.assertEqual(len(of_user), len(self.pages("show.user", user="ann")))

    def test_what_is_wrong_is_told(self):
        table = [({"filter": "frogs=1"}, 'byte 1 (frogs=1): there is no such column; there are: id user'), ({"filter": ""}, "ends too early"),
                 ({"filter": "user=ann or queued>lots"}, "byte 20 (lots): a size is expected"), ({"sort": "frogs"}, 'no column "frogs"'),
                 ({"columns": "id,,user"}, 'no column ""'), ({"sort": "user", "cursor": "0:1"}, "one page"), ({"filter": 1}, "must be a string"),
                 ({"filter": "user=" + "x" * 1020}, "1024 bytes"), ({"limit": "x"}, "whole number")]
        for data, part in table:
            with self.subTest(data), self.assertRaises(AdminError) as caught:
                self.daemon.admin("list.connections", **data)
            self.assertIn(part, caught.exception.args[1])
        result = self.daemon.rtcctl("list", "connections", "--filter", "queued>x", check=False)
        self.assertEqual((result.returncode, result.stdout), (65, ""))
        self.assertIn("rtcctl: the filter, at byte 8 (x): a size is expected", result.stderr)

    def test_rtcctl_prints_what_is_asked_for_in_every_form(self):
        expected = sorted(row["id"] for row in self._settled() if row["transport"] == "sse")
        lines = self.daemon.rtcctl("list", "connections", "--filter", "transport=sse", "--columns", "id,queued").stdout.splitlines()
        self.assertEqual(sorted(line.split("\t")[0] for line in lines), expected)
        self.assertTrue(all(re.fullmatch(r"[0-9a-f-]{36}\t\d+", line) for line in lines))
        rows = [json.loads(line) for line in
                self.daemon.rtcctl("list", "connections", "--sort", "id", "--filter", "transport=sse", "--columns", "transport,id", "-o",
                                   "ndjson").stdout.splitlines()]
        self.assertEqual(rows, [{"transport": "sse", "id": id} for id in expected])
        top = self.daemon.rtcctl("list", "connections", "--sort", "-queued", "--limit", "3", "-o", "table", "--columns", "queued,user")
        self.assertEqual(len(top.stdout.splitlines()), 4)
        self.assertEqual(top.stderr, "These are the first 3 of 120; --limit shows more.\n")
        every = self.daemon.rtcctl("list", "connections", "--sort", "-queued", "--columns", "id")
        self.assertEqual((len(every.stdout.splitlines()), every.stderr), (120, ""))
        some = self.daemon.rtcctl("list", "connections", "--filter", "id!=x", "--limit", "7")
        self.assertEqual(len(some.stdout.splitlines()), 7)
        self.assertIn("--cursor", some.stderr)

    def test_on_a_terminal_they_are_a_table(self):
        leader, follower = pty.openpty()
        child = subprocess.Popen([os.path.join(BUILD, "cli/rtcctl"), "--socket", self.daemon.admin_path, "list", "connections", "--filter",
                                  "queued>0", "--sort", "-queued", "--limit", "2", "--columns", "user,queued,age"], stdout=follower,
                                 stderr=subprocess.DEVNULL)
        os.close(follower)
        text = b""
        with contextlib.suppress(OSError):
            while piece := os.read(leader, 4096):
                text += piece
        os.close(leader)
        self.assertEqual(child.wait(20), 0)
        lines = text.decode().splitlines()
        self.assertEqual(lines[0].split(), ["USER", "QUEUED", "AGE"])
        self.assertRegex(lines[1], r"KiB +[\d.]+m?s$")
        self.assertEqual(len(lines), 3)

    def test_columns_are_completed(self):
        script = os.path.join(self.daemon.directory.name, "completion")
        with open(script, "w", encoding="utf-8") as file:
            file.write(self.daemon.rtcctl("completion", "bash").stdout)

        def complete(*words):
            listed = " ".join(f"'{word}'" for word in words)
            code = f"source {script}; COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _rtcctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
            return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()

        self.assertEqual(complete("rtcctl", "list", "connections", "--sort", "qu"), ["queued"])
        self.assertEqual(complete("rtcctl", "list", "connections", "--sort", "user,-a"), ["user,-address", "user,-age"])
        self.assertEqual(complete("rtcctl", "list", "groups", "--columns", ""), ["group", "members", "published"])
        self.assertEqual(complete("rtcctl", "list", "groups", "--filter", "m"), ["members"])
        self.assertIn("--filter", complete("rtcctl", "list", "groups", "--f"))
        self.assertIn("connections", complete("rtcctl", "list", ""))
        self.assertIn("list", complete("rtcctl", "li"))


class WhileTheyComeAndGo(unittest.TestCase):
    def test_what_stays_is_listed_once_and_the_rest_does_no_harm(self):
        with Daemon({"connection.claimed-users": "true"}, workers=3) as daemon, contextlib.ExitStack() as stack:
            staying = {stack.enter_context(Sse(daemon.port, user="stays", group="g")).id for _ in range(40)}
            over = threading.Event()

            def come_and_go(number):
                while not over.is_set():
                    with WebSocket(daemon.port, user=f"goes{number}", group=["g", f"own{number}"]) as client:
                        client.close()

            threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            try:
                for limit in (3, 7, 1000) * 10:
                    ids, cursor = [], None
                    while True:
                        page = daemon.admin("list.connections", filter="user~s* and state=open", columns="id", limit=limit,
                                            **({"cursor": cursor} if cursor else {}))
                        ids += [row[0] for row in page["rows"]]
                        cursor = page.get("cursor")
                        if not cursor:
                            break
                    self.assertEqual((len(ids), set(ids)), (len(staying), staying))
                    page = daemon.admin("show.group", group="g", sort="-user,id", columns="id", limit=len(staying))
                    self.assertEqual([row[0] for row in page["rows"]], sorted(staying))
                    daemon.admin("list.groups", sort="-members", limit=2)
                    daemon.admin("list.users", filter="user~goes*")
            finally:
                over.set()
                for thread in threads:
                    thread.join()



class ThatEnded(unittest.TestCase):
    NAMES = "id user address transport protocol reason detail lived sent received closed".split()
    OPTIONS = {"connection.claimed-users": "true", "connection.open-timeout": "100ms", "resume.window": "100ms"}

    def rows(self, daemon, **data):
        return [dict(zip(self.NAMES, row)) for row in daemon.admin("list.closed", **data)["rows"]]

    def wait_for(self, daemon, id):
        (row,) = wait_until(lambda: self.rows(daemon, filter=f"id={id}"), f"{id} among those that ended")
        return row

    def test_each_stands_there_with_its_reason(self):
        with Daemon({**self.OPTIONS, "queue.envelopes": 16, "queue.bytes": "1MiB"}) as daemon:
            with WebSocket(daemon.port, user="ann", group="g") as ws:
                daemon.publish("n", 1, group="g")
                ws.expect("n")
                ws.send("chat", to={"group": "g"})
                ws.expect("chat")
                ws.close()
            row = self.wait_for(daemon, ws.id)
            self.assertEqual({name: row[name] for name in self.NAMES[1:7] + ["sent", "received"]},
                             {"user": "ann", "address": row["address"], "transport": "websocket", "protocol": "json", "reason": "client-closed",
                              "detail": "", "sent": 2, "received": 1})
            self.assertRegex(row["address"], r"^127\.0\.0\.1")

            with Sse(daemon.port) as sse:
                daemon.admin("disconnect", connection=sse.id, reason="off you go")
                self.assertEqual([self.wait_for(daemon, sse.id)[name] for name in ("transport", "reason", "detail")],
                                 ["sse", "disconnected", "off you go"])
            with WebSocket(daemon.port, "msgpack") as lost:
                lost.drop()
            self.assertEqual([self.wait_for(daemon, lost.id)[name] for name in ("protocol", "reason")], ["msgpack", "resume-expired"])
            unopened = negotiate(daemon.port)["connectionId"]
            self.assertEqual([self.wait_for(daemon, unopened)[name] for name in ("transport", "reason", "sent")], ["", "never-opened", 0])
            with WebSocket(daemon.port, user="slow") as slow:
                while not self.rows(daemon, filter="reason=slow-consumer"):
                    try:
                        daemon.publish("n", "x" * 100000, connection=slow.id)
                    except AdminError as error:
                        self.assertEqual(error.code, "not-found")
                        break
                self.assertEqual([row["user"] for row in self.rows(daemon, filter="reason=slow-consumer")], ["slow"])
            self.assertEqual(self.rows(daemon, filter="reason~*-consumer or user=ann", sort="user", limit=1)[0]["id"], ws.id)
            ages = [row["closed"] for row in self.rows(daemon)]
            self.assertEqual(ages, sorted(ages))
            listed = daemon.rtcctl("list", "closed", "--filter", "user=ann", "--columns", "id,reason").stdout
            self.assertEqual(listed, f"{ws.id}\tclient-closed\n")

    def test_no_more_than_may_be_are_kept_and_none_for_longer(self):
        with Daemon({**self.OPTIONS, "closed.count": 4}, workers=1) as daemon:
            ids = []
            for _ in range(9):
                with WebSocket(daemon.port) as ws:
                    ws.close()
                ids.append(ws.id)
                self.wait_for(daemon, ws.id)
            self.assertEqual([row["id"] for row in self.rows(daemon, sort="-closed")], ids[5:])
        with Daemon({**self.OPTIONS, "closed.keep": "1s"}) as daemon, WebSocket(daemon.port) as ws:
            ws.close()
            wait_until(lambda: ws.id not in {row["id"] for row in self.rows(daemon)}, "it to be forgotten")
        with Daemon({**self.OPTIONS, "closed.count": 0}) as daemon, WebSocket(daemon.port) as ws:
            ws.close()
            wait_until(lambda: not daemon.connections(), "it to be gone")
            self.assertEqual(self.rows(daemon), [])


if __name__ == "__main__":
    unittest.main()
