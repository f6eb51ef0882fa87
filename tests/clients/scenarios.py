"""What both clients must do, written once as data: each scenario is a list of steps, which play.py plays with one client
library, one transport and one protocol at a time, through the proxy, against the real daemon.

Steps are tuples. In all of them a text "$name" stands for a value: "$g" and "$h" for groups of this run's own, "$ask" for an event, "$url" for the
daemon's address through the proxy, "$fake" for the fake server's, "$direct" for a port where nobody listens; "$a.connectionId"
for what client a answered last. Clients are called a, b, c.

What is seen is taken in the order in which it came, each kind for itself: see("a", "event", data=1) is false when a's next
event has other data. A scenario fails when events, replies, refusals or closes are left that no step asked for.
"""

import dataclasses

TRANSPORTS = ("websocket", "sse", "longpoll", "shortpoll")
WAYS = tuple((transport, protocol) for transport in TRANSPORTS for protocol in ("json", "msgpack") if (transport, protocol) != ("sse", "msgpack"))
ONE = (("websocket", "json"),)          # for what has to do with no transport
CUT_OFF = ("network",)


@dataclasses.dataclass
class Scenario:
    steps: list
    ways: tuple = WAYS
    options: dict = None                # the daemon's, which is then one of the scenario's own
    config: str = None                  # its config file, besides
    fake: str = ""                      # the fake server (fakes.py) that takes part
    loose: tuple = ()                   # kinds of what may be left over


def do(client, word, **fields):
    """A command of the driver; see rig.py."""
    return "do", client, word, fields


def see(client, saw, **fields):
    """The next thing of that kind has these fields. A tuple: one of these; a type: any of it."""
    return "see", client, saw, fields


def nothing(client, *kinds):
    """Nothing of these kinds is left that nobody asked for."""
    return "nothing", client, kinds


def until(client, **fields):
    """Asks for the client's properties until they are so."""
    return "until", client, fields


def proxy(*words):
    """A command to the proxy, with this scenario's address behind its first word."""
    return "proxy", words


def daemon(word):
    """stop, start, kill, pause, go_on; or a number: wait until it knows just so many connections of this scenario."""
    return "daemon", word


def publish(event, data, **to):
    """The daemon publishes; a number `recipients` says to how many."""
    return "publish", event, data, to


def handle(event):
    """A program at the server handles these events from now on."""
    return "handle", event


def taken(data):
    """The program has the next one, with this data."""
    return "taken", data


def answer(data=None, **error):
    """The program replies to it: with data, or with error=CODE, message=TEXT."""
    return "answer", data, error


def publish_numbers(group, count):
    return "publish_numbers", group, count


def see_numbers(client, count):
    return "see_numbers", client, count


def parked(client):
    """The daemon has noticed that the client's transport is gone."""
    return "parked", client


def disconnect(client, **how):
    return "disconnect", client, how


def take_out(client, group):
    """An operator does, of a group."""
    return "take_out", client, group


def counted(client, count):
    """What count came to: 1 to count + 1, in order, once."""
    return "see", client, "counted", {"numbers": list(range(1, count + 2))}


def build(client, **more):
    return do(client, "build", **more)


def connect(client, **more):
    return [build(client, **more), do(client, "start"), *connected(client)]


def connected(client):
    return [see(client, "state", **{"from": "stopped", "to": "connecting"}), see(client, "state", **{"from": "connecting", "to": "connected"})]


def member(client, group="$g", **more):
    """Connects, listens for n, and joins."""
    return [*connect(client, **more), do(client, "on", event="n", handler="n"), *join(client, group)]


def join(client, group):
    return [do(client, "join", group=group, id=1), see(client, "reply", id=1, data=dict)]


def stop(client):
    return [do(client, "stop"), see(client, "close", code="stopped"), see(client, "state", to="stopped")]


def send(client, data, group="$g", event="n", **to):
    return do(client, "sendTo", to={"group": group, **to}, event=event, data=data)


def event(client, data, **more):
    return see(client, "event", event="n", data=data, **more)


