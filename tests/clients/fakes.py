"""Servers that are none: they redirect, lie, talk without end, or say nothing. One class of server, and a function for each
kind of lie: it is given one request, and returns bytes, or a generator of them, after which the link is closed unless the answer is
a whole response (response() below)."""

import base64
import contextlib
import functools
import hashlib
import itertools
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import tempfile
import threading

from rig import PATIENCE_S

ENDLESS_MAX = 256 << 20     # where even an endless answer stops; no client may take so much
KEPT = object()             # the answer is whole: the link goes on


def response(status=200, body=b"", kind="application/json", **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", f"Content-Length: {len(body)}",
             *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return KEPT, "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def problem(status, code):
    return response(status, {"status": status, "title": code, "detail": f"the fake server says {code}", "code": code, "reason": code},
                    "application/problem+json")


def stream(kind="text/event-stream"):
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode()


def without_end(beginning, piece):
    yield beginning
    for _ in range(ENDLESS_MAX // len(piece)):
        yield piece


def never(request, fake):
    """Until the client goes away."""
    request.link.settimeout(PATIENCE_S)
    request.link.recv(1)


@functools.cache
def certificates():
    """A directory with an authority (ca.pem), and what it has signed: good.pem for 127.0.0.1, other.pem for other.example;
    and alone.pem, which nobody has signed but itself. Keys are in the same files."""
    directory = tempfile.TemporaryDirectory(prefix="rtcd-certificates-")

    def make(name, subject, *more):
        path = os.path.join(directory.name, name)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{path}.key",
                        "-out", f"{path}.crt", "-subj", f"/CN={subject}", *more], check=True, capture_output=True)
        with open(f"{path}.pem", "wb") as both:
            for part in ("crt", "key"):
                with open(f"{path}.{part}", "rb") as file:
                    both.write(file.read())

    signed = ("-CA", os.path.join(directory.name, "ca.crt"), "-CAkey", os.path.join(directory.name, "ca.key"), "-addext", "basicConstraints=critical,CA:FALSE",
              "-addext")
    make("ca", "authority of the tests", "-days", "2")
    make("good", "good", "-days", "2", *signed, "subjectAltName=IP:127.0.0.1,DNS:localhost")
    make("other", "other", "-days", "2", *signed, "subjectAltName=DNS:other.example")
    make("alone", "alone", "-days", "2", "-addext", "subjectAltName=IP:127.0.0.1")
    return directory


class Tls:
    """A server that ends TLS, and passes on what is in it."""

    def __init__(self, kind, behind):
        self.behind, name = behind, kind.removeprefix("tls_")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(certificates().name, f"{name}.pem"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}/rtc"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        with contextlib.suppress(OSError), link, self.context.wrap_socket(link, server_side=True) as inner, \
                socket.create_connection(self.behind, PATIENCE_S) as daemon:
            daemon.settimeout(None)
            self._carry(inner, daemon)

    @staticmethod
    def _carry(inner, daemon):
        """One thread for both ways: a TLS link does not like two."""
        inner.setblocking(False)
        waiting = select.poll()     # select(2) knows no descriptor beyond 1023
        waiting.register(inner, select.POLLIN)
        waiting.register(daemon, select.POLLIN)
        while True:
            readable = [inner.fileno()] if inner.pending() else [descriptor for descriptor, _ in waiting.poll()]
            if inner.fileno() in readable:
                with contextlib.suppress(ssl.SSLWantReadError):
                    piece = inner.recv(65536)
                    if not piece:
                        return
                    daemon.sendall(piece)
            if daemon.fileno() in readable:
                piece = daemon.recv(65536)
                if not piece:
                    return
                inner.setblocking(True)
                inner.sendall(piece)
                inner.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Request:
    def __init__(self, link, head):
        self.link, lines = link, head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    @property
    def path(self):
        return self.target.partition("?")[0]


class Fake:
    """A server of that kind. `behind` is where redirects lead, or what a gate stands before."""

    def __init__(self, kind, behind):
        self.answer, self.behind = globals()["answer_" + kind], behind
        self.requests, self.sent, self.tokens = 0, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/rtc"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        buffer = b""
        try:
            with link:
                while True:
                    while b"\r\n\r\n" not in buffer:
                        piece = link.recv(65536)
                        if not piece:
                            return
                        buffer += piece
                    head, buffer = buffer.split(b"\r\n\r\n", 1)
                    request = Request(link, head)
                    length = int(request.headers.get("content-length", 0))
                    while len(buffer) < length:
                        buffer += link.recv(65536)
                    request.body, buffer = buffer[:length], buffer[length:]
                    request.head, request.rest = head, buffer
                    self.requests += 1
                    if not self._send(link, self.answer(request, self)):
                        return
        except OSError:
            pass

    def _send(self, link, answer):
        is_whole = isinstance(answer, tuple)
        for piece in [answer[1]] if is_whole else [answer] if isinstance(answer, bytes) else answer or []:
            link.sendall(piece)
            self.sent += len(piece)
        return is_whole

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        assert self.sent < 64 << 20, f"the client took {self.sent} bytes of an answer without end"
        assert self.requests <= 500, f"the client asked {self.requests} times"


# ---- Negotiation ----------------------------------------------------------------------------------------------------------------

