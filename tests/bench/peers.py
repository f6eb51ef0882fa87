"""Other servers that the benchmark measures rtcd beside: how each is started, found and stopped, and what is said to it.

Each is a class like those in bench.py: Peer(scenario, processor) is a context manager, and inside it the server listens on
`port`, `pids` are the processes whose CPU and memory count, and `speech` names what the load generator must speak. The class
docstrings say what that is, byte for byte: G is a group, DATA a payload. `speaks` are the kinds of scenario it can take part
in. missing() says why a peer cannot be measured here, if so. No logs, TLS, compression, persistence or heartbeats: the same
for all. It knows nothing of figures.
"""

import filecmp
import functools
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NODE_FOLDER = os.path.join(ROOT, "build-bench", "peers")
NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
CONNECTIONS = 16384     # more than any scenario opens
PATIENCE_S = 20

sys.path.insert(0, os.path.join(ROOT, "tests/integration"))


class Peer:
    """What the servers have in common: a process of its own, in a directory of its own, on a port of its own."""

    name = speech = ""
    speaks = frozenset({"idle", "fanout", "echo", "connect"})
    load_arguments = []
    programs = ()           # that must be installed
    environment = {}

    @classmethod
    def missing(cls):
        """Why it cannot be measured here; empty if it can."""
        absent = [program for program in cls.programs if not find_program(program)]
        return f"not installed: {', '.join(absent)} (tests/install tests/bench/packages)" if absent else ""

    def __init__(self, scenario, processor):
        # Here and not above: bench.py says which build harness takes before anyone loads it.
        from harness import free_port
        self.scenario, self.processor, self.port = scenario, processor, free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="rtcd-bench-")
        self.process, self.pids = None, []

    def command(self):
        """The command line, once what it reads has been written."""
        raise NotImplementedError

    def find_pids(self):
        return [self.process.pid]

    def write_config(self, text):
        path = os.path.join(self.directory.name, "config")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def said(self):
        with open(os.path.join(self.directory.name, "output"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_listening(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.said()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        from harness import wait_until
        with open(os.path.join(self.directory.name, "output"), "wb") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            env=dict(os.environ, **self.environment),
                                            preexec_fn=lambda: os.sched_setaffinity(0, {self.processor}))
        try:
            wait_until(self.is_listening, f"{self.name} on port {self.port}", PATIENCE_S)
            self.pids = wait_until(self.find_pids, f"the processes of {self.name}", PATIENCE_S)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *why):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            for pid in {self.process.pid, *self.pids}:
                os.kill(pid, 9)
            self.process.wait()
        self.directory.cleanup()


def find_program(name):
    """Servers stand in sbin, which is not in everybody's PATH."""
    return name if os.path.isabs(name) and os.path.exists(name) else shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Nchan(Peer):
    """nginx with nchan, one worker. Payloads are opaque.

    WebSocket, no subprotocol: GET /websocket?group=G is a member, whom each message comes to as one text frame, DATA and nothing
    else. GET /publish?group=G is a publisher, each of whose text frames is DATA; nothing is answered. GET /both?group=G is
    both in one.
    Long poll: GET /poll?group=G waits for the next message, and answers 200 with DATA as its body and the headers
    Last-Modified and Etag; the next poll returns them as If-Modified-Since and If-None-Match.
    Server-sent events: GET /sse?group=G with Accept: text/event-stream; each message is "id: ...\\ndata: DATA\\n\\n".
    HTTP publishing: POST /publish?group=G with DATA as its body, answered 201 or (nobody listens) 202.
    """

    name, speech = "nchan", "nchan"
    speaks = Peer.speaks | {"longpoll", "sse", "api"}
    programs = ("nginx", NCHAN_MODULE)

    def command(self):
        folders = "".join(f"    {kind}_temp_path {self.directory.name}/{kind};\n"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # Started by root, a worker would otherwise become a user who may not enter the directory.
        user = f"user {pwd.getpwuid(os.geteuid()).pw_name};" if os.geteuid() == 0 else ""
        locations = "".join(f"        location = /{path} {{ {directive}; nchan_channel_id $arg_group; }}\n" for path, directive in (
            ("websocket", "nchan_subscriber websocket"), ("sse", "nchan_subscriber eventsource"),
            ("poll", "nchan_subscriber longpoll"), ("publish", "nchan_publisher"), ("both", "nchan_pubsub websocket")))
        return [find_program("nginx"), "-c", self.write_config(f"""
load_module {NCHAN_MODULE};
daemon off;
{user}
worker_processes 1;
pid {self.directory.name}/pid;
error_log stderr crit;
events {{ worker_connections {CONNECTIONS}; }}
http {{
{folders}
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    nchan_message_buffer_length 1024;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        nchan_subscriber_first_message newest;
{locations}    }}
}}
""")]

    def find_pids(self):
        """The worker; the master only waits."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]


class Mosquitto(Peer):
    """Mosquitto, by MQTT 3.1.1 over WebSocket, quality of service 0. Payloads are opaque, a topic is a group.

    GET /mqtt with the subprotocol mqtt; all frames are binary. N below is the rest's length, 7 bits a byte, low bits first, the
    high bit set if more follow. Texts are two bytes of length, big end first, and the bytes.
    Client: 10 N 00 04 "MQTT" 04 02 00 00 text(ID): CONNECT, clean session, no keep-alive; each client an ID of its own.
    Server: 20 02 00 00.
    Client: 82 N 00 01 text(G) 00: SUBSCRIBE. Server: 90 03 00 01 00.
    Publish, and what a member receives, byte for byte the same: 30 N text(G) DATA. One frame may hold several packets, and one
    packet may come in several frames.

    Debian 12's libwebsockets lets nobody else poll its listening socket, so that Mosquitto at rest accepts only every 100 ms,
    all who are waiting: open many at a time (64 at a time are 300 connections a second), and expect nothing of the rate, which
    is why it does not take part in connect. What is open is not slowed.
    """

    name, speech = "mosquitto", "mqtt"
    speaks = Peer.speaks - {"connect"}
    programs = ("mosquitto",)

    def command(self):
        # 2.0.11 exits when all of its listeners are WebSocket ones, which its count leaves out; hence the Unix socket. Without
        # the socket domain it binds all addresses, whatever address is named.
        return [find_program("mosquitto"), "-c", self.write_config(f"""
user {pwd.getpwuid(os.geteuid()).pw_name}
listener {self.port} 127.0.0.1
protocol websockets
socket_domain ipv4
listener 0 {self.directory.name}/socket
allow_anonymous true
persistence false
max_queued_messages 0
set_tcp_nodelay true
log_dest none
""")]


class Nats(Peer):
    """nats-server, by the NATS protocol over WebSocket, on one processor. Payloads are opaque, a subject is a group.

    GET / without a subprotocol; all frames are binary, and the protocol is a stream: a frame may hold several messages, and a
    message may come in several frames.
    Server: INFO {...}\\r\\n
    Client: CONNECT {"verbose":false,"pedantic":false}\\r\\nPING\\r\\n      Server: PONG\\r\\n (the client is known)
    Client: SUB G 1\\r\\nPING\\r\\n      Server: PONG\\r\\n (it is a member)
    Publish: PUB G N\\r\\nDATA\\r\\n, with N the length of DATA in decimal digits. A member receives MSG G 1 N\\r\\nDATA\\r\\n.
    Once, some seconds in, the server sends PING\\r\\n, which need not be answered within a run.
    """

    name, speech = "nats-server", "nats"
    programs = ("nats-server",)
    environment = {"GOMAXPROCS": "1"}

    def command(self):
        return [find_program("nats-server"), "-c", self.write_config(f"""
host: 127.0.0.1
port: -1
websocket {{ host: 127.0.0.1, port: {self.port}, no_tls: true, compression: false }}
ping_interval: "1h"
log_file: "/dev/null"
""")]


class Node(Peer):
    """What runs on node, with packages that npm puts into the build directory."""

    programs = ("node", "npm")
    environment = {"NODE_PATH": os.path.join(NODE_FOLDER, "node_modules"), "NODE_ENV": "production"}
    script = ""

    @classmethod
    def missing(cls):
        return super().missing() or install_node_packages()

    def command(self):
        return [find_program("node"), os.path.join(HERE, self.script), str(self.port)]


@functools.cache
def install_node_packages():
    """What package.json names, unless it is there already. Returns why that failed; empty if it did not."""
    wanted, present = os.path.join(HERE, "package.json"), os.path.join(NODE_FOLDER, "package.json")
    if os.path.exists(present) and filecmp.cmp(wanted, present, shallow=False):
        return ""
    os.makedirs(NODE_FOLDER, exist_ok=True)
    shutil.copyfile(wanted, present)
    result = subprocess.run([find_program("npm"), "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts",
                             "--loglevel=error"], cwd=NODE_FOLDER, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode == 0:
        return ""
    os.unlink(present)      # the next run tries again
    return f"npm install failed: {' '.join(result.stderr.split()) or result.returncode}"


class SocketIo(Node):
    """socket.io over WebSocket, a room a group. Payloads are JSON texts without characters that need an escape.

    GET /socket.io/?EIO=4&transport=websocket&group=G is a member, the same without group is not. All frames are text.
    Server: 0{"sid":...}. Client: 40. Server: 40{"sid":...}: the client is known, and a member.
    Publish: 42["publish","G","DATA"]. A member receives 42["bench","DATA"].
    """

    name, speech, script = "socket.io", "socketio", "socketio_server.js"


class Ws(Node):
    """A plain broadcaster on node's ws. Payloads are opaque.

    GET /?group=G is a member, whom each message comes to as one text frame, DATA and nothing else. GET /?to=G is a publisher,
    each of whose text frames is DATA. GET /?group=G&to=G is both in one. No subprotocol, no greeting. In a scenario of the
    kind echo each message goes back to its sender alone.
    """

    name, speech, script = "ws", "ws", "ws_server.js"

    def command(self):
        return super().command() + (["--echo"] if self.scenario.kind == "echo" else [])


PEERS = [Nchan, Mosquitto, Nats, SocketIo, Ws]
