"""rtcctl bench: its figures against the real daemon, and what it says of servers that do not do as they should."""

import base64
import contextlib
import hashlib
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from harness import BUILD, PATIENCE_S, Daemon, DaemonTest, free_port, wait_until

RTCCTL = os.path.join(BUILD, "cli", "rtcctl")


def start(port, *arguments, path="", **more):
    return subprocess.Popen([RTCCTL, "bench", f"http://127.0.0.1:{port}{path}", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **more)


def finish(child):
    """Exit status, the object it printed (None: nothing), standard error."""
    out, errors = child.communicate(timeout=PATIENCE_S * 3)
    assert not re.search("Sanitizer|runtime error:", errors), errors
    # How busy the machine is, is not what is tested.
    errors = "".join(line for line in errors.splitlines(True) if "more about rtcctl than about the daemon" not in line)
    return child.returncode, json.loads(out) if out.startswith("{") else out or None, errors


def bench(port, *arguments, **more):
    return finish(start(port, "-o", "json", *arguments, **more))


class Figures(DaemonTest):
    def check(self, figures, connections):
        self.assertEqual(figures["connections"], connections)
        self.assertEqual(figures["delivered"], figures["published"] * connections)
        for name in ("lost", "doubled", "outOfOrder", "connectionsLost"):
            self.assertEqual(figures[name], 0, name)
        latency = figures["latencyNs"]
        self.assertEqual(sorted(latency.values()), [latency[name] for name in ("p50", "p90", "p99", "p999", "max")])
        self.assertGreater(latency["p50"], 0)
        steps = figures["histogramNs"]
        self.assertEqual(sum(count for _, _, count in steps), figures["delivered"])
        self.assertEqual([step[1] for step in steps[:-1]], [step[0] for step in steps[1:]])

    def test_everything_published_is_delivered_to_every_connection(self):
        for protocol in ("json", "msgpack"):
            with self.subTest(protocol):
                before = self.daemon.counter("messages_delivered")
                status, figures, errors = bench(self.daemon.port, "--connections", "20", "--publishers", "3", "--rate", "200",
                                                "--duration", "500ms", "--protocol", protocol)
                self.assertEqual((status, errors), (0, ""))
                self.assertEqual((figures["published"] + figures["unsent"], figures["protocol"]), (100, protocol))
                self.check(figures, 20)
                self.assertGreaterEqual(self.daemon.counter("messages_delivered") - before, figures["delivered"])

    def test_as_many_as_go_with_a_window(self):
        status, figures, _ = bench(self.daemon.port, "--connections", "5", "--rate", "max", "--window", "8", "--duration", "300ms",
                                   "--size", "10000")
        self.assertEqual((status, figures["rateWanted"]), (0, "max"))
        self.assertGreater(figures["published"], 8)
        self.assertGreater(figures["receivedBytes"], figures["delivered"] * 10000)
        self.check(figures, 5)

    def test_a_rate_beyond_what_goes_is_told_and_costs_nothing(self):
        status, figures, errors = bench(self.daemon.port, "--connections", "2", "--rate", "5000000", "--duration", "200ms",
                                        "--size", "4KiB")
        self.assertEqual(status, 0, errors)
        self.assertEqual(figures["published"] + figures["unsent"], 1000000)
        self.assertIn(f"{figures['unsent']} messages were due and not sent", errors)
        self.check(figures, 2)

    def test_one_that_stands_still_at_such_a_rate_is_no_slow_consumer(self):
        child = start(self.daemon.port, "-o", "json", "--connections", "2", "--rate", "5000000", "--duration", "60s", "--size", "4KiB")
        def counts():
            return [self.daemon.counter(name) for name in ("messages_published", "messages_delivered")]
        for _ in range(5):
            before = counts()[0]
            wait_until(lambda: counts()[0] > before, "messages")
            child.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED)
            last = []
            def is_quiet():
                last.append(counts())
                return last[-3:] == [last[-1]] * 3
            wait_until(is_quiet, "the daemon to have taken all that was sent")
            child.send_signal(signal.SIGCONT)
        child.send_signal(signal.SIGTERM)
        status, figures, errors = finish(child)
        self.assertEqual(status, 0, errors)
        self.check(figures, 2)

    def test_nothing_is_left_of_it(self):
        self.assertEqual(bench(self.daemon.port, "--connections", "30", "--duration", "1ms")[0], 0)
        wait_until(lambda: not self.daemon.connections(), "the daemon to forget clients that said goodbye")

    def test_a_group_of_others_is_not_mistaken(self):
        child = start(self.daemon.port, "-o", "json", "--connections", "3", "--group", "ours & more", "--duration", "60s", "--rate", "50")
        wait_until(lambda: self.daemon.publish("theirs", {"x": 1}, group="ours & more") == 3, "all to be members")
        wait_until(lambda: any(row[2] > 20 for row in self.daemon.admin("list.groups")["rows"]), "messages")
        child.send_signal(signal.SIGINT)
        status, figures, errors = finish(child)
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(figures["group"], "ours & more")
        self.check(figures, 3)

    def test_latency_counts_from_when_a_message_was_due(self):
        child = start(self.daemon.port, "-o", "json", "--connections", "2", "--rate", "200", "--duration", "60s")
        def published():
            return self.daemon.counter("messages_published")
        first = published()
        wait_until(lambda: published() > first + 5, "messages")
        # rtcctl itself stands still: what it sends too late must not look as if it had been due then.
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        threading.Event().wait(0.4)     # the length of the pause is what is measured
        again = published()
        child.send_signal(signal.SIGCONT)
        wait_until(lambda: published() > again + 5, "messages after the pause")
        child.send_signal(signal.SIGTERM)
        status, figures, _ = finish(child)
        self.assertEqual(status, 0)
        self.check(figures, 2)
        self.assertGreater(figures["latencyNs"]["max"], 390e6)
        late = sum(count for start_ns, _, count in figures["histogramNs"] if start_ns >= 100e6)
        self.assertGreater(late, 2 * 200 * 0.2, "messages that were due in the pause are missing from the latency")

    def test_a_table_for_people_and_lines_for_programs(self):
        arguments = ("--connections", "2", "--duration", "50ms")
        _, table, _ = finish(start(self.daemon.port, "-o", "table", *arguments, env=dict(os.environ, LC_ALL="C")))
        for part in ("connections   2 (json) opened", "published     5 messages of 128 bytes", "trouble       0 lost, 0 doubled, 0 out of order",
                     "p99.9", "#"):
            self.assertIn(part, table)
        self.assertLessEqual(max(len(line) for line in table.splitlines()), 80)
        self.assertIn("1 published", table)
        self.assertTrue(table.isascii())
        _, lines, _ = finish(start(self.daemon.port, *arguments))
        self.assertIn("delivered\t10\n", lines)
        self.assertIn("latencyNs.p50\t", lines)

    def test_a_refusal_is_told_with_its_reason(self):
        status, _, errors = bench(self.daemon.port, path="/nowhere")
        self.assertEqual(status, 76)
        self.assertIn("HTTP status 404: there is nothing at this address", errors)

    def test_a_message_that_is_too_large_costs_a_connection_and_is_told(self):
        status, figures, errors = bench(self.daemon.port, "--connections", "2", "--size", "100000", "--duration", "60s")
        self.assertEqual((status, figures["lost"], figures["connectionsLost"]), (69, 2 * figures["published"], 1))
        self.assertIn("code 1009", errors)

    def test_few_descriptors(self):
        def limit(soft, hard):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        status, _, errors = bench(self.daemon.port, "--connections", "100", preexec_fn=limit(64, 64))
        self.assertEqual(status, 64)
        self.assertIn("ulimit", errors)
        self.assertEqual(bench(self.daemon.port, "--duration", "1ms", preexec_fn=limit(64, 1024))[0], 0)

    def test_mistakes_are_told(self):
        table = [
            (("--rate", "0"), "--rate needs max or a whole number"), (("--rate", "fast"), "--rate"), (("--size", "10"), "from 64"),
            (("--window", "3"), "--rate max"), (("--connections", "2", "--publishers", "3"), "publishers"),
            (("--duration", "10"), "10s"), (("--protocol", "xml"), "json or msgpack"), (("--group", "a\nb"), "group"),
            (("--socket", "/x"), "URL"), (("more",), "not expected"),
        ]
        for arguments, part in table:
            with self.subTest(arguments):
                status, _, errors = bench(self.daemon.port, *arguments)
                self.assertEqual(status, 64)
                self.assertIn(part, errors)
        for url, part in (("https://127.0.0.1/rtc", "TLS"), ("wss://x", "TLS"), ("127.0.0.1:1", "no URL"), ("http://:80", "host"),
                          ("http://a:b", "host"), ("http://[::1", "host"), ("http://u@h", "host"), ("http://127.0.0.1:1/rtc?x=1", "--token")):
            with self.subTest(url):
                child = subprocess.run([RTCCTL, "bench", url], capture_output=True, text=True, timeout=PATIENCE_S)
                self.assertEqual(child.returncode, 64)
                self.assertIn(part, child.stderr)

    def test_it_is_in_help_and_completion(self):
        self.assertIn("--publishers", self.daemon.rtcctl("help", "bench").stdout)
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("bench", self.daemon.rtcctl("completion", shell).stdout)
        script = self.daemon.rtcctl("completion", "bash").stdout + '\nCOMP_WORDS=(rtcctl bench --pub); COMP_CWORD=2; _rtcctl; echo "${COMPREPLY[*]}"'
        self.assertEqual(subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout, "--publishers\n")


