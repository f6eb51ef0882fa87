"""What peers, files and pipes can do to the process as a whole: its log, its descriptors, its config, its admin socket."""

import contextlib
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import threading
import unittest

from client import Http, Poller, Sse, WebSocket, connect, frame, request
from harness import BUILD, AdminError, Daemon, DaemonTest, wait_until

ODD = "\x1b[2J\r\n2026-01-01T00:00:00.000 error   net: forged\t\"'\\\x00\x7f\x85\u2028\udcff"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} (error|warning|info|debug) +(daemon|config|net|core|admin): [^\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd]*")


def lines_of(daemon):
    """Of the log; what a sanitizer's runtime says at its start is not ours."""
    with open(daemon.log_path, "rb") as file:
        return [line for line in file.read().decode("utf-8", "replace").split("\n") if line and not line.startswith("==")]


class Log(unittest.TestCase):
    def test_whatever_peers_send_one_event_is_one_clean_line(self):
        raw = ODD.encode("utf-8", "surrogateescape")
        escaped = "".join(f"%{byte:02x}" for byte in raw)
        with Daemon({f"log.{area}": "debug" for area in ("net", "core", "admin", "config", "daemon")} | {"connection.claimed-users": "true"},
                    config="log: {}\n") as daemon:
            for path in (f"/rtc/sse?user={escaped}", f"/rtc/sse?group={escaped}", f"/rtc/websocket?access_token={escaped}", f"/rtc/poll?token={escaped}",
                         f"/rtc/{escaped}", f"/rtc/negotiate?access_token={escaped}"):
                request(daemon.port, "GET", path)
            for name in ("Origin", "Authorization", "User-Agent", "Host", "Last-Event-ID", "Sec-WebSocket-Protocol", "Cookie", "X-Forwarded-For"):
                with contextlib.suppress(EOFError, ConnectionError), Http(daemon.port) as http:
                    http.link.sendall(b"GET /rtc/sse?user=u HTTP/1.1\r\nHost: x\r\n" + name.encode() + b": " + raw.replace(b"\r\n", b"") + b"\r\n\r\n")
                    http.reader.response()
            with WebSocket(daemon.port, user="some\u00e9one") as ws:
                for envelope in ({"eventName": ODD[:60]}, {"eventName": "n", "to": {"group": ODD}}, {"eventName": "rtc.join", "data": {"group": ODD}},
                                 {"eventName": "rtc.close", "data": ODD}):
                    ws.send_raw(frame(1, json.dumps(envelope).encode()))
                    ws.receive()
            for name in ("event", "group", "connection", "user"):
                with contextlib.suppress(AdminError):
                    daemon.admin("publish", **{"event": "n", "data": 1, "group": "g", name: ODD})
            with contextlib.suppress(AdminError):
                daemon.admin(ODD)
            with WebSocket(daemon.port) as ws:
                daemon.rtcctl("disconnect", ws.id, "--reason", "\x1b[2J\nforged", check=False)
            with open(daemon.config_path, "wb") as file:
                file.write(b"\"\x1b[2J\\r\\nx\": 1\nworkers: \"\\e[2J\\nforged\"\n" + raw)
            with self.assertRaises(AdminError):
                daemon.admin("reload")
            lines = lines_of(daemon)
            self.assertGreaterEqual(len(lines), 8)
            for line in lines:
                self.assertRegex(line, f"^{LINE.pattern}$")
                self.assertNotRegex(line, r"^\S+ error +net: forged")

    def test_a_flood_of_bad_requests_and_tokens_hardly_fills_it(self):
        with Daemon({"log.net": "debug", "log.core": "debug"}, workers=1) as daemon:
            before = os.path.getsize(daemon.log_path)
            with Http(daemon.port) as http:
                for _ in range(2000):
                    self.assertEqual(http.request("POST", "/rtc/negotiate", headers={"Authorization": "Bearer nonsense"}).status, 401)
            for _ in range(500):
                with connect(daemon.port) as link:
                    link.sendall(b"nonsense\r\n\r\n")
                    link.recv(1000)
            # Twenty lines of each kind in ten seconds, and there are a few kinds only.
            self.assertLess(os.path.getsize(daemon.log_path) - before, 100_000)
            self.assertGreater(daemon.counter("log_lines_dropped"), 1500)
            self.assertEqual(daemon.counter("tokens_refused"), 2000)

    def serve(self, daemon):
        for _ in range(30):
            with WebSocket(daemon.port, group="g") as ws:
                daemon.publish("n", 1, group="g")
                ws.expect("n")
                ws.close()
        return daemon.counter("log_lines_dropped")

    def with_log_in_a_pipe(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        return reading, writing, Daemon({"log.core": "debug", "log.net": "debug", "log.admin": "debug"}, before_start=lambda: os.dup2(writing, 2))

    def test_nobody_waits_for_who_does_not_read_it(self):
        reading, writing, daemon = self.with_log_in_a_pipe()
        with daemon:
            os.set_blocking(writing, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writing, b"x" * 4096)
            self.assertGreater(self.serve(daemon), 10)
            with WebSocket(daemon.port) as ws:
                ws.close()
            os.close(reading)

    def test_it_goes_on_when_the_log_is_closed(self):
        reading, _, daemon = self.with_log_in_a_pipe()
        with daemon:
            os.close(reading)
            self.assertGreater(self.serve(daemon), 10)


class Process(unittest.TestCase):
    def test_it_starts_no_other_program(self):
        # What plug-ins do is theirs to answer for; the daemon itself only loads them.
        symbols = subprocess.run(["nm", "-D", "--undefined-only", os.path.join(BUILD, "daemon/rtcd")], capture_output=True, text=True, check=True).stdout
        names = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
        self.assertIn("socket", names)
        self.assertEqual([name for name in names if re.fullmatch(r"_?(v?fork|exec\w*|posix_spawn\w*|popen|system)", name)], [])

    def test_what_cannot_be_printed_is_told(self):
        rtcd, rtcctl = os.path.join(BUILD, "daemon/rtcd"), os.path.join(BUILD, "cli/rtcctl")
        commands = [*([rtcd, option] for option in ("--print-sample", "--help", "--version")), [rtcd, "--no-config", "--check"],
                    *([rtcctl, *words] for words in (["help"], ["help", "publish"], ["--version"], ["completion", "bash"]))]
        for command in commands:
            with self.subTest(command=command), open("/dev/full", "wb") as full:
                done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 74, done.stderr)

    def test_no_descriptor_would_be_handed_on(self):
        with Daemon({"log.core": "debug"}) as daemon, WebSocket(daemon.port), Sse(daemon.port), Poller(daemon.port), socket.socket(socket.AF_UNIX) as admin:
            admin.connect(daemon.admin_path)
            daemon.admin("ping")
            folder = f"/proc/{daemon.process.pid}/fdinfo"
            flags = {}
            for name in os.listdir(folder):
                with contextlib.suppress(FileNotFoundError), open(f"{folder}/{name}", encoding="ascii") as file:
                    flags[int(name)] = int(re.search(r"flags:\s*([0-7]+)", file.read())[1], 8)
            self.assertGreater(len(flags), 12)
            self.assertEqual([number for number, value in flags.items() if number > 2 and not value & os.O_CLOEXEC], [])