def answer_redirect(request, fake):
    """Twice, and the second server wants the token that the first one gave."""
    if request.path == "/rtc/negotiate":
        return response(body={"url": f"http://127.0.0.1:{fake.port}/second", "accessToken": "good"})
    return answer_gate(request, fake, "/second")


def answer_circle(request, fake):
    return response(body={"url": fake.url, "accessToken": "round-and-round"})


def answer_redirect_nonsense(request, fake):
    return response(body={"url": "gopher://nowhere:port/", "accessToken": 5})


def answer_nonsense(request, fake):
    return b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" + bytes(range(256))


def answer_html(request, fake):
    return response(200, b"<!DOCTYPE html><title>It works!</title>", "text/html")


def answer_empty(request, fake):
    return response()


def answer_wrong_types(request, fake):
    return response(body={"connectionId": 5, "connectionToken": None, "transports": "websocket", "keepAlive": "soon"})


def answer_no_transports(request, fake):
    return response(body={**offer(), "transports": []})


def answer_endless_head(request, fake):
    return without_end(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n" * 1024)


def answer_endless_body(request, fake):
    return without_end(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b" " * 32768 + b"\r\n")


def answer_too_long(request, fake):
    return without_end(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999999\r\n\r\n", b" " * 32768)


def answer_silence(request, fake):
    never(request, fake)


def answer_early_end(request, fake):
    return b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"conn'


def answer_error_500(request, fake):
    return problem(500, "internal")


def answer_not_found(request, fake):
    return response(404, b"no such page", "text/plain")


# ---- Transports -----------------------------------------------------------------------------------------------------------------

def offer():
    both = ["json", "msgpack"]
    return {"connectionId": "00000000-0000-4000-8000-000000000000", "connectionToken": "A" * 32,
            "transports": [{"name": "websocket", "path": "/rtc/websocket", "protocols": both}, {"name": "sse", "path": "/rtc/sse", "protocols": ["json"]},
                           {"name": "longpoll", "path": "/rtc/poll", "protocols": both}, {"name": "shortpoll", "path": "/rtc/poll", "protocols": both}],
            "transport": "websocket", "protocol": "json", "keepAlive": 15000, "timeout": 30000, "resumeWindow": 60000, "maxMessageSize": 65536}


def upgrade(request):
    accept = hashlib.sha1((request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    protocol = request.headers.get("sec-websocket-protocol", "").split(",")[0]
    return (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: {protocol}\r\n"
            f"Sec-WebSocket-Accept: {base64.b64encode(accept).decode()}\r\n\r\n").encode()


def by_transport(request, websocket, sse, poll):
    """Bytes for a transport that is asked for; the rest gets a good answer."""
    if request.path == "/rtc/negotiate":
        return response(body=offer())
    if request.path == "/rtc/websocket":
        return itertools.chain([upgrade(request)], websocket)
    if request.path == "/rtc/sse":
        return itertools.chain([stream()], sse)
    return poll if request.path == "/rtc/poll" else problem(404, "not-found")


def text_frame(payload):
    return struct.pack("!BB", 0x81, len(payload)) + payload


def answer_transport_nonsense(request, fake):
    return by_transport(request, [b"\xff\xff" + bytes(range(256))], [b"data: \xff{nonsense\n\n"], response(body=b"\xff{nonsense"))


def answer_transport_html(request, fake):
    return response(body=offer()) if request.path == "/rtc/negotiate" else answer_html(request, fake)


def answer_transport_endless(request, fake):
    is_packed = "msgpack" in request.headers.get("sec-websocket-protocol", "")
    return by_transport(request, without_end(struct.pack("!BBQ", 0x82 if is_packed else 0x81, 127, 1 << 40), b"x" * 65536),
                        without_end(b"data: ", b"x" * 65536), answer_endless_body(request, fake))


def answer_transport_no_welcome(request, fake):
    envelope = b'{"eventName":"x","data":1}'
    return by_transport(request, [text_frame(envelope)], [b"id: 1\ndata: " + envelope + b"\n\n"], response(body=b'{"first":1,"messages":[' + envelope + b"]}"))


def answer_transport_not_found(request, fake):
    return response(body=offer()) if request.path == "/rtc/negotiate" else problem(404, "not-found")


# ---- A gate: the daemon, for those who have a token ------------------------------------------------------------------------------

def pump(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def answer_gate(request, fake, base="/rtc"):
    """Every request must have a token that begins with good. The daemon does not see it, and answers; its link is this one's."""
    words = request.headers.get("authorization", "").split(" ")
    fake.tokens.append(words[-1])
    if len(words) != 2 or words[0] != "Bearer" or not words[1].startswith("good"):
        return problem(401, "unauthorized")
    lines = [line for line in request.head.split(b"\r\n")
             if not line.lower().startswith((b"authorization:", b"connection: keep-alive", b"connection: close"))]
    lines[0] = lines[0].replace(f" {base}/".encode(), b" /rtc/", 1)
    if "upgrade" not in request.headers:
        lines.append(b"Connection: close")
    with socket.create_connection(fake.behind, PATIENCE_S) as daemon:
        daemon.settimeout(None)
        daemon.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + request.body + request.rest)
        threading.Thread(target=pump, args=(request.link, daemon), daemon=True).start()
        pump(daemon, request.link)
        for link in (daemon, request.link):         # the other pump may still wait for them
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
    return b""