class OwnDaemon(unittest.TestCase):
    def test_publishing_is_refused(self):
        with Daemon({"publish.to-group": "nobody"}) as daemon:
            for protocol in ("json", "msgpack"):
                status, figures, errors = bench(daemon.port, "--connections", "3", "--protocol", protocol, "--duration", "60s")
                self.assertEqual((status, figures["delivered"]), (77, 0))
                self.assertIn("publish.to-group: members", errors)

    def test_the_daemon_takes_no_more_connections(self):
        with Daemon({"limits.connections-per-address": 10}) as daemon:
            status, figures, errors = bench(daemon.port, "--connections", "200")
            self.assertEqual((status, figures), (75, None))
            self.assertIn("limits.connections-per-address", errors)

    def test_the_daemon_ends_midway(self):
        with Daemon() as daemon:
            child = start(daemon.port, "-o", "json", "--connections", "10", "--duration", "60s")
            wait_until(lambda: daemon.counter("messages_published") > 3, "messages")
            daemon.stop()
            status, figures, errors = finish(child)
            self.assertEqual(status, 69)
            self.assertGreater(figures["connectionsLost"], 0)
            self.assertIn("code 1001", errors)
            self.assertGreater(figures["published"], 3)

    def test_the_daemon_stands_still(self):
        with Daemon() as daemon:
            child = start(daemon.port, "-o", "json", "--connections", "2", "--rate", "max", "--duration", "60s")
            wait_until(lambda: daemon.counter("messages_published") > 3, "messages")
            with daemon.paused():
                status, figures, errors = finish(child)
            self.assertEqual(status, 70)
            self.assertGreater(figures["lost"], 0)
            self.assertIn("did not come", errors)

    def test_nobody_listens(self):
        port = free_port()
        status, figures, errors = bench(port)
        self.assertEqual((status, figures), (69, None))
        self.assertIn(f"127.0.0.1:{port}: Connection refused", errors)