def told(event_name, handler, who, count, user):
    """What a learns of who came or went; that one was asked for its id before."""
    return see("a", "event", event=event_name, handler=handler, group="$g", data={"group": "$g", "count": count, "members": [
        {"connectionId": f"${who}.connectionId", "userId": user}]})


def cut_off():
    """All links break, and none can be opened."""
    return [proxy("manner", "refuse"), proxy("now", "up", "reset")]


def reconnecting(client, codes=CUT_OFF):
    return [see(client, "state", **{"from": "connected", "to": "reconnecting"}), see(client, "reconnecting", code=codes)]


def reconnected(client, resumed, unacknowledged=0):
    return [see(client, "state", **{"from": "reconnecting", "to": "connected"}),
            see(client, "reconnected", resumed=resumed, unacknowledged=unacknowledged)]


def fails(code, *more_codes, **properties):
    """A client that cannot connect says why, once, and is stopped."""
    return [build("a", **properties), do("a", "start"), see("a", "state", to="connecting"), see("a", "close", code=(code, *more_codes)),
            see("a", "state", **{"from": "connecting", "to": "stopped"})]


STATE = 'groups: [{match: "**", history-envelopes: 10, history-keep: latest-per-key, publish: anyone}]\n'
REMEMBERING = 'groups: [{match: "**", history-envelopes: 10}]\n'
ALL_PUBLISH = {"publish.to-user": "true", "publish.to-connection": "true", "publish.to-all": "true", "connection.claimed-users": "true"}
QUICK = {"connection.keep-alive": "200ms", "connection.timeout": "1s", "transports.poll-wait": "300ms"}

HASTY = {"openTimeout": 1000, "timeout": 1000}
PATIENT = {"openTimeout": 15000, "timeout": 15000}      # where an answer comes, and only what is in it counts

VALUES = [None, True, 0, -1, 1.5, 9007199254740991, -9007199254740991, 1e300, "", "héllo wörld ☃ 🎉 \u0000 \u2028 \"\\/\b\f\n\r\t", [], {}, [[], [{}]],
          {"": "empty key", "ключ": ["значение", {"深": 1}]}, [[[[[[[["deep"]]]]]]]],
          {"$binary": ""}, {"file": {"$binary": "AAECA/8="}, "name": "x"}, "x" * 60000, [{"$binary": "q83v" * 4000}]]

GREET = [
    do("a", "build"), do("a", "ask", id=1), see("a", "answer", state="stopped", connectionId=None, transport=None, protocol=None),
    do("a", "start"), *connected("a"),
    do("a", "ask", id=2), see("a", "answer", state="connected", connectionId=str, transport="$transport", protocol="$protocol", userId=None),
    *stop("a"), do("a", "ask", id=3), see("a", "answer", state="stopped"),
    # A stopped client can be started again: as another connection.
    do("a", "start"), *connected("a"), *stop("a"), daemon(0)]

CUT = [
    *member("a"), publish("n", 1, group="$g", recipients=1), event("a", 1, group="$g"),
    *cut_off(), *reconnecting("a"),
    publish("n", 2, group="$g", recipients=1), send("a", 3), send("a", 4), publish("n", 2.5, group="$g", recipients=1),
    proxy("manner", "plain"), *reconnected("a", True), event("a", 2), event("a", 2.5), event("a", 3), event("a", 4), *stop("a")]


def lost_by(direction, damage):
    """However the link goes, the client finds out, and comes back to its connection. While it waits, others publish."""
    return [*member("a", keepAlive=200, timeout=600), publish("n", 1, group="$g", recipients=1), event("a", 1),
            proxy("now", direction, damage), publish("n", 2, group="$g"), send("a", 3), event("a", 2), event("a", 3),
            do("a", "invoke", event="n", data="end", to={"group": "$g"}, id=2), event("a", "end"), see("a", "reply", id=2, error=None), do("a", "stop"), see("a", "close", code="stopped")]


