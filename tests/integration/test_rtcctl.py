"""rtcctl and the admin socket against the real daemon: commands, output forms, exit codes."""

import json
import os
import select
import signal
import socket
import subprocess
import threading
import unittest

import msgpack

from client import Sse, WebSocket
from harness import BUILD, Daemon, DaemonTest, wait_until


class Commands(DaemonTest):
    options = {"connection.claimed-users": "true"}

    def setUp(self):
        # What an earlier test left parked would stand in this one's lists.
        for connection in self.daemon.connections():
            self.daemon.admin("disconnect", connection=connection["id"])

    def run_it(self, *arguments, **more):
        return self.daemon.rtcctl(*arguments, check=False, **more)

    def test_publish_reaches_a_subscriber_and_says_how_many(self):
        with Sse(self.daemon.port, group="news") as sse:
            self.assertEqual(self.run_it("publish", "--group", "news", "headline", '{"title": "hello"}').stdout, "recipients\t1\n")
            self.assertEqual(sse.expect("headline")["data"], {"title": "hello"})
            self.run_it("publish", "--group=news", "x", "-", input='["from stdin"]\n')
            self.assertEqual(sse.expect("x")["data"], ["from stdin"])
            path = os.path.join(self.daemon.directory.name, "data.msgpack")
            with open(path, "wb") as file:
                file.write(msgpack.packb({"b": b"\x01\x02", "n": 2**63}))
            self.run_it("publish", "--group", "news", "--msgpack", "bin", "@" + path)
            self.assertEqual(sse.expect("bin")["data"], {"b": {"$binary": "AQI="}, "n": 2**63})
            self.run_it("publish", "--connection", sse.id, "direct")
            self.assertEqual(sse.expect("direct"), {"eventName": "direct", "data": None})
            self.run_it("publish", "--all", "all", "1")
            self.assertEqual(sse.expect("all")["data"], 1)

    def test_a_stream_publishes_each_line_as_it_comes(self):
        with Sse(self.daemon.port, group="s") as sse:
            child = subprocess.Popen([os.path.join(BUILD, "cli/rtcctl"), "--socket", self.daemon.admin_path, "publish", "--group",
                                      "s", "--stream"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for number in range(3):
                child.stdin.write('{"eventName":"n","data":%d}\n' % number)
                child.stdin.flush()
                self.assertEqual(sse.expect("n")["data"], number)
            child.stdin.write("no json\n" + '{"eventName":"rtc.no"}\n' + '{"eventName":"n","data":3}')
            _, errors = child.communicate(timeout=20)
            self.assertEqual(sse.expect("n")["data"], 3)
            self.assertEqual(child.returncode, 65)
            self.assertIn("line 4:", errors)
            self.assertIn("line 5:", errors)
            self.assertIn("published 4, refused 2", errors)

    def stream(self, *lines, target=()):
        return self.run_it("publish", "--stream", *target, input="".join(line + "\n" for line in lines))

    def test_a_line_with_its_own_target_goes_there_and_others_where_the_command_says(self):
        with WebSocket(self.daemon.port, user="ann", group="a") as ann, WebSocket(self.daemon.port, group="b") as other:
            result = self.stream('{"eventName":"n","data":0,"to":{"group":"a"}}', '{"eventName":"n","data":1}',
                                 '{"to":{"user":"ann"},"eventName":"n","data":2}', '{"eventName":"n","to":null,"data":3}',
                                 '{"eventName":"n","data":4,"to":{"connection":"%s"}}' % other.id,
                                 '{"eventName":"n","data":5,"to":{"all":true}}', target=("--group", "b"))
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual([ann.expect("n")["data"] for _ in range(3)], [0, 2, 5])
            self.assertEqual([other.expect("n")["data"] for _ in range(4)], [1, 3, 4, 5])
            self.assertEqual(self.stream('{"eventName":"n","data":6,"to":{"group":"a"}}').returncode, 0)
            self.assertEqual(ann.expect("n"), {"eventName": "n", "data": 6, "group": "a"})

    def test_a_line_that_is_too_long_costs_itself_and_no_other(self):
        with WebSocket(self.daemon.port, group="b") as ws:
            for size in (1024 * 1024 - 24, 1024 * 1024 + 1, 3 * 1024 * 1024):
                long = '{"eventName":"n","data":"%s"}' % ("x" * (size - 27))
                result = self.stream('{"eventName":"n","data":1}', long, '{"eventName":"n","data":3}', long, target=("--group", "b"))
                self.assertEqual(result.returncode, 65)
                self.assertEqual([line.partition(" is ")[0] for line in result.stderr.splitlines()],
                                 ["rtcctl: line 2: it", "rtcctl: line 4: it", "published 2, refused 2"])
                self.assertEqual([ws.expect("n")["data"] for _ in range(2)], [1, 3])

    def test_what_is_wrong_with_a_line_is_told_with_its_number(self):
        unknown = "00000000-0000-4000-8000-000000000000"
        table = [
            ("no json", "object"), ('{"data":1,"to":{"all":true}}', "eventName is missing"), ('{"eventName":"n"}', "to whom"),
            ('{"eventName":"n","to":{"group":1}}', "name in to"), ('{"eventName":"n","to":{"group":"a","all":true}}', "not several"),
            ('{"eventName":"n","to":{}}', "must name"), ('{"eventName":"n","to":{"group":"\\n"}}', "control"),
            ('{"eventName":"rtc.n","to":{"all":true}}', "rtc."), ('{"eventName":"n","to":{"all":true}} 1', "more text"),
            ('{"eventName":"n","to":{"connection":"%s"}}' % unknown, "no such connection"),
        ]
        good = '{"eventName":"n","to":{"group":"nobody"}}'
        result = self.stream(good, "", *(line for line, _ in table), good)
        self.assertEqual(result.returncode, 65)
        complaints = sorted(result.stderr.splitlines()[:-1], key=lambda line: int(line.split()[2].rstrip(":")))
        self.assertEqual(len(complaints), len(table), result.stderr)
        for number, (_, part) in enumerate(table):
            self.assertRegex(complaints[number], f"^rtcctl: line {number + 3}: .*{part}")
        self.assertEqual(result.stderr.splitlines()[-1], f"published 2, refused {len(table)}")
        self.assertEqual(self.run_it("publish", "--stream", "--group", "g", "--all", input="").returncode, 64)

    def test_names_written_with_escapes_are_the_same_names(self):
        def escaped(text):
            return "".join("\\u%04x" % ord(letter) for letter in text)
        with WebSocket(self.daemon.port, user="ann", group="news") as ws, socket.socket(socket.AF_UNIX) as link:
            link.connect(self.daemon.admin_path)
            reader = link.makefile("r", encoding="utf-8")
            def ask(command, **data):
                pairs = ",".join(f'"{escaped(key)}":"{escaped(value)}"' for key, value in data.items())
                link.sendall(f'{{"eventName":"{escaped(command)}","id":1,"data":{{{pairs}}}}}\n'.encode())
                return json.loads(reader.readline())["data"]
            self.assertEqual(ask("publish", group="news", event="headline", data="hello"), {"recipients": 1})
            self.assertEqual(ws.expect("headline"), {"eventName": "headline", "data": "hello", "group": "news"})
            self.assertEqual([row[0] for row in ask("list.connections", group="news", user="ann", limit="5")["rows"]], [ws.id])
            self.assertEqual([row[0] for row in ask("show.group", group="news")["rows"]], [ws.id])
            self.assertEqual(ask("join", connection=ws.id, group="ops"), {"joined": 1})
            self.assertEqual(ask("disconnect", user="ann", reason="enough"), {"disconnected": 1})
            self.assertEqual(ws.closing()[1]["reason"], "enough")
            reader.close()

    def test_lists_in_every_form(self):
        with WebSocket(self.daemon.port, "msgpack", user="ann", group=["a", "b"]) as ws:
            fields = self.run_it("list", "connections").stdout.strip().split("\t")
            self.assertEqual(fields[:5], [ws.id, "ann", "open", "websocket", "msgpack"])
            self.assertEqual(self.run_it("list", "connections", "--columns", "user,groups").stdout, "ann\t2\n")
            rows = json.loads(self.run_it("list", "connections", "-o", "json").stdout)
            self.assertEqual((rows[0]["id"], rows[0]["groups"]), (ws.id, 2))
            self.assertEqual(json.loads(self.run_it("-o", "ndjson", "show", "user", "ann").stdout)["id"], ws.id)
            table = self.run_it("list", "groups", "-o", "table").stdout.splitlines()
            self.assertEqual((table[0].split(), len(table)), (["GROUP", "MEMBERS", "PUBLISHED"], 3))
            self.assertRegex(self.run_it("list", "users").stdout, r"^ann\t1\t[0-9]+\n$")
            self.assertIn(f"id\t{ws.id}\n", self.run_it("show", "connection", ws.id).stdout)
            self.assertEqual(self.run_it("show", "group", "a", "--columns", "id").stdout.strip(), ws.id)

    def test_long_lists_come_in_pages_and_each_once(self):
        clients = [Sse(self.daemon.port, group=f"page{i}") for i in range(30)]
        ids = set()
        cursor = None
        while True:
            page = self.daemon.admin("list.connections", limit=7, **({"cursor": cursor} if cursor else {}))
            self.assertLessEqual(len(page["rows"]), 7)
            for row in page["rows"]:
                self.assertNotIn(row[0], ids)
                ids.add(row[0])
            cursor = page.get("cursor")
            if not cursor:
                break
        self.assertEqual(ids, {c.id for c in clients})
        limited = self.run_it("list", "groups", "--limit", "10")
        self.assertEqual(len(limited.stdout.splitlines()), 10)
        self.assertIn("--cursor", limited.stderr)
        for client in clients:
            client.close()

    def test_join_leave_disconnect(self):
        with WebSocket(self.daemon.port) as ws:
            self.assertEqual(self.run_it("join", ws.id, "ops").returncode, 0)
            self.assertEqual(self.daemon.publish("n", group="ops"), 1)
            ws.expect("n")
            self.assertEqual(self.run_it("leave", ws.id, "ops").returncode, 0)
            self.assertEqual(ws.expect("rtc.left"), {"eventName": "rtc.left", "data": {"group": "ops", "connectionId": ws.id, "userId": None}})
            self.assertEqual(self.daemon.counter("memberships_ended"), 0)
            self.assertEqual(self.run_it("leave", ws.id, "ops").returncode, 68)
            self.assertEqual(self.run_it("disconnect", ws.id, "--reason", "maintenance", "--reconnect").returncode, 0)
            self.assertEqual(ws.closing(), (1000, {"reason": "maintenance", "reconnect": True}))

    def test_listen_follows_clients_and_runs_a_command(self):
        command = [os.path.join(BUILD, "cli/rtcctl"), "--socket", self.daemon.admin_path, "listen"]
        all_of_it = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        out = os.path.join(self.daemon.directory.name, "out")
        some = subprocess.Popen(command + ["--event", "or?er.*", "--exec", f"cat >> {out}; echo $RTCD_EVENT >> {out}"])
        self.assertEqual(json.loads(all_of_it.stdout.readline())["eventName"], "rtc.epoch")
        with WebSocket(self.daemon.port) as ws:
            def placed():
                # Who only listens is no handler.
                self.assertEqual(ws.call("order.placed", {"id": 1})["error"]["code"], "no-handler")
                return os.path.exists(out) and "order.placed" in open(out, encoding="utf-8").read().splitlines()
            wait_until(placed, "the command to run")
            ws.close()
        names = []
        while "rtc.disconnected" not in names or "order.placed" not in names:
            envelope = json.loads(all_of_it.stdout.readline())
            names.append(envelope["eventName"])
            if envelope["eventName"] == "order.placed":
                self.assertEqual((envelope["data"], envelope["from"]["connectionId"]), ({"id": 1}, ws.id))
        for child in (all_of_it, some):
            child.send_signal(signal.SIGTERM)
            self.assertEqual(child.wait(20), 0)
        all_of_it.stdout.close()

    def test_status_ping_version_help(self):
        self.assertIn("counters.messages_published\t", self.run_it("status").stdout)
        self.assertEqual(json.loads(self.run_it("ping", "-o", "json").stdout)["workers"], 2)
        self.assertIn("rtcctl", self.run_it("version").stdout)
        self.assertIn("list connections", self.run_it("help").stdout)
        self.assertIn("--except-self", self.run_it("help", "publish").stdout)
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("connections", self.run_it("completion", shell).stdout)

    def in_shell(self, words):
        program = f"{os.path.join(BUILD, 'cli/rtcctl')} --socket {self.daemon.admin_path}"
        return subprocess.run(["bash", "--norc", "-c", f"{program} {words}"], capture_output=True, text=True)

    def test_output_that_goes_nowhere_is_told_but_where_a_pipe_has_no_reader(self):
        for words in ("status", "show config", "help", "completion bash"):
            for where in (">/dev/full", ">&-"):
                done = self.in_shell(f"{words} {where}")
                self.assertEqual((done.returncode, done.stderr), (74, "rtcctl: standard output cannot be written\n"), (words, where))
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            done = subprocess.run([os.path.join(BUILD, "cli/rtcctl"), "--socket", self.daemon.admin_path, "show", "config"], stdout=pipe,
                                  stderr=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stderr), (74, b""))

    def test_a_closed_standard_input_is_not_the_admin_socket(self):
        done = self.in_shell("publish --group g n - <&-")
        self.assertEqual((done.returncode, done.stderr), (74, "rtcctl: cannot read standard input: Bad file descriptor\n"))

    def test_completion_goes_on_behind_options(self):
        script = self.run_it("completion", "bash").stdout
        for words, wanted in (("list us", "users"), ("-o json list us", "users"), ("--no-header --socket /tmp/x.sock wait gr", "group"),
                              ("--socket /tmp/x.sock pres", "presence"), ("-o nd", "ndjson"), ("list users --sort -gen", "-generation")):
            with self.subTest(words):
                ask = script + 'COMP_WORDS=(rtcctl "$@"); COMP_CWORD=$#; _rtcctl; echo "${COMPREPLY[*]}"'
                done = subprocess.run(["bash", "--norc", "-c", ask, "bash", *words.split(" ")], capture_output=True, text=True, check=True)
                self.assertEqual((done.stdout, done.stderr), (wanted + "\n", ""))

    def test_mistakes_are_told_and_have_their_exit_codes(self):
        unknown = "00000000-0000-4000-8000-000000000000"
        table = [
            (("lst", "connections"), 64, 'did you mean "list connections"'), (("publish", "x"), 64, "--group"),
            (("publish", "--group", "g"), 64, "EVENT"), (("publish", "--group", "g", "x", "{bad"), 65, "byte 1"),
            (("publish", "--group", "g", "--user", "u", "x"), 64, "once"), (("publish", "--group", "g", "x", "@/nowhere"), 66, "/nowhere"),
            (("publish", "--group", "g", "rtc.x"), 65, "rtc."), (("show", "connection", unknown), 68, "no such connection"),
            (("show", "connection", "x"), 65, "id looks like"), (("list", "connections", "--colums", "x"), 64, "--colums"),
            (("list", "connections", "--columns", "x"), 64, "there are: id user"), (("disconnect",), 65, "say which"),
            (("join",), 64, "GROUP is missing"), (("join", unknown), 65, "say which"), (("show", "group", "nobody"), 68, "group"),
            (("list",), 64, "there are: list connections, list groups"), (("help", "show"), 64, "there are: show connection"),
            (("explain", "everything"), 64, "there are: explain token"), (("pubish",), 64, 'did you mean "publish"'),
            (("completions", "bash"), 64, '"completions bash"'),
            (("list", "connections", "--columns", ""), 64, "there are: id user"), (("list", "groups", "-o", "xml"), 64, "xml"), ((), 64, ""),
        ]
        for arguments, status, part in table:
            with self.subTest(arguments):
                result = self.run_it(*arguments)
                self.assertEqual(result.returncode, status, result.stderr)
                self.assertIn(part, result.stderr)
        away = subprocess.run([os.path.join(BUILD, "cli/rtcctl"), "--socket", "/nowhere/x", "ping"], capture_output=True, text=True)
        self.assertEqual(away.returncode, 69)
        self.assertIn("systemctl start rtcd", away.stderr)

    def test_bad_lines_cost_a_line_and_too_long_ones_the_admin_connection(self):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(self.daemon.admin_path)
            reader = link.makefile("rb")
            for line, code in ((b"nonsense", "bad-envelope"), (b'{"eventName":"no.such"}', "unsupported"),
                               (b'{"eventName":"list.groups","data":{"limit":"x"},"id":1}', "bad-envelope"),
                               (b'{"eventName":"list.groups","data":{"frogs":1},"id":1}', "bad-envelope"), (b"\xff\xfe", "bad-envelope")):
                link.sendall(line + b"\n")
                reply = json.loads(reader.readline())
                self.assertEqual((reply.get("error") or reply["data"])["code"], code, line)
            link.sendall(b'{"eventName":"ping","id":5}\n')
            self.assertEqual(json.loads(reader.readline())["data"]["workers"], 2)
            try:
                link.sendall(b"x" * (2 * 1024 * 1024))
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.assertEqual(json.loads(reader.readline())["data"]["code"], "too-large")
            reader.close()
        self.assertEqual(self.daemon.admin("ping")["workers"], 2)

    def test_the_socket_is_closed_to_others(self):
        self.assertEqual(os.stat(self.daemon.admin_path).st_mode & 0o777, 0o660)
        child = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                                os.path.join(BUILD, "cli/rtcctl"), "--socket", self.daemon.admin_path, "ping"],
                               capture_output=True, text=True)
        self.assertEqual(child.returncode, 77, child.stderr)