class Systemd(unittest.TestCase):
    def test_it_says_when_it_reloads_and_stops(self):
        with Daemon(config="connection: {anonymous: true}\n") as daemon, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = os.path.join(daemon.directory.name, "notify")
            os.unlink(path)
            notify.bind(path)
            notify.settimeout(20)
            daemon.admin("reload")
            self.assertRegex(notify.recv(1000).decode(), r"^RELOADING=1\nMONOTONIC_USEC=\d+\n")
            self.assertIn("READY=1", notify.recv(1000).decode())
            daemon.process.send_signal(signal.SIGTERM)
            self.assertIn("STOPPING=1", notify.recv(1000).decode())
            self.assertEqual(daemon.process.wait(20), 0)        # a second signal would end it at once

    def start(self, descriptor, variables):
        """A daemon that is handed that descriptor as number 3. Its exit status and log, or None if it runs."""
        daemon = Daemon()
        daemon.arguments = ["/bin/bash", "-c", f"{variables} exec \"$@\" 3<&{descriptor}", "bash", *daemon.arguments]
        daemon.inherited = type("Inherited", (), {"fileno": staticmethod(lambda: descriptor)})
        try:
            daemon.start()
        except AssertionError as error:
            daemon.directory.cleanup()
            return daemon.process.returncode, str(error)
        with contextlib.closing(connect(daemon.port)):
            pass
        daemon.__exit__(None, None, None)
        return None

    def test_what_is_handed_over_must_be_what_it_says(self):
        with socket.socket() as listening, socket.socket() as bound, socket.socket(type=socket.SOCK_DGRAM) as datagrams, open("/dev/null", "rb") as file:
            for one in (listening, bound, datagrams):
                one.bind(("127.0.0.1", 0))
            listening.listen()
            good = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=rtcd"
            for one in (bound, datagrams, file):
                status, log = self.start(one.fileno(), good)
                self.assertEqual(status, 69, log)
            status, log = self.start(listening.fileno(), good.replace("=1", "=many"))
            self.assertEqual(status, 69, log)
            self.assertIn("handed over by systemd", log)
            # Not for us, or of another name: nothing of ours.
            self.assertIsNone(self.start(listening.fileno(), good.replace("$$", "1")))
            self.assertIsNone(self.start(listening.fileno(), good.replace("=rtcd", "=another")))


