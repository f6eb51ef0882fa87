"""The floors and rtcd, as the benchmark starts them: each a class as in peers.py, which see. It knows nothing of figures."""

import json
import os
import subprocess
import sys
import tempfile

import certificates
import harness

KINDS = {"idle", "fanout", "deflate", "echo", "connect", "sse", "longpoll", "resume", "admin", "comeback", "flood", "api", "history"}


def program(name):
    return os.path.join(harness.BUILD, name)


def on_processors(*numbers):
    return lambda: os.sched_setaffinity(0, numbers)


def certificate_in(directory):
    return certificates.Authority(directory).issue_for("localhost")


class Floor:
    """A bare WebSocket broadcaster: floor.c, with one of its writers."""

    speech = "floor"
    speaks = {"idle", "fanout", "echo", "connect"}
    load_arguments = arguments = ()

    @classmethod
    def missing(cls):
        """Whether it runs here is seen by running it: a build may lack liburing, a kernel io_uring."""
        try:
            with cls(None, min(os.sched_getaffinity(0))):
                return ""
        except RuntimeError as error:
            return str(error)

    def __init__(self, scenario, processor):
        self.port, self.processor = harness.free_port(), processor

    def __enter__(self):
        self.process = subprocess.Popen([program("tests/bench/floor"), str(self.port), self.writer, *self.arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, preexec_fn=on_processors(self.processor))
        self.pids = [self.process.pid]
        if self.process.stdout.readline() != b"ready\n":
            said = self.process.stderr.read().decode(errors="replace").strip()
            self.__exit__(*sys.exc_info())
            raise RuntimeError(said)
        return self

    def __exit__(self, *why):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class FloorWrite(Floor):
    name, writer = "floor", "write"


class FloorBatched(Floor):
    name, writer = "floor-batched", "batched"


class FloorUring(Floor):
    name, writer = "floor-uring", "uring"


class FloorTls(Floor):
    """Bare OpenSSL."""

    name, writer = "floor-tls", "tls"
    speaks = {f"{kind}-tls" for kind in Floor.speaks}
    load_arguments = ("--tls",)

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="floor-")
        self.arguments = certificate_in(self.directory.name).item.split(":")
        return super().__enter__()

    def __exit__(self, *why):
        super().__exit__(*why)
        self.directory.cleanup()


class Rtcd:
    """rtcd at its defaults, but for the limits that one address with many clients meets."""

    name = speech = "rtcd"
    speaks = KINDS
    workers = 1
    options = {}

    @classmethod
    def missing(cls):
        settings = [word for name, value in cls.options.items() for word in ("--set", f"{name}={value}")]
        result = subprocess.run([program("daemon/rtcd"), "--no-config", *settings, "--check"], capture_output=True, text=True, check=False)
        return result.stderr.strip() if result.returncode else ""

    def __init__(self, scenario, processor):
        options = {"limits.connections-per-address": "unlimited", "limits.connections": 10000000, "resume.parked": 10000000,
                   "publish.to-group": "anyone", "connection.claimed-users": "true", "log.core": "warning", **scenario.options,
                   **self.options}
        self.daemon = harness.Daemon(options, config=scenario.config, workers=self.workers)
        processors = [processor] if self.workers == 1 else sorted(os.sched_getaffinity(0))[:self.workers]
        self.daemon.arguments = ["taskset", "-c", ",".join(map(str, processors)), *self.daemon.arguments]
        self.port = self.daemon.port
        self.load_arguments = ["--admin", self.daemon.admin_path]
        if scenario.kind == "api":
            self.make_key()

    def make_key(self):
        made = json.loads(self.daemon.rtcctl("-o", "json", "key", "create", "bench").stdout)
        path = os.path.join(self.daemon.directory.name, "keys")
        with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(f"{made['line']} level=operator\n")
        self.daemon.arguments += ["--set", f"auth.api-keys={path}"]
        self.load_arguments += ["--key", made["key"]]

    def __enter__(self):
        self.daemon.__enter__()
        self.pids = [self.daemon.process.pid]
        return self

    def __exit__(self, *why):
        self.daemon.__exit__(*why)


class RtcdUring(Rtcd):
    name = "rtcd-uring"
    options = {"net.flush": "uring"}


class RtcdTwoWorkers(Rtcd):
    name, workers = "rtcd-2-workers", 2


class RtcdTls(Rtcd):
    name = "rtcd-tls"
    speaks = {f"{kind}-tls" for kind in KINDS}

    def __init__(self, scenario, processor):
        super().__init__(scenario, processor)
        certificate = certificate_in(self.daemon.directory.name)
        self.daemon.arguments += ["--set", f"listen=tls:127.0.0.1:{self.port}", "--set", f"tls.certificates={certificate.item}"]
        self.load_arguments = [*self.load_arguments, "--tls"]


FLOORS_AND_RTCD = [FloorWrite, FloorBatched, FloorUring, FloorTls, Rtcd, RtcdUring, RtcdTwoWorkers, RtcdTls]
