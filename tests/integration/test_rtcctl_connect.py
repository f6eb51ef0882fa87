"""rtcctl connect: in a pipe and at a terminal, over each transport, and what it says of servers that cannot be reached."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time

from harness import BUILD, PATIENCE_S, Daemon, DaemonTest, free_port, wait_until

RTCCTL = os.path.join(BUILD, "cli", "rtcctl")
TRANSPORTS = [("websocket", "json"), ("websocket", "msgpack"), ("sse", "json"), ("longpoll", "json"), ("longpoll", "msgpack"),
              ("shortpoll", "json")]


class Client:
    """In a pipe: envelopes in and out."""

    def __init__(self, port, *arguments):
        self.child = subprocess.Popen([RTCCTL, "connect", f"http://127.0.0.1:{port}/rtc", *arguments], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def say(self, event, data=None, **headers):
        self.child.stdin.write(json.dumps({"eventName": event, "data": data, **headers}) + "\n")
        self.child.stdin.flush()

    def expect(self, event):
        """The next envelope of that name; others are passed over."""
        while True:
            line = self.child.stdout.readline()
            assert line, f"ended without {event}: {self.child.stderr.read()}"
            envelope = json.loads(line)
            if envelope["eventName"] == event:
                return envelope

    def finish(self):
        """Exit status, the envelopes that came last, standard error."""
        out, errors = self.child.communicate(timeout=PATIENCE_S)
        return self.child.returncode, [json.loads(line) for line in out.splitlines()], errors

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()


class Terminal:
    """A person at a terminal."""

    def __init__(self, port, *arguments):
        self.child, self.master = pty.fork()
        if self.child == 0:
            os.environ["TERM"] = "xterm"
            os.execv(RTCCTL, [RTCCTL, "connect", f"http://127.0.0.1:{port}/rtc", *arguments])
        self.shown = ""

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, pattern):
        """Until that is shown; forgets what came before its end."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = re.search(pattern, self.shown)
            if found:
                self.shown = self.shown[found.end():]
                return found
            assert time.monotonic() < deadline, f"waited in vain for {pattern} in {self.shown!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"ended without {pattern}: {self.shown!r}") from None

    def status(self):
        with contextlib.suppress(OSError):
            while os.read(self.master, 65536):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


