"""What the benchmark measures: one row a scenario. It knows no servers but by name."""

import dataclasses


@dataclasses.dataclass
class Figure:
    key: str            # in what load prints
    title: str
    scale: float = 1    # what is printed is the value divided by this
    places: int = 2
    has_ratio: bool = True


@dataclasses.dataclass
class Target:
    """`server`'s figure is to be at most, or at least, `limit`: as it stands, or times that of `of` in the same round, or times
    its own in another scenario."""
    server: str
    figure: str
    limit: float
    of: str = ""
    scenario: str = ""
    at_least: bool = False

    def __str__(self):
        what = self.of or self.scenario
        return f"{'>=' if self.at_least else '<='} {self.limit:,g}{' x ' + what if what else ''}"


@dataclasses.dataclass
class Scenario:
    title: str
    kind: str                   # what a server must be able to do
    arguments: list             # of load
    figures: list               # the first is what is drawn
    base: str = ""              # the server that all others are related to
    load: str = ""              # the kind of load; empty: `kind`
    suffix: str = ""            # the members' speech is the server's with this behind it, where load knows it
    mix: str = ""               # the same for every other member
    options: dict = dataclasses.field(default_factory=dict)     # of rtcd
    config: str = None          # the text of rtcd's file; None: it has none
    servers: tuple = ("rtcd",)  # beside the base and, where has_peers, the peers
    targets: list = dataclasses.field(default_factory=list)
    is_default: bool = True
    has_peers: bool = True
    clients: int = 1000         # load opens as many, or as many as this machine allows


CPU = Figure("cpu_ns", "CPU per delivery, us", 1000)
RATE = Figure("rate", "deliveries/s", 1, 0)
P50, P99 = Figure("p50_ns", "p50, us", 1000, 1), Figure("p99_ns", "p99, us", 1000, 1)      # of slices: load_latency.c
WAITED = Figure("waited_percent", "% of the time that others had the server's CPU", 1, 1, has_ratio=False)   # where it is not small, latency says little
LIMIT = "--limit=2500"      # ms; a slower server is not waited for, and sends less

SIZES = {128: "128 B", 1024: "1 KiB", 16384: "16 KiB"}
WINDOWS = (1, 4, 32)
ENCODINGS = {"": "JSON", "msgpack": "MessagePack", "mixed": "JSON and MessagePack, half of the members each"}
DELIVERIES = {1: 300, 4: 1000, 32: 4000}        # in a run, thousands, at 128 B
DEFAULT_FANOUTS = {"fanout-128", "fanout-128-window-4", "fanout-128-window-32", "fanout-1024-window-4", "fanout-16384-window-4",
                   "fanout-128-msgpack", "fanout-128-mixed", "fanout-128-mixed-window-4", "fanout-10k-128", "fanout-10k-128-window-32"}


def fanout_name(members, size, encoding, window):
    return "-".join(["fanout", *(["10k"] if members == 10000 else []), str(size), *([encoding] if encoding else []),
                     *(["window", str(window)] if window > 1 else [])])


def fanout_targets(members, size, encoding, window, base):
    if encoding == "mixed":
        return [Target("rtcd", "cpu_ns", 1.10, scenario=fanout_name(members, size, "", window))]
    uring = [Target("rtcd-uring", "cpu_ns", 0.85, of=base)] if size == 128 and window > 1 else []
    return [Target("rtcd", "cpu_ns", 1.05, of=base), *uring]