class Answers(DaemonTest):
    """What is answered to a client that sends much and reads late."""

    options = {"admin.queue-bytes": "64KiB"}
    count = 100000

    def setUp(self):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.connect(self.daemon.admin_path)
        self.requests = b"".join(b'{"eventName":"version","id":%d}\n' % number for number in range(1, self.count + 1))

    def tearDown(self):
        self.link.close()

    def send_while_the_daemon_reads(self):
        sent = 0
        while sent < len(self.requests) and select.select([], [self.link], [], 1)[1]:
            sent += self.link.send(self.requests[sent:sent + 65536], socket.MSG_DONTWAIT)
        return sent

    def read_all(self):
        with self.link.makefile("rb") as reader:
            return [json.loads(line)["id"] for line in reader]

    def test_who_reads_no_answers_is_not_read_and_loses_none(self):
        sent = self.send_while_the_daemon_reads()
        self.assertLess(sent, len(self.requests) / 2)
        rest = threading.Thread(target=lambda: (self.link.sendall(self.requests[sent:]), self.link.shutdown(socket.SHUT_WR)))
        rest.start()
        self.assertEqual(self.read_all(), list(range(1, self.count + 1)))
        rest.join()

    def test_who_sends_no_more_still_gets_every_answer(self):
        self.requests = self.requests[:self.requests.index(b'"id":2001}')].rpartition(b"\n")[0] + b"\n"
        self.assertEqual(self.send_while_the_daemon_reads(), len(self.requests))
        self.link.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read_all(), list(range(1, 2001)))

    def test_a_whole_line_that_is_too_long_is_not_taken(self):
        with Daemon({"admin.request-bytes": "1KiB"}) as daemon:
            long = '{"eventName":"n","data":"%s"}' % ("x" * 1200)
            result = daemon.rtcctl("publish", "--group", "g", "--stream", input='{"eventName":"n"}\n' + long, check=False)
            self.assertEqual(result.returncode, 69)
            self.assertIn("a line may have 1024 bytes (admin.request-bytes)", result.stderr)

    def test_who_leaves_without_reading_is_forgotten(self):
        self.send_while_the_daemon_reads()
        descriptors = f"/proc/{self.daemon.process.pid}/fd"
        before = len(os.listdir(descriptors))
        self.link.close()
        wait_until(lambda: len(os.listdir(descriptors)) < before, "the daemon to close the connection")