RESTART = [
    *member("a"), *join("a", "$h"), do("a", "leave", group="$h", id=2), see("a", "reply", id=2),
    do("a", "join", group="x" * 300, id=3), see("a", "reply", id=3, error={"code": ("bad-envelope", "bad-argument")}),
    send("a", 1), event("a", 1),
    daemon("stop"), *reconnecting("a", ("network", "draining")), send("a", 2), daemon("start"), *reconnected("a", False, int),
    event("a", 2), publish("n", 3, group="$g", recipients=1), event("a", 3), publish("n", 4, group="$h", recipients=0), *stop("a")]

SCENARIOS = {
    "greet": Scenario(GREET),
    "targets": Scenario([
        *member("a", user="ann"), *member("b", user="bob"), *member("c", user="bob"),
        do("a", "ask", id=1), see("a", "answer", userId="ann", connectionId=str), do("b", "ask", id=1), see("b", "answer", connectionId=str),
        do("a", "sendTo", to={"user": "bob"}, event="n", data=1), event("b", 1), event("c", 1),
        do("a", "sendTo", to={"connection": "$b.connectionId"}, event="n", data=2), event("b", 2),
        do("a", "sendTo", to={"all": True}, event="n", data=3), event("a", 3), event("b", 3), event("c", 3),
        send("a", 4), event("a", 4, group="$g"), event("b", 4, group="$g"), event("c", 4, group="$g"),
        *stop("a"), *stop("b"), *stop("c")], options=ALL_PUBLISH),
    "all but the sender": Scenario([
        *member("a", user="ann"), *member("b", user="ann"),
        send("a", 1, exceptSelf=True), event("b", 1), do("a", "sendTo", to={"all": True, "exceptSelf": True}, event="n", data=2), event("b", 2),
        do("a", "sendTo", to={"user": "ann", "exceptSelf": True}, event="n", data=3), event("b", 3),
        send("b", 4), event("a", 4), event("b", 4), *stop("a"), *stop("b")], options=ALL_PUBLISH),
    "two connections of one user": Scenario([
        *member("a", user="ann"), *member("b", user="ann"), publish("n", 1, user="ann", recipients=2), event("a", 1), event("b", 1),
        *stop("a"), daemon(1), publish("n", 2, user="ann", recipients=1), event("b", 2), *stop("b")], options=ALL_PUBLISH),
    "a thousand in order, both ways": Scenario([
        *connect("a", queue={"envelopes": 2000}), do("a", "count", group="$g", to=1000, window=200), counted("a", 1000), *stop("a")]),
    "a thousand in order, downwards": Scenario([
        *member("a"), publish_numbers("$g", 1000), see_numbers("a", 1000), *stop("a")]),
    "values": Scenario([
        *member("a"), *(step for value in VALUES for step in (send("a", value), event("a", value))),
        do("a", "sendTo", to={"group": "$g"}, event="n"), event("a", None), *stop("a")]),
    "values of the daemon's": Scenario([
        *member("a"), *(step for value in VALUES[:-2] for step in (publish("n", value, group="$g"), event("a", value))), *stop("a")]),
    # JavaScript's libraries fear this key; whoever may publish must not be able to stop all others by it.
    "a key that cannot be decoded everywhere": Scenario([
        *member("a"), publish("n", {"__proto__": 1}, group="$g", recipients=1), publish("n", {"end": 1}, group="$g", recipients=1),
        see("a", "event", data=({"__proto__": 1}, {"end": 1})), do("a", "invoke", event="n", data="end", to={"group": "$g"}, id=2), see("a", "reply", id=2),
        nothing("a", "state", "reconnecting"), *stop("a")], loose=("event",)),
    "invoke": Scenario([
        *member("a"), do("a", "invoke", event="n", data=1, to={"group": "$g"}, id=2), event("a", 1), see("a", "reply", id=2, error=None),
        do("a", "invoke", event="ask", id=3), see("a", "reply", id=3, error={"code": "no-handler"}),
        do("a", "invoke", event="n", to={"connection": "00000000-0000-4000-8000-000000000000"}, id=4),
        see("a", "reply", id=4, error={"code": ("not-found", "forbidden")}), *stop("a")]),
    "an invoke that nobody answers": Scenario([
        *member("a"), daemon("pause"), do("a", "invoke", event="ask", timeout=100, id=2), see("a", "reply", id=2, error={"code": "timeout"}),
        daemon("go_on"), do("a", "invoke", event="ask", id=3), see("a", "reply", id=3, error={"code": "no-handler"}), nothing("a", "reply"),
        *stop("a")], options={}),
    "an invoke that a handler answers": Scenario([
        *connect("a"), handle("$ask"),
        *(step for value in VALUES[:-2] for step in (do("a", "invoke", event="$ask", data=value, id=2), taken(value), answer(value),
                                                     see("a", "reply", id=2, data=value))),
        do("a", "invoke", event="$ask", id=3), taken(None), answer(error="forbidden", message="not you"),
        see("a", "reply", id=3, error={"code": "forbidden", "message": str}),
        do("a", "invoke", event="$ask", id=4), taken(None), answer(error="sold-out", message="none is left"),
        see("a", "reply", id=4, error={"code": "sold-out", "message": str}),
        do("a", "send", event="$ask", data=5), taken(5), do("a", "invoke", event="$ask", id=6), taken(None), answer(6),
        see("a", "reply", id=6, data=6), *stop("a")]),
    "a handler's reply across a cut": Scenario([
        *connect("a"), handle("$ask"), do("a", "invoke", event="$ask", data=1, id=2), taken(1), *cut_off(), *reconnecting("a"), answer("once"),
        proxy("manner", "plain"), *reconnected("a", True), see("a", "reply", id=2, data="once"), do("a", "invoke", event="$ask", data=2, id=3),
        taken(2), answer("more"), see("a", "reply", id=3, data="more"), nothing("a", "reply"), *stop("a")]),
    "join and leave": Scenario([
        *member("a"), publish("n", 1, group="$g", recipients=1), event("a", 1), *join("a", "$h"), publish("n", 2, group="$h", recipients=1),
        event("a", 2, group="$h"), do("a", "leave", group="$g", id=2), see("a", "reply", id=2, error=None),
        publish("n", 3, group="$g", recipients=0), publish("n", 4, group="$h", recipients=1), event("a", 4), *stop("a")]),
    "a refused join": Scenario([
        *member("a"), do("a", "join", group="$h", id=2), see("a", "reply", id=2, error={"code": "forbidden", "message": str}),
        publish("n", 1, group="$g", recipients=1), event("a", 1), *stop("a")], options={"connection.groups": 1}),
    "a refused send": Scenario([
        *connect("a"), do("a", "on", event="rtc.error", handler="e"), send("a", 1, group="$h"),
        see("a", "event", event="rtc.error", handler="e"), *join("a", "$g"), *stop("a")]),
    "too large": Scenario([
        *member("a"), send("a", "x" * 70000), see("a", "refused", do="sendTo", code="too-large"),
        do("a", "invoke", event="n", data="y" * 70000, id=2), see("a", "reply", id=2, error={"code": "too-large"}), send("a", 1), event("a", 1),
        *stop("a")]),
    "nonsense arguments": Scenario([
        *member("a"), send("a", 1, event="rtc.mine"), see("a", "refused", do="sendTo", code=("bad-argument", "bad-envelope")),
        send("a", 1, event=""), see("a", "refused", do="sendTo", code=("bad-argument", "bad-envelope")),
        do("a", "start"), see("a", "refused", do="start", code="bad-argument"), *stop("a"),
        send("a", 1), see("a", "refused", do="sendTo", code="not-started")], ways=ONE),
    "nonsense properties": Scenario([
        build("a", url="nonsense"), see("a", "refused", do="build", code="bad-argument"),
        build("a", url="ftp://localhost/"), see("a", "refused", do="build", code="bad-argument"),
        build("a", transports=["pigeon"]), see("a", "refused", do="build", code="bad-argument"),
        build("a", protocols=["xml"]), see("a", "refused", do="build", code="bad-argument"),
        build("a", headers={"x": "a\r\nb: c"}), see("a", "refused", do="build", code="bad-argument"),
        build("a", reconnectJitter=101), see("a", "refused", do="build", code="bad-argument")], ways=ONE),
    "handlers": Scenario([
        *member("a"), do("a", "on", event="n", handler="second"), do("a", "on", event="*", handler="rest"),
        send("a", 1), event("a", 1, handler="n"), event("a", 1, handler="second"),
        send("a", 2, event="other"), see("a", "event", event="other", data=2, handler="rest"),
        do("a", "off", event="n", handler="n"), send("a", 3), event("a", 3, handler="second"),
        do("a", "off", event="n"), send("a", 4), event("a", 4, handler="rest"),
        do("a", "off", event="*"), do("a", "on", event="end", handler="end"), send("a", 5), send("a", 6, event="end"),
        see("a", "event", event="end", data=6), *stop("a")]),

    "cut": Scenario(CUT),
    "cut twice": Scenario(CUT[:-3] + [*cut_off(), *reconnecting("a"), proxy("manner", "plain"), *reconnected("a", True), send("a", 5), event("a", 5),
                                      *stop("a")]),
    "cut while idle": Scenario([
        *member("a"), *cut_off(), *reconnecting("a"), proxy("manner", "plain"), *reconnected("a", True), publish("n", 1, group="$g", recipients=1),
        event("a", 1), *stop("a")]),
    "what was lost is told": Scenario([
        *member("a"), do("a", "on", event="rtc.gap", handler="gap"), publish("n", 1, group="$g", recipients=1), event("a", 1),
        *cut_off(), *reconnecting("a"), parked("a"), *(publish("n", number, group="$g", recipients=1) for number in (2, 3, 4)),
        proxy("manner", "plain"), *reconnected("a", True),
        see("a", "event", event="rtc.gap", handler="gap", group="$g", data={"group": "$g", "lost": 2}), event("a", 4, group="$g"),
        send("a", 5), event("a", 5), *stop("a")], options={}, config="groups: [{match: '**', slow: latest}]\n"),
    "who is there": Scenario([
        *connect("a", user="ann"), do("a", "on", event="rtc.joined", handler="in"), do("a", "on", event="rtc.left", handler="out"),
        do("a", "ask", id=2), see("a", "answer"), *join("a", "$g"), told("rtc.joined", "in", "a", 1, "ann"),
        *connect("b", user="bob"), do("b", "ask", id=2), see("b", "answer"), *join("b", "$g"), told("rtc.joined", "in", "b", 2, "bob"),
        do("a", "invoke", event="rtc.presence", data={"group": "$g", "by": "users"}, id=3), see("a", "reply", id=3, error=None, data=dict),
        *stop("b"), told("rtc.left", "out", "b", 1, "bob"),
        do("a", "invoke", event="rtc.presence", data={"group": "$g"}, id=4),
        see("a", "reply", id=4, data={"group": "$g", "count": 1, "members": [{"connectionId": "$a.connectionId", "userId": "ann"}]}), *stop("a")],
        options={"connection.claimed-users": "true", "presence.interval": "50ms"}, config="groups: [{match: '**', presence-events: connections}]\n"),
    **{f"{damage} {direction}": Scenario(lost_by(direction, damage), options=QUICK, loose=("state", "reconnecting", "reconnected"))
       for damage in ("reset", "end", "half", "stall") for direction in ("up", "down")},
    "an invoke across a cut": Scenario([
        *member("a"), *cut_off(), *reconnecting("a"), do("a", "invoke", event="ask", id=2), proxy("manner", "plain"),
        see("a", "reply", id=2, error={"code": "no-handler"}), *reconnected("a", True), *stop("a")]),
    "the queue is full": Scenario([
        *member("a", queue={"envelopes": 5}), do("a", "invoke", event="ask", id=2), see("a", "reply", id=2, error={"code": "no-handler"}),
        *cut_off(), *reconnecting("a"), *(send("a", number) for number in range(1, 20)), *(see("a", "refused", code="queue-full") for _ in range(14)),
        proxy("manner", "plain"), *reconnected("a", True), event("a", 1), event("a", 2)], loose=("event", "refused")),
    "stopped while reconnecting": Scenario([
        *member("a"), *cut_off(), *reconnecting("a"), do("a", "invoke", event="ask", id=2), do("a", "stop"),
        see("a", "reply", id=2, error={"code": "stopped"}), see("a", "close", code="stopped"), see("a", "state", to="stopped")]),
    "stopped with a reply awaited": Scenario([
        *member("a"), daemon("pause"), do("a", "invoke", event="ask", id=2), do("a", "stop"), see("a", "reply", id=2, error={"code": "stopped"}),
        see("a", "close", code="stopped"), see("a", "state", to="stopped"), daemon("go_on"), daemon(0)], options={}),
    "no more attempts": Scenario([
        *member("a", reconnectPolicy=[10, 10, None]), *cut_off(), *reconnecting("a"),
        *(see("a", "policy", attempt=attempt, isFirstConnect=False) for attempt in range(3)),
        see("a", "close", code="gave-up"), see("a", "state", **{"from": "reconnecting", "to": "stopped"})]),
    "no reconnecting at all": Scenario([
        *member("a", reconnectDelays=[]), *cut_off(), see("a", "close", code=("network", "gave-up"))], loose=("reconnecting", "state")),
    "the first connect is tried again": Scenario([
        proxy("manner", "refuse"), build("a", retryFirst=True, reconnectPolicy=[10]), do("a", "start"),
        see("a", "policy", isFirstConnect=True), see("a", "policy", isFirstConnect=True), proxy("manner", "plain"),
        *connected("a"), *stop("a")], loose=("policy",)),
    "the window is over": Scenario([
        *member("a"), send("a", 1), event("a", 1), *cut_off(), *reconnecting("a"), daemon(0), send("a", 2), proxy("manner", "plain"),
        *reconnected("a", False, int), event("a", 2), publish("n", 3, group="$g", recipients=1), event("a", 3), *stop("a")],
        options={"resume.window": "300ms", "transports.poll-wait": "100ms"}),
    "the window is over, and the group remembers": Scenario([
        *member("a"), publish("n", 1, group="$g", recipients=1), event("a", 1, offset=1), *cut_off(), *reconnecting("a"), daemon(0),
        publish("n", 2, group="$g", recipients=0), publish("n", 3, group="$g", recipients=0), proxy("manner", "plain"),
        *reconnected("a", False, int), event("a", 2, offset=2), event("a", 3, offset=3),
        publish("n", 4, group="$g", recipients=1), event("a", 4, offset=4), *stop("a")],
        options={"resume.window": "300ms", "transports.poll-wait": "100ms"}, config=REMEMBERING),
    "joining late": Scenario([
        *(publish("n", number, group="$g", recipients=0) for number in (1, 2, 3)), *connect("a"), do("a", "on", event="n", handler="n"),
        do("a", "join", group="$g", last=2, id=1), see("a", "reply", id=1, data=dict), event("a", 2, offset=2), event("a", 3, offset=3),
        publish("n", 4, group="$g", recipients=1), event("a", 4, offset=4), *stop("a")], options={}, config=REMEMBERING),
    "a state of keys": Scenario([
        *(publish("n", number, group="$g", key=key, recipients=0) for number, key in ((1, "x"), (2, "y"), (3, "x"), (4, "z"))),
        publish("n", None, group="$g", key="z", recipients=0), *connect("a"), do("a", "on", event="n", handler="n"),
        do("a", "join", group="$g", last=9, id=1), see("a", "reply", id=1, data=dict), event("a", 2, offset=2, key="y"),
        event("a", 3, offset=3, key="x"), do("a", "sendTo", to={"group": "$g"}, event="n", data=6, key="y"), event("a", 6, offset=6, key="y"),
        *stop("a")], options={}, config=STATE),
    "a state of keys, after the window": Scenario([
        *member("a"), *(publish("n", number, group="$g", key=key, recipients=1) for number, key in ((1, "x"), (2, "y"))),
        event("a", 1, offset=1, key="x"), event("a", 2, offset=2, key="y"), *cut_off(), *reconnecting("a"), daemon(0),
        *(publish("n", number, group="$g", key=key, recipients=0) for number, key in ((3, "z"), (4, "y"), (5, "z"), (None, "x"))),
        proxy("manner", "plain"), *reconnected("a", False, int), event("a", 4, offset=4, key="y"), event("a", 5, offset=5, key="z"),
        event("a", None, offset=6, key="x"), *stop("a")],
        options={"resume.window": "300ms", "transports.poll-wait": "100ms"}, config=STATE),
    "the daemon restarts": Scenario(RESTART, options={}),
    "an invoke across a restart": Scenario([
        *member("a"), daemon("pause"), do("a", "invoke", event="ask", id=2), daemon("kill"), *reconnecting("a"),
        daemon("start"), see("a", "reply", id=2, error={"code": ("connection-lost", "no-handler")}), *reconnected("a", False, int), *stop("a")], options={}),
    "the operator disconnects": Scenario([
        *member("a"), disconnect("a", reason="enough"), see("a", "close", code=str, message=str), see("a", "state", to="stopped"), daemon(0)], ways=WAYS[:3], options={}),
    "who was taken out of a group does not join it again": Scenario([
        *member("a"), *join("a", "$h"), do("a", "on", event="rtc.left", handler="left"), take_out("a", "$h"),
        see("a", "event", event="rtc.left", handler="left", data=dict),
        disconnect("a", reason="moved", reconnect=True), *reconnecting("a", str), *reconnected("a", False, int),
        send("a", 1), event("a", 1), publish("n", 2, group="$h", recipients=0), publish("n", 3, group="$g", recipients=1), event("a", 3),
        *join("a", "$h"), take_out("a", "$h"), see("a", "event", event="rtc.left", handler="left", data=dict), *join("a", "$h"),
        publish("n", 4, group="$h", recipients=1), event("a", 4), *stop("a")], options={}),
    "the operator wants it back": Scenario([
        *member("a"), disconnect("a", reason="moved", reconnect=True), *reconnecting("a", str), *reconnected("a", False, int),
        send("a", 1), event("a", 1), publish("n", 2, group="$g", recipients=1), event("a", 2), *stop("a")], options={}),

    "no upgrades": Scenario([
        proxy("manner", "no-upgrade"), *member("a", transports=["websocket", "$next"]), until("a", transport="$next"), send("a", 1), event("a", 1), *stop("a")],
        ways=tuple(way for way in WAYS if way[0] != "websocket")),
    "mute after the upgrade": Scenario([
        proxy("manner", "mute"), *member("a", transports=["websocket", "$next"], openTimeout=300), until("a", transport="$next"), send("a", 1), event("a", 1),
        *stop("a")], ways=tuple(way for way in WAYS if way[0] != "websocket")),
    "a buffering proxy": Scenario([
        proxy("manner", "buffer"), *member("a", transports=["sse", "$next"], openTimeout=300), until("a", transport="$next"), send("a", 1), event("a", 1),
        *stop("a")], ways=tuple(way for way in WAYS if way[0] in ("longpoll", "shortpoll"))),
    "no transport at all": Scenario([
        proxy("manner", "no-upgrade"), *fails("no-transport", transports=["websocket"])], ways=ONE),
    "the server lacks the transport": Scenario(fails("no-transport", "unsupported"), ways=ONE, options={"transports.websocket": "false"}),
    "up to a better transport": Scenario([
        proxy("manner", "no-upgrade"), *connect("a", transports=["websocket", "$next"], upgrade=100), until("a", transport="$next"),
        do("a", "count", group="$g", to=300, window=5), proxy("manner", "plain"), until("a", transport="websocket"), counted("a", 300),
        nothing("a", "reconnecting", "reconnected", "close"), *stop("a")], ways=tuple(way for way in WAYS if way[0] != "websocket")),
    "no better transport": Scenario([
        proxy("manner", "mute"), *connect("a", transports=["websocket", "$next"], openTimeout=100, upgrade=50), until("a", transport="$next"),
        do("a", "count", group="$g", to=300, window=5), counted("a", 300), until("a", transport="$next"),
        do("a", "stop"), see("a", "close", code="stopped")], ways=tuple(way for way in WAYS if way[0] != "websocket"),
        # A stream that was taken over by the attempt is gone; a poll is just asked again.
        loose=("state", "reconnecting", "reconnected")),

    "a token each time": Scenario([
        *member("a", url="$fake", accessToken=["good-1", "good-2"]), see("a", "token"), *cut_off(), *reconnecting("a", str), see("a", "token"),
        proxy("manner", "plain"), *reconnected("a", True), send("a", 1), event("a", 1), *stop("a")], fake="gate"),
    "a token that was just too old": Scenario([
        *member("a", url="$fake", accessToken=["good-1", "old", "good-2"]), *cut_off(), *reconnecting("a", str), proxy("manner", "plain"),
        *reconnected("a", True), send("a", 1), event("a", 1), *stop("a")], fake="gate"),
    "a wrong token": Scenario(fails("unauthorized", accessToken="nonsense")),
    "no credentials": Scenario(fails("unauthorized"), options={"connection.anonymous": "false"}),
    "a token that became wrong": Scenario([
        *connect("a", url="$fake", accessToken=["good", "wrong"]), *cut_off(), *reconnecting("a", str),
        see("a", "close", code="unauthorized"), see("a", "state", to="stopped")], fake="gate"),

    "a closed port": Scenario(fails("network", url="$direct"), ways=ONE),
    "no such host": Scenario(fails("network", url="http://nobody.invalid/rtc"), ways=ONE),
    "over TLS": Scenario([
        *member("a", url="$fake", tls={"caFile": "$ca"}), send("a", "x" * 60000), event("a", "x" * 60000), *cut_off(), *reconnecting("a", str),
        send("a", 2), proxy("manner", "plain"), *reconnected("a", True), event("a", 2), do("a", "stop"), see("a", "close", code="stopped")],
        fake="tls_good", loose=("state", "reconnecting", "reconnected")),   # the fake server may close its end of an old link late
    "a certificate for another name": Scenario(fails("tls", url="$fake", tls={"caFile": "$ca"}), ways=ONE, fake="tls_other"),
    "a certificate that nobody has signed": Scenario(fails("tls", url="$fake", tls={"caFile": "$ca"}), ways=ONE, fake="tls_alone"),
    "TLS that is none": Scenario(fails("tls", "network", url="$https"), ways=ONE),
    "redirected": Scenario([
        *member("a", url="$fake"), send("a", 1), event("a", 1), *stop("a")], fake="redirect"),
    "redirected in a circle": Scenario(fails("too-many-redirects", url="$fake"), ways=ONE, fake="circle"),
    "redirected to nonsense": Scenario(fails("bad-answer", url="$fake"), ways=ONE, fake="redirect_nonsense"),
    **{f"a server that answers {fake.replace('_', ' ')}": Scenario(fails("bad-answer", *also, url="$fake", **(HASTY if fake == "silence" else PATIENT)), ways=ONE, fake=fake)
       for fake, also in {"nonsense": ("network",), "html": (), "empty": (), "wrong_types": (), "no_transports": ("no-transport",),
                          "endless_head": ("too-large", "network"), "endless_body": ("too-large", "network"), "too_long": ("too-large", "network"),
                          "silence": ("network", "timeout"), "early_end": ("network",), "error_500": ("internal",),
                          "not_found": ("not-found",)}.items()},
    **{f"a transport that answers {fake.replace('_', ' ')}": Scenario(
        fails("no-transport", "bad-answer", "too-large", "network", url="$fake", **PATIENT), fake=fake)
       for fake in ("transport_nonsense", "transport_html", "transport_endless", "transport_not_found")},
    # A poll's greeting may have been lost with its answer, so that a poll is taken without one.
    "a transport that does not greet": Scenario(fails("no-transport", "bad-answer", url="$fake", **PATIENT), ways=WAYS[:3],
                                                fake="transport_no_welcome"),
}