class Reload(unittest.TestCase):
    CONFIG = "connection: {{anonymous: true, groups: {}}}\n"

    def call(self, command):
        self.admin.sendall(json.dumps({"eventName": command, "id": 1}).encode() + b"\n")
        return json.loads(self.reader.readline())

    def assert_refused(self, *parts):
        answer = self.call("reload")
        for part in (*parts, "the config in force stays as it was"):
            self.assertIn(part, answer["error"]["message"])
        with WebSocket(self.daemon.port) as ws:
            for number in range(5):
                self.assertNotIn("error", ws.call("rtc.join", {"group": f"g{number}"}))
            self.assertIn("error", ws.call("rtc.join", {"group": "one too many"}))

    def test_a_file_that_cannot_be_read_leaves_the_old_config_whole(self):
        with Daemon(config=self.CONFIG.format(5)) as self.daemon, socket.socket(socket.AF_UNIX) as self.admin:
            self.admin.connect(self.daemon.admin_path)
            self.admin.settimeout(20)
            self.reader = self.admin.makefile("rb")
            path, text = self.daemon.config_path, self.CONFIG.format(7)
            for length in range(1, len(text) - 2):
                self.daemon.write_config(text[:length])
                if "error" in self.call("reload"):
                    self.assert_refused()
                else:       # the beginning is a config too, which is in force as a whole
                    self.daemon.write_config(self.CONFIG.format(5))
                    self.assertNotIn("error", self.call("reload"))
            self.daemon.write_config(text)
            os.rename(path, path + ".away")
            self.assert_refused("No such file")
            os.mkdir(path)
            self.assert_refused("Is a directory")
            os.rmdir(path)
            os.rename(path + ".away", path)
            limits = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
            answer = self.call("reload")
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, limits)
            self.assertIn("Too many open files", answer["error"]["message"])
            self.daemon.write_config(text + "nonsense")
            self.assert_refused("not YAML")
            self.daemon.write_config(text)
            self.assertIn("connection.groups changed", self.call("reload")["data"]["report"])
            self.reader.close()


class AdminFlood(DaemonTest):
    options = {"admin.connections": 16, "admin.request-bytes": "64KiB"}

    def open(self):
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(20)
        link.connect(self.daemon.admin_path)
        self.addCleanup(link.close)
        return link

    def half(self):
        link = self.open()
        link.sendall(b'{"eventName":"pi')
        return link

    def test_half_lines_fill_their_places_and_no_more(self):
        links = [self.half() for _ in range(16)]
        with self.open().makefile("rb") as reader:
            self.assertIn("admin.connections", json.loads(reader.readline())["data"]["message"])
            self.assertEqual(reader.readline(), b"")
        with WebSocket(self.daemon.port) as ws:
            self.assertNotIn("error", ws.call("rtc.join", {"group": "g"}))
        links[0].sendall(b'ng","id":1}\n')
        self.assertIn(b"rtc.reply", links[0].recv(1000))
        for link in links:
            link.close()
        wait_until(self.is_answered, "a place")

    def is_answered(self):
        try:
            return self.daemon.admin("ping")
        except (KeyError, AdminError):
            return None

    def test_a_line_without_an_end_is_cut_off_at_its_limit(self):
        link, sent = self.open(), 0
        with contextlib.suppress(ConnectionError):
            while sent < 100 << 20:
                sent += link.send(b"x" * (1 << 20))
        self.assertLess(sent, 4 << 20)

    def test_a_flood_of_requests_does_not_keep_clients_waiting(self):
        is_over = threading.Event()

        def flood(link):
            line = b'{"eventName":"list.connections","id":1}\n' * 100
            while not is_over.is_set():
                readable, writable, _ = select.select([link], [link], [], 0.1)
                if readable:
                    link.recv(1 << 20)
                if writable:
                    link.send(line, socket.MSG_DONTWAIT)
        floods = [threading.Thread(target=flood, args=[self.open()]) for _ in range(4)]
        for thread in floods:
            thread.start()
        try:
            with WebSocket(self.daemon.port, group="g") as ws, WebSocket(self.daemon.port, group="g") as other:
                for number in range(200):
                    ws.send("n", number, to={"group": "g"}, id=number + 1)
                    self.assertEqual(other.expect("n")["data"], number)
        finally:
            is_over.set()
            for thread in floods:
                thread.join()


if __name__ == "__main__":
    unittest.main()
