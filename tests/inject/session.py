"""A scripted session: every transport, publishing, resuming, the admin socket. Each part may be refused or cut off, for what it
asks for may be what fails; but it must end soon: with what was asked for, an error, or the end of the connection."""

import contextlib
import json

import client
import harness
from client import Closed, Http, Sse
from harness import AdminError


class Refused(Exception):
    pass


ENDS = (EOFError, ConnectionError, Closed, AdminError, Refused)
# A reply that was lost with the memory for it leaves no answer; the connection must then have been ended.
PATIENCE_S = 5


class WebSocket(client.WebSocket):
    """An error ends what is waited for."""

    may_fail = False

    def receive(self):
        envelope = super().receive()
        if ("error" in envelope or envelope["eventName"] == "rtc.error") and not self.may_fail:
            raise Refused(envelope)
        return envelope


class Session:
    """`done` counts parts that got all they asked for, `failed` names the others; a part that just hangs raises TimeoutError."""

    def __init__(self, daemon):
        self.daemon, self.port, self.done, self.failed = daemon, daemon.port, 0, []

    def run(self):
        for part in (self.websocket, self.msgpack, self.resumed, self.events, self.polls, self.negotiated, self.uploads, self.admin):
            try:
                part()
                self.done += 1
            except ENDS as error:
                self.failed.append((part.__name__, repr(error)))
        return self

    def open(self, kind, *arguments, **more):
        """A client whose first answer may be a refusal."""
        try:
            made = kind(self.port, *arguments, **more)
        except (AssertionError, ValueError, IndexError) as error:
            raise Refused(str(error)) from None
        if getattr(made, "welcome", 1) is None:
            raise Refused(made.response.status)
        return made

    def command(self, *arguments, **data):
        try:
            return self.daemon.admin(*arguments, **data)
        except json.JSONDecodeError:
            raise Refused("no answer") from None

    def websocket(self, protocol=None):
        ws = self.open(WebSocket, protocol, group="one")
        with ws:
            ws.call("rtc.join", {"group": "two"}, id=2)
            for number in range(3):
                ws.send("n", {"number": number, "text": "x" * 300}, to={"group": "two"}, id=10 + number)
            for number in range(3):
                ws.expect("n")
            ws.send("rtc.ping", "p")
            ws.expect("rtc.pong")
            ws.may_fail = True
            ws.send_raw(client.frame(client.TEXT if ws.codec == "json" else client.BINARY, b"{", final=False) + client.frame(client.PING, b"p"))
            ws.send_raw(client.frame(0, b""))
            ws.expect("rtc.error")
            ws.may_fail = False
            ws.call("rtc.leave", {"group": "two"}, id=30)
            ws.close()

    def msgpack(self):
        self.websocket("msgpack")

    def resumed(self):
        first = self.open(WebSocket, group="again", user="u")
        first.drop()
        with contextlib.suppress(*ENDS):
            self.command("publish", event="n", data=1, group="again")
        with self.open(WebSocket, token=first.token, received=0) as back:
            if back.welcome["data"]["resumed"]:
                back.send("rtc.ack", {"received": 0})
                back.call("rtc.join", {"group": "more"}, id=1)
            back.close()

    def events(self):
        with self.open(Sse, group="events") as sse:
            if sse.status != 200:
                raise Refused(sse.status)
            self.command("publish", event="n", data={"x": "y" * 2000}, group="events")
            sse.expect("n")
            token, last = sse.token, sse.last_id
        with self.open(Sse, token=token, headers={"Last-Event-ID": last}) as sse:
            if sse.status != 200:
                raise Refused(sse.status)

    def ask(self, http, *arguments, **more):
        response = http.request(*arguments, **more)
        if response.status >= 300:
            raise Refused(response.status)
        return response

    def polls(self):
        with Http(self.port) as http:
            welcome = self.ask(http, "GET", "/rtc/poll", group="polls", wait=0).json()["messages"][0]
            if welcome["eventName"] == "rtc.close":
                raise Refused(welcome)
            token = welcome["data"]["connectionToken"]
            http.send("GET", "/rtc/poll", token=token, received=0, wait=500)
            self.command("publish", event="n", data=[1, 2], group="polls")
            if http.reader.response().status >= 300:
                raise Refused("poll")
            body = json.dumps([{"eventName": "m", "data": 1, "to": {"group": "polls"}, "id": 1}] * 2).encode()
            self.ask(http, "POST", "/rtc/send", body, {"Content-Type": "application/json"}, token=token, first=1)
            self.ask(http, "GET", "/rtc/poll", token=token, received=1, wait=500, headers={"Accept": "application/msgpack"})
            self.ask(http, "DELETE", "/rtc/connection", token=token)

    def negotiated(self):
        with Http(self.port) as http:
            token = self.ask(http, "POST", "/rtc/negotiate", b'{"transports":["websocket"]}').json()["connectionToken"]
        with self.open(WebSocket, token=token) as ws:
            ws.close(1001)

    def uploads(self):
        with Http(self.port) as http:
            head = client.head_of("POST", "/rtc/negotiate", {"Transfer-Encoding": "chunked", "Origin": "http://localhost"})
            for piece in (head, b"2\r\n{}\r", b"\n0\r\n\r\n"):
                http.link.sendall(piece)
            http.reader.response()
            http.send("GET", "/rtc/nothing")
            http.reader.response()

    def admin(self):
        with self.open(WebSocket, user="someone", group="g") as ws:
            self.command("list.connections")
            self.command("show.connection", connection=ws.id)
            self.command("list.groups")
            self.command("publish", event="n", data="to one", connection=ws.id)
            ws.expect("n")
            self.command("disconnect", connection=ws.id)
            ws.closing()


def patience():
    """Everything the session opens from now on waits no longer than that."""
    client.PATIENCE_S = harness.PATIENCE_S = PATIENCE_S