def fanout(members, size, encoding, window):
    name = fanout_name(members, size, encoding, window)
    base = "floor" if window == 1 and size < 16384 else "floor-batched"
    messages = max(WINDOWS[-1] + 1, DELIVERIES[window] * 1000 // members // (4 if size == 16384 else 1))
    title = f"fan-out to {members:,} members, {SIZES[size]}, {ENCODINGS[encoding]}, {window} in flight"
    return name, Scenario(title, "fanout", [f"--bytes={size}", f"--messages={messages}", f"--window={window}", LIMIT], [CPU, RATE], base,
                          suffix="-msgpack" if encoding == "msgpack" else "", mix="-msgpack" if encoding == "mixed" else "",
                          servers=("rtcd", "rtcd-uring"), targets=fanout_targets(members, size, encoding, window, base),
                          is_default=name in DEFAULT_FANOUTS, has_peers=members == 1000 and not encoding, clients=members)


def idle(transport, clients, limit, is_default=True):
    # Pings come soon, so that what everybody has received is soon acknowledged.
    return Scenario(f"{clients:,} idle connections over {transport}, each with a user, in one group",
                    "idle" if transport == "websocket" else transport, [],
                    [Figure("bytes", "RSS per connection, bytes", 1, 0), Figure("after_bytes", "after a broadcast to all", 1, 0)],
                    "floor" if transport == "websocket" else "", load="idle",
                    suffix="" if transport == "websocket" else f"-{transport}", options={"connection.keep-alive": "2s"},
                    targets=[Target("rtcd", key, limit) for key in ("bytes", "after_bytes")], is_default=is_default, clients=clients)


def admin(clients, targets, is_default=True):
    return Scenario(f"publishing over the admin socket to 1,000 groups, which {clients:,} connections share, 128 B", "admin",
                    ["--groups=1000", "--messages=200000", "--window=1024"],
                    [Figure("published_a_cpu_second", "messages per CPU second", 1, 0), RATE], targets=targets, is_default=is_default,
                    clients=clients)


def api_publish(publishers, members, batch=1):
    """Beside nchan, to which each message is a request of its own."""
    name = "-".join(["api-publish", "batch" if batch > 1 else str(publishers), *([f"to-{members}"] if members > 1 else [])])
    title = (f"publishing by HTTP over {publishers} connection{'s' * (publishers > 1)}{f', {batch} in a request' if batch > 1 else ''} to a group of {members}, "
             "128 B")
    arguments = [f"--publishers={publishers}", f"--batch={batch}", f"--messages={20000 if publishers == 1 and batch == 1 else 60000}", LIMIT]
    return name, Scenario(title, "api", arguments, [Figure("published_a_cpu_second", "messages per CPU second", 1, 0), Figure("cpu_ns", "CPU per message, us", 1000),
                                                    Figure("rate", "messages/s", 1, 0), Figure("lost_percent", "% lost on the way to the members", has_ratio=False)],
                          "nchan", targets=[Target("rtcd", "published_a_cpu_second", 1.3, of="nchan", at_least=True), Target("rtcd", "lost_percent", 0)],
                          clients=members)


def deflate(size, window):
    """With the same load as the fan-out that it is compared to."""
    plain = fanout_name(1000, size, "", window)
    arguments = [f"--bytes={size}", f"--messages={DELIVERIES[window] // (4 if size == 16384 else 1)}", f"--window={window}", LIMIT]
    title = f"fan-out to 1,000 members, {SIZES[size]}, JSON, {window} in flight, compressed once for all (permessage-deflate)"
    return f"deflate-{size}", Scenario(title, "deflate", arguments, [CPU, RATE], load="fanout", suffix="-deflate", servers=("rtcd",),
                                       options={"compression.websocket": "true"}, targets=[Target("rtcd", "cpu_ns", 1.10, scenario=plain)])


def fanout_tls(window):
    targets = [Target("rtcd-tls", "cpu_ns", 0.6, scenario="fanout-tls")] if window > 1 else []
    return Scenario(f"fan-out to 1,000 members over TLS, 128 B, {window} in flight", "fanout-tls", [f"--messages={300 * window}", f"--window={window}", LIMIT],
                    [CPU, RATE], "floor-tls", load="fanout", servers=("rtcd-tls",), has_peers=False, targets=targets)


def flood(what, title, is_tls=True, **more):
    """p99 of a client that echoes, beside its own without the flood."""
    server = "rtcd-tls" if is_tls else "rtcd"
    return Scenario(f"a client echoes, without and with a flood of {title}", "flood-tls" if is_tls else "flood", [f"--flood={what}", "--messages=2000"],
                    [Figure("to_quiet", "p99 beside that without"), P99, Figure("quiet_p99_ns", "p99 without, us", 1000, 1), P50,
                     Figure("flood_rate", "of the flood, answered/s", 1, 0, has_ratio=False)],
                    **{"load": "flood", "servers": (server,), "targets": [Target(server, "to_quiet", 2)], "has_peers": False, "clients": 1, **more})


SCENARIOS = {
    "idle": idle("websocket", 10000, 512),
    "idle-sse": idle("sse", 10000, 768),
    "idle-longpoll": idle("longpoll", 10000, 768),
    "idle-100k": idle("websocket", 100000, 512, is_default=False),
    **dict(fanout(members, size, encoding, window) for members in (1000, 10000) for size in SIZES for encoding in ENCODINGS
           for window in WINDOWS),
    **dict(deflate(size, 4) for size in (1024, 16384)),
    "fanout-slow-tenth": Scenario("fan-out to 1,000 members, 1 KiB, 4 in flight, and a tenth of them reads nothing", "fanout",
                                  ["--bytes=1024", "--messages=1000", "--window=4", "--deaf=10", LIMIT], [CPU, RATE], "floor-batched",
                                  has_peers=False),
    "fanout-sse": Scenario("fan-out to 1,000 members over server-sent events, 128 B, 1 in flight", "sse",
                           ["--messages=300", LIMIT], [CPU, RATE], "nchan", load="fanout", suffix="-sse"),
    "fanout-longpoll": Scenario("fan-out to 1,000 members over long polling, 128 B, 1 in flight", "longpoll", ["--messages=150", LIMIT],
                                [CPU, RATE], "nchan", load="fanout", suffix="-longpoll",
                                targets=[Target("rtcd", "cpu_ns", 0.6, of="nchan")]),
    "groups": Scenario("250 groups of 4 members, a publisher in each, 128 B, 1 in flight in each group", "fanout",
                       ["--groups=250", "--messages=75000", LIMIT], [CPU, RATE], "floor", load="groups", servers=("rtcd", "rtcd-uring")),
    "echo": Scenario("echo at rest: one client, 128 B", "echo", ["--messages=20000"],
                     [P50, P99, Figure("cpu_ns", "CPU per echo, us", 1000)], "floor", clients=1),
    "echo-half-load": Scenario("echo at half of the load that the server's CPU allows: 50 clients, 128 B", "echo", ["--messages=100000", LIMIT],
                               [P99, P50, Figure("rate", "echoes/s", 1, 0), WAITED], "floor", load="half", clients=50,
                               targets=[Target("rtcd", "p99_ns", 1.2, of="floor")]),
    "connect": Scenario("connect storm: 10,000 clients, 500 under way at a time", "connect", ["--at-once=500"],
                        [Figure("cpu_ns", "CPU per connection, us", 1000, 1), Figure("rate", "connections/s", 1, 0)], "floor",
                        clients=10000),
    "resume": Scenario("10,000 clients lose their links, miss 20 messages, and come back for them, 500 under way at a time", "resume",
                       ["--at-once=500", "--missed=20"],
                       [Figure("resume_ns", "until all have caught up, ms", 1e6, 0), Figure("bare_ns", "10,000 bare connects, ms", 1e6, 0),
                        Figure("to_bare", "ratio of the two"), Figure("cpu_ns", "CPU per client, us", 1000, 1)],
                       targets=[Target("rtcd", "to_bare", 1.5)], clients=10000),
    "comeback": Scenario("10,000 clients of librtc in one process lose their links at once, reconnect and resume, and each gets what one said meanwhile",
                         "comeback", ["--at-once=500"],
                         [Figure("comeback_ns", "until all are back and have it, ms", 1e6, 0), Figure("clients", "clients that its open files allow", 1, 0),
                          Figure("cpu_ns", "server's CPU per client, us", 1000, 1), Figure("client_cpu_ns", "librtc's CPU per client, us", 1000, 1)],
                         clients=10000),
    "admin-publish": admin(10, [Target("rtcd", "published_a_cpu_second", 200000, at_least=True)]),
    "admin-publish-1k": admin(1000, [], is_default=False),
    **dict(api_publish(*row) for row in ((1, 1), (1, 10), (32, 1), (32, 10), (1, 1, 100), (1, 10, 100))),
    "history-reads": Scenario("32 clients ask for the last 100 envelopes of a group, 128 B each (rtc.history)", "history", ["--messages=20000"],
                              [Figure("reads_a_cpu_second", "answers per CPU second", 1, 0), Figure("cpu_ns", "CPU per answer, us", 1000),
                               Figure("rate", "answers/s", 1, 0)],
                              config='groups: [{match: "**", history-envelopes: 100, history: anyone, publish: anyone}]\n', clients=32, has_peers=False),
    "idle-tls": Scenario("4,000 idle connections over WebSocket and TLS, each with a user, in one group", "idle-tls", [],
                         [Figure("bytes", "RSS per connection, bytes", 1, 0), Figure("after_bytes", "after a broadcast to all", 1, 0)],
                         "floor-tls", load="idle", options={"connection.keep-alive": "2s"}, servers=("rtcd-tls",), has_peers=False,
                         targets=[Target("rtcd-tls", key, 1.05, of="floor-tls") for key in ("bytes", "after_bytes")], clients=4000),
    "fanout-tls": fanout_tls(1),
    "fanout-tls-window-4": fanout_tls(4),
    "flood-hello": flood("hello", "TLS handshakes begun and abandoned, of which an address may have 60 a minute",
                         options={"limits.handshakes-per-address": "60"}),
    "flood-hello-unlimited": flood("hello", "TLS handshakes begun and abandoned, without a limit", targets=[], is_default=False),
    "flood-garbage": flood("garbage", "what only looks like a TLS handshake"),
    "flood-http": flood("http", "bad HTTP requests", is_tls=False),
    "workers": Scenario("one worker and two: fan-out to 1,000 members, 128 B, 1 in flight", "fanout", ["--messages=300", LIMIT],
                        [Figure("capacity", "deliveries per CPU second of the busiest thread", 1, 0), RATE, CPU], "rtcd",
                        servers=("rtcd-2-workers",), has_peers=False,
                        targets=[Target("rtcd-2-workers", "capacity", 1.8, of="rtcd", at_least=True)]),
}
