"""Receivers of webhooks by Python's standard library, which behave as a test says, and note what they got."""

import contextlib
import hashlib
import hmac
import http.server
import json
import socket
import struct
import threading

from harness import PATIENCE_S, free_port, wait_until

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


class Request:
    """One POST as it came."""

    def __init__(self, handler, body):
        self.path, self.headers, self.body = handler.path, handler.headers, body
        self.link = handler.client_address

    @property
    def events(self):
        said = json.loads(self.body)
        return said if self.headers["Content-Type"] == BATCH else [said]

    def is_signed_by(self, secret):
        """The signature as rtcd(8) describes it, made again."""
        parts = dict(part.split("=", 1) for part in self.headers["Rtcd-Signature"].split(","))
        wanted = hmac.new(secret, parts["t"].encode() + b"." + self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(parts["v1"], wanted)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(self, body)
        with self.server.lock:
            self.server.requests.append(request)
            behaviour = self.server.behaviour
        behaviour(self, request)

    def do_GET(self):
        self.server.got = True
        self.answer(200)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 64

    def handle_error(self, *_):
        pass            # a client that gives up is what many tests are about

    def get_request(self):
        link, address = super().get_request()
        self.links.append(link)
        return link, address

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        super().server_bind()


def good(handler, _):
    handler.answer(204)


def status(code, **headers):
    return lambda handler, _: handler.answer(code, **headers)


def garbage(handler, _):
    handler.wfile.write(b"\x00\xffSSH-2.0-nonsense\r\n\r\n" * 3)
    handler.close_connection = True


def huge(handler, _):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(10000):
            handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def cut(handler, _):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    handler.close_connection = True


def reset(handler, _):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


class Never:
    """Answers nobody until it is let go."""

    def __init__(self):
        self.over = threading.Event()

    def __call__(self, handler, _):
        self.over.wait(PATIENCE_S)
        handler.close_connection = True


class Drip:
    """A byte now and then, without an end."""

    def __init__(self):
        self.over = threading.Event()

    def __call__(self, handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(OSError):
            while not self.over.wait(0.02):
                handler.wfile.write(b"X: y\r\n")
        handler.close_connection = True


class Receiver:
    """Listens until closed; may be started again at the same place."""

    def __init__(self, behaviour=good, context=None, is_up=True):
        self.port, self.context = free_port(), context
        self.requests, self.server, self.behaviour = [], None, behaviour
        if is_up:
            self.start()

    @property
    def url(self):
        scheme, host = ("https", "localhost") if self.context else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}/hook"

    def start(self):
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.requests, self.server.behaviour, self.server.got = self.requests, self.behaviour, False
        self.server.lock, self.server.links = threading.Lock(), []
        if self.context:
            self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def behave(self, behaviour):
        self.behaviour = behaviour
        with self.server.lock:
            self.server.behaviour = behaviour

    def stop(self):
        """Its connections end, too."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            for link in self.server.links:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
            self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def events(self):
        """All that it was told, doubles too."""
        return [event for request in list(self.requests) for event in request.events]

    def expect(self, count, kind=None):
        """The first `count` events (of a kind), each once."""
        def enough():
            told = {event["id"]: event for event in self.events() if kind in (None, event["type"])}
            return len(told) >= count and list(told.values())[:count]
        return wait_until(enough, f"{count} events of {kind} at a receiver")


class Said:
    """A response of which only this matters."""

    def __init__(self, status, body):
        self.status, self.body = status, body

    def json(self):
        return json.loads(self.body)
