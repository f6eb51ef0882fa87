"""Handlers: who answers what clients send to the server, from the shell and on the admin socket."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import unittest

from client import Poller, Sse, WebSocket, request
from harness import BUILD, AdminError, AdminLink, Daemon, DaemonTest, Program, wait_until
from librtc import Peer

RTCCTL = os.path.join(BUILD, "cli/rtcctl")


@contextlib.contextmanager
def handler(daemon, pattern, command, *more, **options):
    """rtcctl handle, once the daemon knows it."""
    before = len(daemon.admin("list.handlers")["rows"])
    child = subprocess.Popen([RTCCTL, "--socket", daemon.admin_path, "handle", "--event", pattern, "--exec", command, *more],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    try:
        wait_until(lambda: len(daemon.admin("list.handlers")["rows"]) > before, "the handler")
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
        child.stderr.close()
        child.wait()
        wait_until(lambda: len(daemon.admin("list.handlers")["rows"]) == before, "the handler's end")


@contextlib.contextmanager
def rtcctl(daemon, *words, **options):
    """rtcctl, which ends with the test."""
    with subprocess.Popen([RTCCTL, "--socket", daemon.admin_path, *words], stdin=subprocess.DEVNULL, text=True, **options) as child:
        try:
            yield child
        finally:
            child.terminate()


def lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def fifo(daemon, name):
    """A pipe with a name. Whoever opens it waits until somebody opens its other end; with none there, for good."""
    path = os.path.join(daemon.directory.name, name)
    os.mkfifo(path)
    return path


def is_running(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


class Shell(DaemonTest):
    """rtcctl handle --exec."""

    options = {"connection.message-bytes": "16KiB"}

    def path(self, name):
        return os.path.join(self.daemon.directory.name, name)

    def test_what_a_command_prints_is_the_reply(self):
        table = [
            ("jq -c '{sum: (.data | add), who: .from.userId}'", [1, 2, 39], {"sum": 42, "who": None}),
            ("cat >/dev/null; echo '\"text\"'", None, "text"), ("cat > /dev/null", 1, None), ("true", "x" * 12000, None), ("printf ' \\n'", 1, None),
            ("printf '{\\n  \"a\" : [ 1,\\r\\n 2 ]\\n}\\n'", 1, {"a": [1, 2]}), ("echo $RTCD_EVENT | jq -R .", 1, "ask"),
            (f"{sys.executable} -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[\"data\"][::-1]))'", "grün", "nürg"),
        ]
        for command, data, reply in table:
            with self.subTest(command), handler(self.daemon, "ask", command), WebSocket(self.daemon.port) as ws:
                self.assertEqual(ws.call("ask", data), {"eventName": "rtc.reply", "id": 1, "data": reply})

    def test_a_command_has_the_whole_envelope(self):
        with handler(self.daemon, "or*", f"cat >> {self.path('in')}; echo $RTCD_EVENT $RTCD_CONNECTION >> {self.path('in')}"), WebSocket(self.daemon.port) as ws:
            ws.call("order.new", {"n": [1, 2]})
            first, second = lines(self.path("in"))
            envelope = json.loads(first)
            self.assertEqual(second, f"order.new {ws.id}")
            self.assertIsInstance(envelope.pop("call"), int)
            self.assertEqual(envelope, {"eventName": "order.new", "data": {"n": [1, 2]}, "timeoutMs": 5000,
                                        "from": {"connectionId": ws.id, "userId": None}})
            # One that wants no reply has no number, and what the command prints is nobody's.
            ws.send("order.note", 5)
            self.assertEqual(ws.call("order.new", 6)["data"], None)
            wait_until(lambda: len(lines(self.path("in"))) == 6, "all three")
            note = next(json.loads(line) for line in lines(self.path("in")) if '"order.note"' in line)
            self.assertEqual(note, {"eventName": "order.note", "data": 5, "from": envelope["from"]})

    def test_what_goes_wrong_is_an_error_that_keeps_the_output_back(self):
        table = [
            ("echo secret; echo details >&2; exit 3", "internal", "status 3"), ("kill -9 $$", "internal", "signal 9"), ("echo no json", "internal", "byte 0"),
            ("echo 1 2", "internal", "no JSON value"), ("nonesuch", "internal", "status 127"), ("printf '\"\\377\"'", "internal", "no JSON value"),
            ("printf '1\\0'", "internal", "byte 1"), ("printf '\\0'", "internal", "byte 0"),
            ("yes '[1]'", "too-large", "longer than 16384"), ("head -c 16385 /dev/zero | tr '\\0' 1", "too-large", "16384"),
        ]
        for command, code, part in table:
            with self.subTest(command), handler(self.daemon, "ask", command) as child, WebSocket(self.daemon.port) as ws:
                error = ws.call("ask")["error"]
                self.assertEqual(error["code"], code)
                self.assertIn(part, error["message"])
                self.assertNotIn("secret", error["message"])
                self.assertNotIn("details", error["message"])
                child.terminate()
                told = child.stderr.read()
                self.assertIn(part, told)
                self.assertEqual("details" in told, "details" in command)
        longest = "x" * (16384 - 2)
        with handler(self.daemon, "ask", f"printf '\"%s\"' {longest}"), WebSocket(self.daemon.port) as ws:
            self.assertEqual(ws.call("ask")["data"], longest)

    def test_so_many_run_at_once_as_are_allowed(self):
        # One waits for the other to open the pipe: with fewer at a time, nobody would end.
        meet = fifo(self.daemon, "meet")
        command = f"if grep -q give; then echo 1 > {meet}; else cat {meet}; fi"
        with handler(self.daemon, "meet", command, "--jobs", "2"), WebSocket(self.daemon.port) as ws:
            ws.send("meet", "give", id=1)
            ws.send("meet", "take", id=2)
            self.assertEqual({ws.expect("rtc.reply")["id"] for _ in range(2)}, {1, 2})
        one = f"echo begin >> {self.path('one')}; cat > /dev/null; echo end >> {self.path('one')}"
        with handler(self.daemon, "one", one, "--jobs", "1"), WebSocket(self.daemon.port) as ws:
            for number in range(1, 21):
                ws.send("one", id=number)
            self.assertEqual([ws.expect("rtc.reply")["id"] for _ in range(20)], list(range(1, 21)))
            self.assertEqual(lines(self.path("one")), ["begin", "end"] * 20)
        for jobs in ("0", "x", "1025"):
            result = self.daemon.rtcctl("handle", "--event", "x", "--exec", "true", "--jobs", jobs, check=False)
            self.assertEqual((result.returncode, "--jobs" in result.stderr), (64, True))

    def test_more_events_than_fit_into_its_memory_wait_in_the_daemon(self):
        with handler(self.daemon, "many", "cat > /dev/null; echo >> " + self.path("many")), WebSocket(self.daemon.port) as ws:
            for number in range(300):
                ws.send("many", "x" * 100)
            wait_until(lambda: len(lines(self.path("many"))) == 300, "all of them", 60)
            self.assertEqual(ws.call("many")["data"], None)

    def test_an_interrupt_ends_it_and_its_commands(self):
        never = fifo(self.daemon, "never")
        # Under nohup(1) it is ignored here, and would be there.
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_DFL))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            pid_path = self.path(f"pid-{number}")
            command = f"echo $$ > {pid_path}; exec cat {never}"
            with self.subTest(number), handler(self.daemon, "ask", command) as child, WebSocket(self.daemon.port) as ws:
                ws.send("ask", id=7)
                pid = wait_until(lambda path=pid_path: lines(path), "the command")[0]
                child.send_signal(number)
                self.assertEqual(child.wait(20), 0)
                wait_until(lambda pid=pid: not is_running(pid), "the command's end")
                reply = ws.expect("rtc.reply")
                self.assertEqual((reply["id"], reply["error"]["code"]), (7, "no-handler"))

    def test_what_a_command_prints_for_nobody_is_no_reason_to_kill_it(self):
        out = self.path("done")
        with handler(self.daemon, "note", f"head -c 200000 /dev/zero; echo $? >> {out}"), WebSocket(self.daemon.port) as ws:
            ws.send("note")
            self.assertEqual(wait_until(lambda: lines(out), "the command's end"), ["0"])

    def test_without_a_command_it_prints_and_others_may_answer(self):
        with rtcctl(self.daemon, "handle", "--event", "printed", stdout=subprocess.PIPE) as child, WebSocket(self.daemon.port) as ws:
            wait_until(lambda: self.daemon.admin("list.handlers")["rows"], "the handler")
            for number, (arguments, answer) in enumerate([
                    (("[1, 2]",), {"data": [1, 2]}), ((), {"data": None}), (("-",), {"data": "from stdin"}),
                    (("--error", "sold-out", "--message", "none is left"), {"error": {"code": "sold-out", "message": "none is left"}}),
                    (("--error", "forbidden"), {"error": {"code": "forbidden", "message": ""}})], 1):
                ws.send("printed", number, id=number)
                envelope = json.loads(child.stdout.readline())
                self.assertEqual(envelope["data"], number)
                result = self.daemon.rtcctl("reply", str(envelope["call"]), *arguments, input='"from stdin"', check=False)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
                self.assertEqual(ws.expect("rtc.reply"), {"eventName": "rtc.reply", "id": number, **answer})
                # A second answer is nobody's.
                result = self.daemon.rtcctl("reply", str(envelope["call"]), "1", check=False)
                self.assertEqual((result.returncode, "nobody waits" in result.stderr), (68, True))
            table = [(("x",), 65, "whole number"), (("1", "{"), 65, "not JSON"), (("1", "2", "--error", "a"), 65, "not both"),
                     (("1", "--error", "A b"), 65, "a-z"), (("1", "--message", "x"), 65, "which"), ((), 64, "CALL")]
            for arguments, status, part in table:
                result = self.daemon.rtcctl("reply", *arguments, check=False)
                self.assertEqual(result.returncode, status, arguments)
                self.assertIn(part, result.stderr)
            child.send_signal(signal.SIGTERM)
            self.assertEqual(child.wait(20), 0)

    def test_a_listeners_command_runs_for_each_envelope_in_order_whatever_becomes_of_it(self):
        out = self.path("heard")
        command = f"cat >> {out}; echo $RTCD_EVENT $RTCD_CONNECTION >> {out}; grep -q '\"data\":2[,}}]' {out} && exit 4"
        with rtcctl(self.daemon, "listen", "--event", "heard.?", "--exec", command + "; true", stderr=subprocess.PIPE) as child, \
                WebSocket(self.daemon.port) as ws:
            def probe():
                ws.send("heard.0", 0)
                return lines(out)
            wait_until(probe, "the listener")
            for number in (1, 2, 3):
                ws.send("heard.%d" % number, number)
            ws.send("heard.no", 9)
            wait_until(lambda: f"heard.3 {ws.id}" in lines(out), "the last one")
            got = [line for line in lines(out) if "heard.0" not in line]
            for number in (1, 2, 3):
                envelope = json.loads(got[2 * number - 2])
                self.assertEqual((envelope["eventName"], envelope["data"], envelope["from"]["connectionId"]), (f"heard.{number}", number, ws.id))
                self.assertEqual(got[2 * number - 1], f"heard.{number} {ws.id}")
            self.assertEqual(len(got), 6)
            # The last one has written, but need not have ended.
            self.assertEqual([child.stderr.readline() for _ in range(2)], ["rtcctl: the command ended with status 4\n"] * 2)
            child.send_signal(signal.SIGTERM)
            self.assertEqual((child.wait(20), child.stderr.read()), (0, ""))

    def test_a_listeners_command_that_hangs_does_not_keep_it_from_ending(self):
        pids = self.path("hanging")
        with rtcctl(self.daemon, "listen", "--event", "hang", "--exec", f"echo $$ >> {pids}; exec cat {fifo(self.daemon, 'for-good')}") as child, \
                WebSocket(self.daemon.port) as ws:
            def probe():
                ws.send("hang")
                return lines(pids)
            pid = wait_until(probe, "the command")[0]
            child.send_signal(signal.SIGTERM)
            self.assertEqual(child.wait(20), 0)
            self.assertEqual((lines(pids), is_running(pid)), ([pid], False))

    def test_help_and_completion_know_them(self):
        script = self.daemon.rtcctl("completion", "bash").stdout
        def complete(*words):
            asked = f'{script}\nCOMP_WORDS=(rtcctl {" ".join(words)}); COMP_CWORD={len(words)}; _rtcctl; echo "${{COMPREPLY[*]}}"'
            return subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout.split()
        self.assertEqual(complete("hand"), ["handle"])
        self.assertEqual(complete("rep"), ["reply"])
        self.assertEqual(complete("list", "h"), ["handlers"])
        self.assertEqual(complete("handle", "--j"), ["--jobs"])
        self.assertEqual(complete("reply", "--e"), ["--error"])
        self.assertIn("token", complete("revoke", '""'))
        for words in (["handle"], ["reply"], ["list", "handlers"]):
            self.assertIn("rtcctl " + " ".join(words), self.daemon.rtcctl("help", *words).stdout)


class Slow(DaemonTest):
    options = {"handlers.timeout": "1s"}

    def test_a_command_that_takes_too_long_is_killed_with_what_it_started(self):
        pids = os.path.join(self.daemon.directory.name, "pids")
        command = f"cat {fifo(self.daemon, 'never')} & echo $! >> {pids}; echo $$ >> {pids}; wait"
        with handler(self.daemon, "slow", command) as child, WebSocket(self.daemon.port) as ws:
            error = ws.call("slow")["error"]
            self.assertEqual((error["code"], "handlers.timeout" in error["message"]), ("timeout", True))
            wait_until(lambda: len(lines(pids)) == 2 and not any(map(is_running, lines(pids))), "both to be gone")
            self.assertEqual(self.daemon.admin("list.handlers")["rows"][0][3], 0)
            # For what nobody waits it may take its time.
            ws.send("slow")
            wait_until(lambda: len(lines(pids)) == 4, "the command")
            self.assertEqual(ws.call("slow", id=2)["error"]["code"], "timeout")
            self.assertTrue(all(map(is_running, lines(pids)[2:4])))
            child.terminate()
            self.assertIn("took too long", child.stderr.read())
            wait_until(lambda: not any(map(is_running, lines(pids))), "all to be gone")

    def test_a_late_reply_is_dropped_and_counted(self):
        with Program(self.daemon, "late") as program, WebSocket(self.daemon.port) as ws:
            before = {name: self.daemon.counter(name) for name in ("handlers_timed_out", "replies_late", "events_handled")}
            ws.send("late", id=1)
            event = program.take()
            self.assertEqual(ws.expect("rtc.reply")["error"]["code"], "timeout")
            with self.assertRaises(AdminError) as caught:
                program.reply(event, 1)
            self.assertEqual(caught.exception.code, "not-found")
            ws.send("late", id=2)
            program.reply(program.take(), 2)
            self.assertEqual(ws.expect("rtc.reply"), {"eventName": "rtc.reply", "id": 2, "data": 2})
            self.assertEqual({name: self.daemon.counter(name) - before[name] for name in before},
                             {"handlers_timed_out": 1, "replies_late": 1, "events_handled": 2})

    def test_what_waits_too_long_for_a_command_is_not_run(self):
        out = os.path.join(self.daemon.directory.name, "out")
        go_on = fifo(self.daemon, "go-on")
        command = f"grep -o 'data.:[0-9]*' >> {out}; tail -n 1 {out} | grep -q 1 && cat {go_on} || true"
        with handler(self.daemon, "jam", command, "--jobs", "1"), WebSocket(self.daemon.port) as ws:
            ws.send("jam", 1)       # for which nobody waits, so it may take its time
            wait_until(lambda: lines(out), "the first")
            # By the time that nobody waits for the third either, the second is long over.
            for number in (2, 3):
                self.assertEqual(ws.call("jam", number, id=number)["error"]["code"], "timeout")
            with open(go_on, "w", encoding="utf-8"):
                pass
            ws.send("jam", 4)
            wait_until(lambda: lines(out)[-1:] == ['data":4'], "the last")
            self.assertNotIn('data":2', lines(out))


class Programs(DaemonTest):
    """On the admin socket."""

    options = {"publish.to-group": "anyone", "connection.message-bytes": "4KiB", "handlers.timeout": "60s", "connection.claimed-users": "true"}

    def test_two_share_and_each_event_reaches_exactly_one_and_observers_see_all(self):
        with rtcctl(self.daemon, "listen", "--event", "*o*b*", stdout=subprocess.PIPE) as listener, contextlib.ExitStack() as stack:
            workers = [stack.enter_context(Program(self.daemon, "job")) for _ in range(2)]
            other = stack.enter_context(Program(self.daemon, "*"))
            clients = [stack.enter_context(WebSocket(self.daemon.port)) for _ in range(3)]
            wait_until(lambda: clients[0].send("probe") or select.select([listener.stdout], [], [], 0.05)[0], "the listener")
            for number in range(100):
                for client in clients:
                    client.send("job", number, id=number + 1)
            wait_until(lambda: sum(worker.has_taken() for worker in workers) == 300, "all events")
            self.assertEqual([len(worker.events) for worker in workers], [150, 150])
            taken = [(event["from"]["connectionId"], event["data"]) for worker in workers for event in worker.events]
            self.assertEqual(sorted(taken), sorted((client.id, number) for client in clients for number in range(100)))
            other.has_taken()
            self.assertFalse([event for event in other.events if event["eventName"] == "job"])
            for number, worker in enumerate(workers):
                for event in list(worker.events):
                    worker.reply(event, [number, event["data"]])
            for client in clients:
                replies = [client.expect("rtc.reply") for _ in range(100)]
                self.assertEqual(sorted(reply["id"] for reply in replies), list(range(1, 101)))
                self.assertTrue(all(reply["data"][1] == reply["id"] - 1 for reply in replies))
            heard = []
            while len(heard) < 300:
                envelope = json.loads(listener.stdout.readline())
                if envelope["eventName"] == "job":
                    heard.append(envelope)
            self.assertEqual(sorted((event["from"]["connectionId"], event["data"]) for event in heard), sorted(taken))
            self.assertTrue(all("call" not in event for event in heard))

    def test_one_that_does_not_answer_has_no_share_of_what_the_others_do(self):
        with Program(self.daemon, "job") as hangs, Program(self.daemon, "job") as works, WebSocket(self.daemon.port) as ws:
            ws.send("job", id=1000)
            ws.send("job", id=1001)
            stuck, event = hangs.take(), works.take()
            works.reply(event)
            for number in range(1, 50):
                ws.send("job", number, id=number)
                works.reply(works.take(), number)
            self.assertEqual(hangs.has_taken(), 0)
            hangs.reply(stuck)

    def test_the_most_specific_pattern_has_it(self):
        with Program(self.daemon, "*") as all_, Program(self.daemon, "order.*") as orders, Program(self.daemon, "order.new") as new, \
                WebSocket(self.daemon.port) as ws:
            for event, program in (("hello", all_), ("order.old", orders), ("order.new", new), ("order.", orders), ("order", all_)):
                ws.send(event, id=1)
                program.reply(program.take(), event)
                self.assertEqual(ws.expect("rtc.reply")["data"], event)
            rows = self.daemon.admin("list.handlers")["rows"]
            self.assertEqual([[row[0], *row[2:]] for row in rows], [["*", 2, 0], ["order.*", 2, 0], ["order.new", 1, 0]])
            self.assertRegex(rows[0][1], rf"^pid {os.getpid()}, uid {os.getuid()}$")
            # One connection may handle several; each has its own row.
            new.handle("more.*")
            ws.send("more.1")
            self.assertEqual(new.take()["eventName"], "more.1")
            self.assertEqual(len(self.daemon.admin("list.handlers")["rows"]), 4)
        wait_until(lambda: not self.daemon.admin("list.handlers")["rows"], "all to be gone")

    def test_a_dead_ones_calls_end_at_once_and_others_take_over(self):
        out = os.path.join(self.daemon.directory.name, "out")
        command = f"cat >> {out}; echo $$ >> {out}; exec cat {fifo(self.daemon, 'never')}"
        with handler(self.daemon, "job", command) as child, WebSocket(self.daemon.port) as ws:
            lost = self.daemon.counter("handlers_lost")
            ws.send("job", id=1)
            wait_until(lambda: len(lines(out)) == 2, "the command")
            envelope, pid = json.loads(lines(out)[0]), int(lines(out)[1])
            with Program(self.daemon, "job") as heir:
                os.kill(child.pid, signal.SIGKILL)
                error = ws.expect("rtc.reply")["error"]
                self.assertEqual((error["code"], "went away" in error["message"]), ("no-handler", True))
                self.assertEqual(self.daemon.counter("handlers_lost") - lost, 1)
                with self.assertRaises(AdminError):
                    heir.reply(envelope, "too late")
                ws.send("job", id=2)
                heir.reply(heir.take(), "heir")
                self.assertEqual(ws.expect("rtc.reply")["data"], "heir")
            wait_until(lambda: not self.daemon.admin("list.handlers")["rows"], "both to be gone")
            self.assertEqual(ws.call("job", id=3)["error"]["code"], "no-handler")
            os.kill(pid, signal.SIGKILL)        # what was left of it

    def test_nobody_handles_it(self):
        with WebSocket(self.daemon.port) as ws:
            self.assertEqual(ws.call("nobody")["error"]["code"], "no-handler")
            ws.send("nobody")
            self.assertEqual(ws.expect("rtc.error")["data"]["code"], "no-handler")
            with Program(self.daemon, "somebody"):
                self.assertEqual(ws.call("nobody", id=2)["error"]["code"], "no-handler")
                ws.send("nobody")
                self.assertEqual(ws.expect("rtc.error")["data"]["code"], "no-handler")
                with rtcctl(self.daemon, "listen", stdout=subprocess.PIPE) as listener:
                    self.assertEqual(json.loads(listener.stdout.readline())["eventName"], "rtc.epoch")
                    # Whoever sees it is enough where no reply is wanted, and not where one is.
                    ws.send("nobody", "seen")
                    self.assertEqual(ws.call("nobody", "asked", id=3)["error"]["code"], "no-handler")
                    self.assertEqual([json.loads(listener.stdout.readline())["data"] for _ in range(2)], ["seen", "asked"])

    def test_what_a_connection_publishes_does_not_wait_for_its_reply(self):
        with Program(self.daemon, "hang") as program, WebSocket(self.daemon.port, group="g") as ws:
            ws.send("hang", id=9999)
            event = program.take()
            for number in range(1, 1001):
                ws.send("n", number, to={"group": "g"}, id=number)
            got = [ws.expect("n")["data"] for _ in range(1000)]
            self.assertEqual(got, list(range(1, 1001)))
            program.reply(event, "at last")
            self.assertEqual(next(reply for reply in iter(lambda: ws.expect("rtc.reply"), None) if reply["id"] == 9999)["data"], "at last")

    def test_a_client_that_is_gone_gets_no_reply_and_nobody_minds(self):
        with Program(self.daemon, "ask") as program:
            with WebSocket(self.daemon.port) as ws:
                ws.send("ask", id=1)
                event = program.take()
                ws.close()
            wait_until(lambda: all(connection["id"] != ws.id for connection in self.daemon.connections()), "its end")
            self.assertIsNone(program.reply(event, 1))
            self.assertEqual(self.daemon.admin("list.handlers")["rows"][0][3], 0)

    def test_a_client_that_comes_back_on_another_transport_gets_its_reply_once(self):
        for transport in ("poll", "sse"):
            with self.subTest(transport), Program(self.daemon, "ask") as program:
                ws = WebSocket(self.daemon.port)
                ws.send("ask", transport, id=5)
                event = program.take()
                ws.drop()
                wait_until(lambda: self.daemon.admin("show.connection", connection=ws.id)["state"] == "parked", "parked")
                reply = {"eventName": "rtc.reply", "id": 5, "data": "yours"}
                if transport == "poll":
                    program.reply(event, "yours")
                    with Poller(self.daemon.port, token=ws.token, received=0, wait=0) as back:
                        self.assertEqual([e for e in back.first + back.poll() + back.poll() if e["eventName"] == "rtc.reply"], [reply])
                else:
                    with Sse(self.daemon.port, token=ws.token, received=0) as back:
                        program.reply(event, "yours")
                        self.assertEqual(back.expect("rtc.reply"), reply)
                        self.daemon.publish("end", connection=ws.id)
                        self.assertEqual(back.receive()["eventName"], "end")

    def test_a_msgpack_client_asks_and_is_answered_in_its_own_words(self):
        with Program(self.daemon, "ask") as program, WebSocket(self.daemon.port, "msgpack", user="ann") as ws:
            ws.send("ask", {"b": b"\x01\x02", "n": 2**63}, id=1)
            event = program.take()
            self.assertEqual((event["data"], event["from"]["userId"]), ({"b": {"$binary": "AQI="}, "n": 2**63}, "ann"))
            program.reply(event, {"b": {"$binary": "AwQ="}})
            self.assertEqual(ws.expect("rtc.reply"), {"eventName": "rtc.reply", "id": 1, "data": {"b": b"\x03\x04"}})
            self.assertEqual(ws.call("ask", {(1,): 2}, id=2)["error"]["code"], "bad-envelope")
            ws.send("ask", id=4)
            program.reply(program.take(), error="sold-out", message="no")
            self.assertEqual(ws.expect("rtc.reply")["error"], {"code": "sold-out", "message": "no"})

    def test_a_reply_that_is_too_large_is_told_to_both(self):
        with Program(self.daemon, "ask") as program, WebSocket(self.daemon.port) as ws:
            for number, answer in enumerate(({"data": "x" * 4095}, {"error": "a", "message": "x" * 4097}), 1):
                ws.send("ask", id=number)
                with self.assertRaises(AdminError) as caught:
                    program.reply(program.take(), **answer)
                self.assertEqual(caught.exception.code, "too-large")
                self.assertEqual(ws.expect("rtc.reply")["error"]["code"], "too-large")
            ws.send("ask", id=3)
            program.reply(program.take(), "x" * 4094)
            self.assertEqual(ws.expect("rtc.reply")["data"], "x" * 4094)

    def test_a_pattern_must_be_one(self):
        for command in ("handle", "listen"):
            for pattern in ("", "x" * 129, "\n"):
                with self.assertRaises(AdminError) as caught:
                    self.daemon.admin(command, event=pattern)
                self.assertEqual(caught.exception.code, "bad-envelope")

    def test_an_error_without_a_code_is_no_reply(self):
        with Program(self.daemon, "ask") as program, WebSocket(self.daemon.port) as ws:
            ws.send("ask", id=1)
            number = program.take()["call"]
            with self.assertRaisesRegex(AdminError, "an error's code"):
                self.daemon.admin("reply", call=number, error="")
            self.daemon.admin("reply", call=number, error="sold-out")
            self.assertEqual(ws.expect("rtc.reply")["error"]["code"], "sold-out")

    def test_librtc_asks_and_is_answered(self):
        for transport, protocol in (("websocket", "json"), ("websocket", "msgpack"), ("longpoll", "json"), ("sse", "json")):
            with self.subTest(transport=transport, protocol=protocol), Program(self.daemon, "ask") as program, \
                    Peer(f"http://127.0.0.1:{self.daemon.port}/rtc", transports=transport, protocols=protocol) as peer:
                peer.start()
                peer.say('invoke i1 0 ask {"n": [1]}', "invoke i2 0 ask 2")
                events = [program.take(), program.take()]
                self.assertEqual([event["data"] for event in events], [{"n": [1]}, 2])
                program.reply(events[1], {"second": True})
                self.assertEqual(json.loads(peer.expect("reply i2 ok (.*)")[1]), {"second": True})
                program.reply(events[0], error="forbidden", message="not you")
                peer.expect("reply i1 forbidden not you")
                peer.say("invoke i3 0 ask 3")
                program.reply(program.take(), error="of-its-own", message="something else")
                peer.expect("reply i3 of-its-own something else")


class Bounds(unittest.TestCase):
    def test_so_many_may_wait_in_all_and_of_one_connection(self):
        with Daemon({"handlers.pending": 5, "handlers.pending-per-connection": 3, "handlers.timeout": "60s"}) as daemon, \
                Program(daemon, "ask") as program, WebSocket(daemon.port) as greedy, WebSocket(daemon.port) as modest:
            for number in range(1, 6):
                greedy.send("ask", id=number)
            for number in (4, 5):
                reply = greedy.expect("rtc.reply")
                self.assertEqual((reply["id"], reply["error"]["code"]), (number, "rate-limited"))
                self.assertIn("handlers.pending-per-connection", reply["error"]["message"])
            for number in range(1, 4):
                modest.send("ask", id=number)
            reply = modest.expect("rtc.reply")
            self.assertEqual((reply["id"], reply["error"]["code"]), (3, "rate-limited"))
            self.assertEqual(daemon.counter("events_refused"), 3)
            events = [program.take() for _ in range(5)]
            self.assertEqual(daemon.admin("list.handlers")["rows"][0][2:], [5, 5])
            program.reply(events[0], "first")
            self.assertEqual(greedy.expect("rtc.reply"), {"eventName": "rtc.reply", "id": 1, "data": "first"})
            modest.send("ask", id=4)
            program.reply(program.take(), "fourth")
            self.assertEqual(modest.expect("rtc.reply"), {"eventName": "rtc.reply", "id": 4, "data": "fourth"})

    def test_what_is_on_its_way_to_the_main_thread_is_bounded(self):
        with Daemon({"handlers.queue-bytes": "64KiB", "limits.mailbox": 100000}, workers=1) as daemon, Program(daemon, "ask") as program, \
                WebSocket(daemon.port) as ws:
            with daemon.paused():
                for number in range(1, 201):
                    ws.send("ask", "x" * 3000, id=number)
            replies = {}
            while len(replies) < 200:
                while program.has_taken():
                    event = program.take()
                    program.reply(event, "ok")
                with contextlib.suppress(TimeoutError):
                    reply = ws.expect("rtc.reply")
                    replies[reply["id"]] = reply
            self.assertTrue(all(reply.get("data") == "ok" or reply["error"]["code"] == "rate-limited" for reply in replies.values()))
            self.assertEqual(sum("error" in reply for reply in replies.values()), daemon.counter("events_refused"))

    def test_one_that_does_not_read_is_passed_over(self):
        with Daemon({"admin.queue-bytes": "64KiB"}) as daemon, WebSocket(daemon.port) as ws:
            def send(count, *programs):
                for number in range(count):
                    ws.send("ask", "x" * 3000)
                    if number % 4 == 3:     # who reads has never more waiting than it may
                        ws.call("rtc.join", {"group": "g"})
                        for program in programs:
                            program.has_taken()
            with Program(daemon, "ask") as reads, Program(daemon, "ask"):
                # Events without a reply go to both in turn, until one has all that it may have waiting.
                send(600, reads)
                self.assertGreater(wait_until(lambda: reads.has_taken() > 350 and reads.has_taken(), "the one that reads to have the rest"), 350)
                for number in range(1, 11):
                    ws.send("ask", number, id=number)
                wait_until(lambda: reads.has_taken() and reads.events[-1].get("data") == 10, "the last")
                self.assertEqual(daemon.counter("events_refused"), 0)
            wait_until(lambda: not daemon.admin("list.handlers")["rows"], "both to be gone")
            with Program(daemon, "ask"):
                send(300)
                error = ws.expect("rtc.error")["data"]
                self.assertEqual((error["code"], "too much waits" in error["message"]), ("rate-limited", True))
                self.assertGreater(daemon.counter("events_refused"), 0)

    def test_one_event_has_room_however_large(self):
        with Daemon({"admin.queue-bytes": "64KiB", "connection.message-bytes": "256KiB"}) as daemon, WebSocket(daemon.port) as ws, \
                Program(daemon, "large") as program, AdminLink(daemon) as listener:
            listener.send("listen", event="large")
            self.assertEqual(listener.read()["eventName"], "rtc.reply")
            ws.send("large", "x" * 200_000, id=1)
            self.assertEqual(len(program.take()["data"]), 200_000)
            self.assertEqual(len(listener.read()["data"]), 200_000)

    def test_the_daemon_ends_with_calls_under_way(self):
        with Daemon({"handlers.timeout": "60s"}) as daemon, Program(daemon, "ask") as program, WebSocket(daemon.port) as ws:
            for number in range(1, 51):
                ws.send("ask", number, id=number)
            program.take()
            daemon.stop()
            self.assertEqual(ws.closing()[0], 1001)

    def test_an_answer_over_http_and_who_may_give_it(self):
        with Daemon() as daemon:
            keys, texts = {}, []
            for level in ("viewer", "operator"):
                made = json.loads(daemon.rtcctl("--output", "json", "key", "create", level).stdout)
                keys[level], line = made["key"], made["line"]
                texts.append(f"{line} level={level}\n")
            path = os.path.join(daemon.directory.name, "keys")
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(texts)
            os.chmod(path, 0o600)
            daemon.stop()
            daemon.arguments += ["--set", f"auth.api-keys={path}"]
            daemon.start()
            def call(command, level, **data):
                return request(daemon.port, "POST", "/api/v1/" + command, json.dumps(data).encode(), {"Authorization": f"Bearer {keys[level]}"})
            with Program(daemon, "ask") as program, WebSocket(daemon.port) as ws:
                ws.send("ask", id=1)
                number = program.take()["call"]
                self.assertEqual(call("reply", "viewer", call=number, data=1).status, 403)
                self.assertEqual(call("handle", "operator", event="x").json()["code"], "unsupported")
                self.assertEqual(call("reply", "operator", call=number, data={"by": "http"}).status, 204)
                self.assertEqual(ws.expect("rtc.reply")["data"], {"by": "http"})
                self.assertEqual(call("reply", "operator", call=number, data=1).status, 404)
                self.assertEqual(call("list.handlers", "viewer").json()["rows"][0][0], "ask")


if __name__ == "__main__":
    unittest.main()