class Busy(unittest.TestCase):
    def test_a_stream_waits_for_a_full_mailbox_and_stays_in_order(self):
        count = 3000
        with Daemon({"limits.mailbox": 64, "limits.fanout-slice": 16, "queue.envelopes": 100000, "queue.bytes": "64MiB"}) as daemon:
            members = [WebSocket(daemon.port, group="g") for _ in range(40)]
            lines = "".join('{"eventName":"n","data":%d}\n' % number for number in range(count))
            self.assertEqual(daemon.rtcctl("publish", "--group", "g", "--stream", input=lines).stderr, "")
            for ws in members:
                self.assertEqual([ws.expect("n")["data"] for _ in range(count)], list(range(count)))
                ws.drop()
            self.assertGreater(daemon.counter("mailbox_full"), 0)


class Peers(unittest.TestCase):
    def test_a_peer_that_the_file_lets_in_is_still_asked_who_it_is(self):
        with Daemon({"admin.mode": "0666"}) as daemon:
            os.chmod(daemon.directory.name, 0o755)
            script = ("import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(1000).decode())\n")
            child = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c",
                                    script, daemon.admin_path], capture_output=True, text=True, check=True)
            self.assertEqual(json.loads(child.stdout)["data"]["code"], "forbidden")
            self.assertIn("refused: pid", daemon.log())


if __name__ == "__main__":
    unittest.main()