@contextlib.contextmanager
def server(serve):
    """A server that gives each connection to `serve(link)`, and closes it afterwards."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()

        def run(link):
            with link, contextlib.suppress(OSError, EOFError):
                serve(link)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)


class Peer:
    """The server's end of one connection, as RFC 6455 has it."""

    def __init__(self, link):
        self.link, self.reader = link, link.makefile("rb")

    def head(self):
        lines = []
        while not lines or lines[-1] != b"\r\n":
            lines.append(self.reader.readline())
            if not lines[-1]:
                raise EOFError
        fields = dict(line.decode().rstrip().split(": ", 1) for line in lines[1:-1])
        return lines[0].decode(), fields

    def handshake(self, **changes):
        request, fields = self.head()
        accept = base64.b64encode(hashlib.sha1((fields["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        answer = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept,
                  "Sec-WebSocket-Protocol": fields["Sec-WebSocket-Protocol"], **changes}
        self.link.sendall("HTTP/1.1 101 Switching Protocols\r\n".encode()
                          + "".join(f"{name}: {value}\r\n" for name, value in answer.items()).encode() + b"\r\n")
        return request

    def send(self, payload, opcode=1):
        size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
        self.link.sendall(bytes([0x80 | opcode]) + size + payload)

    def receive(self):
        first, second = self.exactly(2)
        assert second & 0x80, "a client's frame must be masked"
        length = second & 0x7f
        if length == 126:
            length = struct.unpack(">H", self.exactly(2))[0]
        mask = self.exactly(4)
        return first & 15, bytes(byte ^ mask[i & 3] for i, byte in enumerate(self.exactly(length)))

    def exactly(self, count):
        data = self.reader.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def welcome(self):
        self.send(b'{"eventName":"rtc.welcome","data":{}}')

    def wait_for_end(self):
        while self.receive()[0] != 8:
            pass


class Servers(unittest.TestCase):
    def check(self, serve, status, *parts, arguments=("--connections", "3", "--duration", "60s")):
        with server(serve) as port:
            got, figures, errors = bench(port, *arguments)
        self.assertEqual(got, status, errors)
        for part in parts:
            self.assertIn(part, errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        return figures

    def test_what_is_no_websocket_server(self):
        problem = b'{"code":"unauthorized","title":"no","detail":"the token is stale"}'
        answers = [
            (b"220 mail.example.org ESMTP\r\n", 76, "does not speak HTTP", "220 mail"),
            (b"\x00\xff\x1b[31m" * 10, 76, "does not speak HTTP", "\\x1b"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 76, "HTTP status 200"),
            (b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(problem), problem), 77, "status 401: the token is stale", "--token"),
            (b"HTTP/1.1 503 Busy\r\n\r\n", 75, "HTTP status 503"),
            (b"HTTP/1.1 x\r\n\r\n", 76, "HTTP status 0"),
            (b"HTTP/1.1 101 Go\r\n", 76, "in the middle"),
            (b"HTTP/1.1 101 Go\r\nX: " + b"y" * 100000, 76, "does not speak HTTP"),
            (b"", 76, "hung up without an answer"),
        ]
        for answer, status, *parts in answers:
            with self.subTest(answer[:40]):
                def serve(link):
                    Peer(link).head()
                    link.sendall(answer)
                self.check(serve, status, *parts)

    def test_a_wrong_handshake(self):
        for changes, part in (({"Sec-WebSocket-Accept": "x" * 28}, "Sec-WebSocket-Accept"),
                              ({"Sec-WebSocket-Protocol": "chat"}, "rtc.v1.json"),
                              ({"Sec-WebSocket-Extensions": "permessage-deflate"}, "extension")):
            with self.subTest(part):
                def serve(link):
                    Peer(link).handshake(**changes)
                    link.recv(1)
                self.check(serve, 76, part)

    def test_nonsense_after_the_handshake(self):
        for payload, status, part in ((b"\xff\xff\xff", 76, "framing"), (b"\x81\x02hi", 76, "no rtc.welcome: hi"),
                                      (b"\x88\x05\x13\x88bye", 76, "code 5000"),
                                      (b"\x88\x05\x0f\xa1bye", 69, "code 4001: bye"), (b"", 69, "hung up")):
            with self.subTest(payload):
                def serve(link):
                    Peer(link).handshake()
                    link.sendall(payload)
                self.check(serve, status, part)

    def test_a_silent_server_is_given_up(self):
        for greets in (False, True):
            with self.subTest(greets=greets):
                def serve(link):
                    peer = Peer(link)
                    if greets:
                        peer.handshake()
                    peer.reader.read()
                self.check(serve, 69, "says nothing: 0 of 3")

    def test_an_interrupt_before_all_are_open(self):
        asked = threading.Event()

        def serve(link):
            peer = Peer(link)
            peer.head()
            asked.set()
            peer.reader.read()
        with server(serve) as port:
            child = start(port, "-o", "json", "--connections", "3")
            self.assertTrue(asked.wait(PATIENCE_S))
            child.send_signal(signal.SIGINT)
            status, figures, errors = finish(child)
        self.assertEqual((status, figures, errors), (75, None, "rtcctl: interrupted before anything was published\n"))

    def test_nonsense_while_it_runs(self):
        def serve(link):
            peer = Peer(link)
            peer.handshake()
            peer.welcome()
            peer.receive()
            peer.send(b"what?")
            peer.wait_for_end()
        self.check(serve, 76, "no envelope: what?", arguments=("--connections", "1", "--duration", "60s"))

    def test_lost_doubled_and_late_messages_are_counted_and_pings_answered(self):
        pongs = []

        def serve(link):
            peer = Peer(link)
            peer.handshake()
            peer.welcome()
            held, number = None, 0
            while True:
                opcode, payload = peer.receive()
                if opcode == 10:
                    pongs.append(payload)
                if opcode == 8:
                    return
                if opcode != 1:
                    continue
                digit = number % 10
                number += 1
                peer.send(b"%d" % number, 9)
                if digit == 7:
                    held = payload
                elif digit != 3:
                    peer.send(payload)
                if digit == 5:
                    peer.send(payload)
                if digit == 8:
                    peer.send(held)

        figures = self.check(serve, 70, "10 of 100 deliveries did not come",
                             arguments=("--connections", "1", "--rate", "500", "--duration", "200ms"))
        self.assertEqual((figures["published"], figures["delivered"]), (100, 90))
        self.assertEqual((figures["lost"], figures["doubled"], figures["outOfOrder"]), (10, 10, 10))
        self.assertEqual(pongs, [b"%d" % (number + 1) for number in range(100)])

    def test_the_token_goes_along(self):
        requests = []

        def serve(link):
            peer = Peer(link)
            requests.append(peer.handshake())
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("from-file\n")
            file.flush()
            for token in ("a.b-c", "@" + file.name):
                self.check(serve, 69, "hung up", arguments=("--connections", "1", "--token", token, "--group", "g/1"))
        self.assertEqual(requests, ["GET /rtc/websocket?group=g%2F1&access_token=a.b-c HTTP/1.1\r\n",
                                    "GET /rtc/websocket?group=g%2F1&access_token=from-file HTTP/1.1\r\n"])
        self.assertEqual(bench(1, "--token", "@/nowhere")[0], 66)


if __name__ == "__main__":
    unittest.main()
