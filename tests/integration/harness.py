"""A real daemon for a test: started with options, asked over its admin socket, stopped and looked over at the end."""

import collections
import contextlib
import json
import os
import random
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
FLUSH = os.environ.get("FLUSH", "write")    # net.flush, where a test does not say
TLS = os.environ.get("TLS") == "1"          # clients speak TLS, where a test does not say
ENVIRONMENT = {}    # of every daemon, beside what a test says
CONTEXTS = {}   # by port: how clients speak TLS there, and the name that they ask for
PATIENCE_S = 20  # how long a condition may take to come true; only a broken daemon takes that long


def wait_until(condition, what="condition", patience_s=PATIENCE_S):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + patience_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s} s in vain for: {what}")
        select.select([], [], [], 0.01)


RESERVED = []       # held until this process ends


def free_port():
    """A port that no other test gets meanwhile: rtcd shares its ports (SO_REUSEPORT), so two daemons on one would not even notice.
    Below the range from which the kernel gives ports to clients."""
    while True:
        port = random.randrange(12000, 32000)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0rtcd-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        RESERVED.append(reservation)
        return port


class Daemon:
    """rtcd with anonymous connections and two workers; keyword options replace or add (anonymous is connection.anonymous)."""

    def __init__(self, options=None, config=None, workers=2, descriptors=None, environment=None, before_start=None, inherited=None):
        self.directory = tempfile.TemporaryDirectory(prefix="rtcd-test-")
        self.port = free_port()
        self.admin_path = os.path.join(self.directory.name, "admin.sock")
        self.config_path = None
        settings = {
            "listen": f"127.0.0.1:{self.port}", "admin.listen": self.admin_path, "workers": workers,
            "connection.anonymous": "true", "log.core": "info", "net.flush": FLUSH,
        }
        if TLS and not any(name in (options or {}) for name in ("listen", "tls.certificates")):
            settings.update(self._tls())
        if config is None:
            settings["publish.to-group"] = "members"
        settings.update(options or {})
        arguments = [os.path.join(BUILD, "daemon", "rtcd")]
        if config is None:
            arguments.append("--no-config")
        else:
            self.config_path = os.path.join(self.directory.name, "rtcd.yaml")
            self.write_config(config)
            arguments += ["--config", self.config_path]
        for name, value in settings.items():
            arguments += ["--set", f"{name}={value}"]
        self.arguments = arguments
        self.descriptors = descriptors
        self.before_start = before_start        # called in the daemon's process before it is the daemon
        self.inherited = inherited              # a listening socket to hand over as systemd would; its port replaces `listen`
        if inherited:
            self.port = inherited.getsockname()[1]
            self.arguments = ["/bin/bash", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=rtcd exec \"$@\" 3<&"
                              + str(inherited.fileno()), "bash", *arguments]
        self.environment = environment or {}
        self.log_path = os.path.join(self.directory.name, "log")
        self.process = None

    def _tls(self):
        """Options for a daemon whose clients all speak TLS."""
        import certificates
        authority = certificates.Authority(self.directory.name)
        CONTEXTS[self.port] = (certificates.context(authority), "localhost")
        return {"listen": f"tls:127.0.0.1:{self.port}", "tls.certificates": authority.issue_for("localhost").item}

    def write_config(self, text):
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def __enter__(self):
        self.start()
        return self

    def start(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.directory.name, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        notify.bind(path)
        notify.settimeout(PATIENCE_S)
        environment = {**os.environ, **ENVIRONMENT, **self.environment, "NOTIFY_SOCKET": path}

        def limit():
            if self.descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
            if self.before_start:
                self.before_start()

        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stderr=log, stdin=subprocess.DEVNULL, env=environment,
                                            preexec_fn=limit, pass_fds=[self.inherited.fileno()] if self.inherited else [])
        with notify:
            while b"READY=1" not in self._notification(notify):
                pass

    def _notification(self, notify):
        while True:
            readable, _, _ = select.select([notify], [], [], 0.2)
            if readable:
                return notify.recv(4096)
            if self.process.poll() is not None:
                raise AssertionError(f"rtcd ended with {self.process.returncode}:\n{self.log()}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)

    def __exit__(self, kind, value, trace):
        try:
            self.stop()
            if kind is None:
                log = self.log()
                assert not re.search("Sanitizer|runtime error:", log), log
                assert self.process.returncode == 0, f"exit status {self.process.returncode}\n{log}"
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.directory.cleanup()

    @contextlib.contextmanager
    def paused(self):
        """The daemon stands still meanwhile; what is sent to it then reaches it in one turn of its loop."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: all(self._state(thread) in "Tt" for thread in os.listdir(f"/proc/{self.process.pid}/task")), "a stop")
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _state(self, thread):
        with open(f"/proc/{self.process.pid}/task/{thread}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def admin(self, command, **data):
        """The data of a reply, or an AdminError."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE_S)
            link.connect(self.admin_path)
            link.sendall(json.dumps({"eventName": command, "data": data, "id": 1}).encode() + b"\n")
            reply = json.loads(link.makefile("rb").readline())
        if "error" in reply:
            raise AdminError(reply["error"]["code"], reply["error"]["message"])
        return reply["data"]

    def publish(self, event, data=None, **to):
        return self.admin("publish", event=event, data=data, **to)["recipients"]

    def counter(self, name):
        return self.admin("status")["counters"][name]

    def connections(self):
        columns = "id user state transport protocol address groups queued age".split()
        return [dict(zip(columns, row)) for row in self.admin("list.connections")["rows"]]

    def rtcctl(self, *arguments, input=None, check=True):
        return subprocess.run([os.path.join(BUILD, "cli", "rtcctl"), "--socket", self.admin_path, *arguments], input=input,
                              capture_output=True, text=True, check=check, timeout=PATIENCE_S * 3)


class AdminLink:
    """One connection to the admin socket."""

    def __init__(self, daemon):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(PATIENCE_S)
        self.link.connect(daemon.admin_path)
        self.reader = self.link.makefile("rb")
        self.asked = 0

    def send(self, command, **data):
        """A request; its id."""
        self.asked += 1
        self.link.sendall(json.dumps({"eventName": command, "data": data, "id": self.asked}).encode() + b"\n")
        return self.asked

    def read(self):
        """The next envelope; None: the daemon has ended the connection."""
        line = self.reader.readline()
        return json.loads(line) if line else None

    def close(self):
        self.reader.close()
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Program(AdminLink):
    """A program on the admin socket, which answers events when the test says so."""

    def __init__(self, daemon, pattern):
        super().__init__(daemon)
        self.events, self.replies = collections.deque(), {}
        self.handle(pattern)

    def ask(self, command, **data):
        self.send(command, **data)
        while self.asked not in self.replies:
            self._read()
        reply = self.replies.pop(self.asked)
        if "error" in reply:
            raise AdminError(reply["error"]["code"], reply["error"]["message"])
        return reply["data"]

    def handle(self, pattern):
        return self.ask("handle", event=pattern)

    def _read(self):
        envelope = self.read()
        if envelope["eventName"] == "rtc.reply":
            self.replies[envelope["id"]] = envelope
        else:
            self.events.append(envelope)

    def take(self):
        """The next event."""
        while not self.events:
            self._read()
        return self.events.popleft()

    def has_taken(self):
        """What has come until now; the daemon has said all of it before it answers."""
        self.ask("whoami")
        return len(self.events)

    def reply(self, event, data=None, **error):
        return self.ask("reply", call=event["call"], **(error or {"data": data}))


def processor_s(daemon):
    """Of all threads, until now."""
    total = 0
    for thread in os.listdir(f"/proc/{daemon.process.pid}/task"):
        with open(f"/proc/{daemon.process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def memory_bytes(daemon, what="VmRSS"):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) * 1024


def has_plain_memory():
    """Sanitizers keep what is freed."""
    return "san" not in BUILD


def limit_files(size):
    """For a daemon that is to find its disk full; others set the limit again."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    return limit


def set_limit(daemon, size=resource.RLIM_INFINITY):
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class AdminError(Exception):
    @property
    def code(self):
        return self.args[0]


class DaemonTest(unittest.TestCase):
    """One daemon for all tests of a class, unless a test wants its own."""

    options = {}
    workers = 2

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(cls.options, workers=cls.workers)
        cls.daemon.start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__(None, None, None)
