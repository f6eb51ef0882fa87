"""The rig's machines: the cutting proxy, and the drivers, each of which is one client library behind pipes.

Drivers take commands on standard input and say on standard output what they see, one JSON object a line. The words are those
of the clients' API. One driver holds thousands of clients; `client` names one, in each command and in all that is seen.

    {"do": "build", "client": C, PROPERTIES}    url, transports, protocols, user, headers, reconnectDelays, reconnectJitter,
                                                retryFirst, keepAlive, timeout, openTimeout, upgrade, queue: {envelopes, bytes};
                                                accessToken: a text; or a list: a function that returns them one after the
                                                other, the last again and again, null for none;
                                                reconnectPolicy: a list of delays, the last again and again, null: give up;
                                                tls: {caFile, serverName}; quiet: true: only `close`, `refused`, `counted`
    {"do": "start" | "stop" | "free"}
    {"do": "on" | "off", "event": E, "handler": H}      "*": events without a handler of their own; off without handler: all
    {"do": "send", "event": E, "data": D}
    {"do": "sendTo", "to": {"group": G, "exceptSelf": true}, "event": E, "data": D, "key": K}
    {"do": "invoke", "event": E, "data": D, "to": {…}, "timeout": MS, "id": I}
    {"do": "join" | "leave", "group": G, "since": {…}, "last": N, "id": I}
    {"do": "ask", "id": I}                      what the client's properties are, and how far it has counted
    {"do": "count", "group": G, "to": N, "window": W}
                                                joins G, sends 1 … N to it, W at a time, the next ones when these are back, and
                                                when N is back, N + 1. Once that is back, all that came is seen in one `counted`

    {"saw": "state", "from": S, "to": S}        {"saw": "reconnecting", "code": …, "message": …}
    {"saw": "reconnected", "resumed": B, "unacknowledged": N}           {"saw": "close", "code": …, "message": …}
    {"saw": "event", "event": E, "data": D, "handler": H}, and group, offset, key, from where they came
    {"saw": "reply", "id": I, "data": D}, or with "error": {"code": …, "message": …} in place of data
    {"saw": "answer", "id": I, "state": S, "connectionId": …, "userId": …, "transport": …, "protocol": …}
    {"saw": "refused", "do": WORD, "code": …, "message": …}             the call failed (build, start, send, invoke, …)
    {"saw": "token"}                            the token function was asked
    {"saw": "policy", "attempt": N, "isFirstConnect": B, "code": …}     the reconnect policy was asked
    {"saw": "counted", "numbers": [1, 2, …], "resumed": N}              how often it came back, and to the same connection
    {"saw": "stopped"}                          what stop() does is over, where the library says so

Environment: BUILD, the build directory; NODE, which node runs rtc.js; RIG_VALGRIND, librtc's driver is run by valgrind.
Data is JSON; bytes are {"$binary": BASE64} in it, whatever the protocol is.
"""

import collections
import contextlib
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("BUILD", "build-test")         # which build harness takes
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))

from harness import BUILD, PATIENCE_S

CLIENTS = ("librtc", "rtc.js")
IS_CHECKED = bool(os.environ.get("RIG_VALGRIND"))       # librtc runs under valgrind
MEMCHECK = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]


class Proxy:
    """The proxy before a daemon's port. Addresses are handed out by fresh(), one a scenario."""

    def __init__(self, port):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/clients/proxy"), str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.lock = threading.Lock()
        self.next = 0

    def command(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        assert line, f"the proxy did not take {words}"
        return json.loads(line)

    def fresh(self):
        with self.lock:
            self.next += 1
            return f"127.{1 + self.next // 65536}.{self.next // 256 % 256}.{self.next % 256}"

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        assert code == 0, f"the proxy ended with {code}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()


DAMAGES = ("reset", "end", "half", "stall")


def encoded_address(direction, offset, damage="reset"):
    """The address whose links are damaged once, as proxy.h says."""
    assert offset < 1 << 20
    number = 1 << 23 | (direction == "down") << 22 | DAMAGES.index(damage) << 20 | offset
    return f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def driver_command(library):
    if library == "rtc.js":
        packages = os.path.join(ROOT, "build-js/node_modules")
        if not os.path.isdir(packages):
            raise RuntimeError("npm's packages are not there yet; tests/run js or tests/run clients installs them")
        return [os.environ.get("NODE", "node"), os.path.join(HERE, "driver.mjs"), packages]
    command = [os.path.join(BUILD, "tests/clients/driver")]
    return MEMCHECK + command if IS_CHECKED else command


class Driver:
    """A driver's process, and what its clients have seen and nobody has asked for yet: by client, and by kind."""

    def __init__(self, library, sink=None, **environment):
        """sink: who takes what is seen, in place of see()."""
        self.library, self.sink = library, sink
        self.process = subprocess.Popen(driver_command(library), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=dict(os.environ, **environment), text=True, encoding="utf-8", errors="replace")
        self.changed = threading.Condition()
        self.writing = threading.Lock()
        self.seen = collections.defaultdict(lambda: collections.defaultdict(collections.deque))
        self.log = collections.deque(maxlen=20000)      # what the library says, for people
        self.has_ended = False
        for target in (self._read, self._read_log):
            threading.Thread(target=target, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            thing = json.loads(line)
            if self.sink:
                self.sink(thing)
                continue
            with self.changed:
                self.seen[thing.pop("client", None)][thing.pop("saw")].append(thing)
                self.changed.notify_all()
        with self.changed:
            self.has_ended = True
            self.changed.notify_all()
        if self.sink:
            self.sink(None)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())

    def do(self, client, word, **fields):
        self.write({"do": word, "client": client, **fields})

    def write(self, *commands):
        text = "".join(json.dumps(command) + "\n" for command in commands)
        with self.writing, contextlib.suppress(BrokenPipeError):        # see() says that it has ended
            self.process.stdin.write(text)
            self.process.stdin.flush()

    def see(self, client, saw, patience_s=PATIENCE_S):
        """The next thing of that kind, once it is there."""
        deadline = time.monotonic() + patience_s
        with self.changed:
            queue = self.seen[client][saw]
            while not queue:
                left = deadline - time.monotonic()
                if self.has_ended:
                    raise AssertionError(f"the driver ended with {self.process.wait()}: {self.said()}")
                if left <= 0 or not self.changed.wait(left):
                    raise AssertionError(f"{client} waited {patience_s} s in vain for: {saw}; not asked for: {self.rest(client)}")
            return queue.popleft()

    def rest(self, client):
        """What it saw that nobody asked for."""
        with self.changed:
            return {kind: list(queue) for kind, queue in self.seen[client].items() if queue}

    def forget(self, client):
        with self.changed:
            self.seen.pop(client, None)

    def said(self):
        return "\n".join(list(self.log)[-400:])

    def close(self):
        """Ends it in good order: its standard input ends, and it frees all that it has."""
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_S * (10 if IS_CHECKED else 1))
        assert code == 0, f"the driver of {self.library} ended with {code}: {self.said()}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.close()
        finally:
            self.kill()