class Pipe(DaemonTest):
    options = {"publish.to-group": "anyone", "connection.claimed-users": "true"}

    def test_envelopes_go_in_and_come_out_over_each_transport(self):
        for transport, protocol in TRANSPORTS:
            with self.subTest(transport=transport, protocol=protocol), \
                    Client(self.daemon.port, "--transport", transport, "--protocol", protocol, "--user", "ann", "--group", "news") as client:
                welcome = client.expect("rtc.welcome")["data"]
                self.assertEqual((welcome["transport"], welcome["protocol"], welcome["userId"], welcome["resumed"]),
                                 (transport, protocol, "ann", False))
                client.say("rtc.join", {"group": "lab"}, id=1)
                self.assertEqual(client.expect("rtc.reply")["id"], 1)
                client.say("reading", {"value": [1, 2.5, "\u00e9"]}, to={"group": "lab"})
                self.assertEqual(client.expect("reading"), {"eventName": "reading", "data": {"value": [1, 2.5, "\u00e9"]}, "group": "lab"})
                wait_until(lambda: self.daemon.publish("headline", {"n": 1}, group="news") == 1, "the member of news")
                self.assertEqual(client.expect("headline")["group"], "news")
                client.say("order", None, id=2)
                self.assertEqual(client.expect("rtc.reply")["error"]["code"], "no-handler")
                status, last, errors = client.finish()
                self.assertEqual((status, errors), (0, ""))
                self.assertEqual(last[-1]["eventName"], "rtc.close")
                self.assertEqual(last[-1]["data"]["code"], "stopped")

    def test_input_that_is_over_waits_for_its_replies(self):
        lines = "".join(json.dumps({"eventName": "order", "id": i}) + "\n" for i in range(1, 301))
        result = subprocess.run([RTCCTL, "connect", f"http://127.0.0.1:{self.daemon.port}"], input=lines, capture_output=True, text=True,
                                timeout=PATIENCE_S, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        replies = [json.loads(line) for line in result.stdout.splitlines() if '"rtc.reply"' in line]
        self.assertEqual([reply["id"] for reply in replies], list(range(1, 301)))

    def test_who_comes_back_as_another_connection_is_told_whether_its_groups_lost_something(self):
        config = "groups: [{match: kept, history-envelopes: 10}]\n"
        for transport, protocol in TRANSPORTS:
            with self.subTest(transport=transport, protocol=protocol), tempfile.TemporaryDirectory() as folder, \
                    Daemon({"history.store": "disk", "history.path": folder}, config=config) as daemon, \
                    Client(daemon.port, "--transport", transport, "--protocol", protocol, "--group", "kept") as client:
                client.say("rtc.join", {"group": "plain"}, id=1)
                client.expect("rtc.reply")
                wait_until(lambda: daemon.publish("first", 1, group="kept") == 1, "the member of kept")
                client.expect("first")
                daemon.stop()
                daemon.start()
                daemon.publish("second", 2, group="kept")
                told = [client.expect("rtc.rejoined") for _ in range(2)]
                self.assertEqual({envelope["group"]: envelope["data"]["recovered"] for envelope in told}, {"kept": True, "plain": False})
                client.finish()

    def test_what_wants_no_reply_has_arrived_when_the_input_is_over(self):
        lines = "".join(json.dumps({"eventName": "reading", "data": i, "to": {"group": "lab"}}) + "\n" for i in range(300))
        with Client(self.daemon.port, "--group", "lab") as member:
            wait_until(lambda: self.daemon.publish("first", None, group="lab") == 1, "the member of lab")
            for transport, protocol in TRANSPORTS:
                with self.subTest(transport=transport, protocol=protocol):
                    result = subprocess.run([RTCCTL, "connect", "--transport", transport, "--protocol", protocol,
                                             f"http://127.0.0.1:{self.daemon.port}"], input=lines, capture_output=True, text=True,
                                            timeout=PATIENCE_S, check=False)
                    self.assertEqual((result.returncode, result.stderr), (0, ""))
                    self.assertNotIn("rtc.error", result.stdout)
                    self.assertEqual([member.expect("reading")["data"] for _ in range(300)], list(range(300)))

    def test_a_line_that_is_no_envelope_is_named_and_the_others_go_on(self):
        with Client(self.daemon.port) as client:
            client.child.stdin.write('{"eventName":7}\n')
            client.say("order", None, id=2)
            self.assertEqual(client.expect("rtc.reply")["id"], 2)
            status, _, errors = client.finish()
            self.assertEqual(status, 65)
            self.assertRegex(errors, r"^rtcctl: line 1: .*eventName.*\n$")

    def test_without_input_it_listens_until_it_is_interrupted(self):
        with subprocess.Popen([RTCCTL, "connect", f"http://127.0.0.1:{self.daemon.port}", "--group", "quiet"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            self.assertIn("rtc.welcome", child.stdout.readline())
            wait_until(lambda: self.daemon.publish("headline", 1, group="quiet") == 1, "the member of quiet")
            self.assertEqual(json.loads(child.stdout.readline()), {"eventName": "headline", "data": 1, "group": "quiet"})
            child.send_signal(signal.SIGINT)
            out, errors = child.communicate(timeout=PATIENCE_S)
            self.assertEqual((child.returncode, errors), (0, ""))
            self.assertEqual(json.loads(out)["eventName"], "rtc.close")


class Trouble(DaemonTest):
    def test_a_closed_port_is_said_at_once(self):
        result = subprocess.run([RTCCTL, "connect", f"http://127.0.0.1:{free_port()}/rtc"], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, 69)
        self.assertRegex(result.stderr, "^rtcctl: network: .*refused")

    def test_a_wrong_url_or_transport_is_a_usage_error(self):
        for arguments in (["ftp://x"], ["http://"], ["--transport", "pigeon"], ["--protocol", "xml"]):
            with self.subTest(arguments):
                result = subprocess.run([RTCCTL, "connect", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                        timeout=PATIENCE_S, check=False)
                self.assertEqual(result.returncode, 64, result.stderr)
                self.assertRegex(result.stderr, "^rtcctl: .")

    def test_whom_the_daemon_does_not_let_in_is_told_so(self):
        with Daemon({"connection.anonymous": "false"}) as daemon:
            result = subprocess.run([RTCCTL, "connect", f"http://127.0.0.1:{daemon.port}"], stdin=subprocess.DEVNULL, capture_output=True,
                                    text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual(result.returncode, 77)
            self.assertRegex(result.stderr, "^rtcctl: unauthorized: .")


class Typed(DaemonTest):
    options = {"publish.to-group": "members"}

    def test_a_person_joins_sends_and_sees(self):
        terminal = Terminal(self.daemon.port)
        terminal.wait_for("connected over websocket, json")
        terminal.type("help\n")
        terminal.wait_for("join a group")
        terminal.type("join news\n")
        terminal.wait_for(r'join news: \{"group":"news"')
        terminal.type('group news chat {"text":"hi"}\n')
        terminal.wait_for(r'\d\d:\d\d:\d\d\.\d{3}  chat  \[news\]  \{"text":"hi"\}')
        terminal.type("group other chat 1\n")
        terminal.wait_for("rtc.error.*forbidden")
        terminal.type("send chat hello\n")
        terminal.wait_for("A string needs its quotes")
        terminal.type("invoke order 1\n")
        terminal.wait_for("reply to order: no-handler")
        terminal.type("quit\n")
        self.assertEqual(terminal.status(), 0)

    def test_what_comes_while_one_types_leaves_the_typed_line_whole(self):
        terminal = Terminal(self.daemon.port, "--group", "news")
        terminal.wait_for("connected over")
        wait_until(lambda: self.daemon.publish("first", 1, group="news") == 1, "the member of news")
        terminal.wait_for("first")
        terminal.type("stat")
        terminal.wait_for("stat")
        self.daemon.publish("second", 2, group="news")
        terminal.wait_for(r"second  \[news\]  2")
        terminal.wait_for("> stat")
        terminal.type("\t\n")
        terminal.wait_for("connected over websocket; connection")
        terminal.type("\x04")
        self.assertEqual(terminal.status(), 0)

    def test_what_a_peer_sends_cannot_steer_the_terminal(self):
        terminal = Terminal(self.daemon.port, "--group", "news")
        terminal.wait_for("connected over")
        wait_until(lambda: self.daemon.publish("evil", "\x1b]0;title\x07\x9b31m\x7f", group="news") == 1, "the member of news")
        found = terminal.wait_for(r"evil  \[news\]  (.*?)\r?\n")
        self.assertRegex(found[1], r"^[ -~]+$")
        terminal.type("quit\n")
        self.assertEqual(terminal.status(), 0)

    def test_a_daemon_that_comes_back_is_found_again(self):
        with Daemon() as daemon:
            terminal = Terminal(daemon.port, "--group", "news")
            terminal.wait_for("connected over")
            wait_until(lambda: daemon.publish("first", 1, group="news") == 1, "the member of news")
            daemon.stop()
            terminal.wait_for("the connection was lost")
            daemon.start()
            terminal.wait_for("reconnected with a new connection")
            wait_until(lambda: daemon.publish("second", 2, group="news") == 1, "the member of news")
            terminal.wait_for("second")
            terminal.type("quit\n")
            self.assertEqual(terminal.status(), 0)
