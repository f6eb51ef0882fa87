"""Raw clients of our own, made to misbehave: bytes over a socket, WebSocket frames of any kind, SSE, polls."""

import base64
import hashlib
import json
import os
import socket
import struct
import time
import urllib.parse
import zlib

import msgpack

from harness import CONTEXTS, PATIENCE_S

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
UNNUMBERED = {"rtc.welcome", "rtc.ping", "rtc.pong", "rtc.ack", "rtc.close"}


def connect(port):
    link = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if port not in CONTEXTS:
        return link
    context, name = CONTEXTS[port]
    return context.wrap_socket(link, server_hostname=name)


def expect(client, event):
    """The next envelope of that name; others are passed over."""
    deadline = time.monotonic() + PATIENCE_S * 3
    while (envelope := client.receive())["eventName"] != event:
        # Pings come for as long as one waits.
        if time.monotonic() > deadline:
            raise AssertionError(f"there came no {event}, only others such as {envelope}")
    return envelope


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def msgpack(self):
        return msgpack.unpackb(self.body)


class Reader:
    """Reads a socket by lines and counts."""

    def __init__(self, link):
        self.link, self.buffer = link, b""

    def more(self):
        piece = self.link.recv(65536)
        self.buffer += piece
        return bool(piece)

    def line(self):
        while b"\n" not in self.buffer:
            if not self.more():
                raise EOFError(self.buffer)
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise EOFError(self.buffer)
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def head(self):
        line = self.line().decode()
        status = int(line.split(" ", 2)[1])
        headers = {}
        while True:
            line = self.line().rstrip(b"\r").decode("latin-1")
            if not line:
                return status, headers
            name, value = line.split(":", 1)
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value

    def response(self, is_head=False):
        status, headers = self.head()
        length = int(headers.get("content-length", 0))
        return Response(status, headers, b"" if is_head or status in (101, 204) else self.exactly(length))

    def is_closed(self):
        """Waits for the end; what comes before it is in the buffer."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        return True


def head_of(method, path, headers=None, host="localhost"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"] if host is not None else [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Http:
    """A keep-alive HTTP link."""

    def __init__(self, port):
        self.port, self.link = port, connect(port)
        self.reader = Reader(self.link)

    def send(self, method, path, body=None, headers=None, **query):
        if query:
            path += "?" + urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Length"] = len(body)
        self.link.sendall(head_of(method, path, headers) + (body or b""))

    def request(self, method, path, body=None, headers=None, **query):
        self.send(method, path, body, headers, **query)
        return self.reader.response(method == "HEAD")

    def close(self):
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def request(port, method, path, body=None, headers=None, **query):
    with Http(port) as http:
        return http.request(method, path, body, headers, **query)


def reset(link):
    """Ends a TCP connection the hard way: the peer's next write fails."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def negotiate(port, **offer):
    response = request(port, "POST", "/rtc/negotiate", json.dumps(offer).encode() if offer else None)
    assert response.status == 200, (response.status, response.body)
    return response.json()


def frame(opcode, payload=b"", final=True, mask=b"\x11\x22\x33\x44", reserved=0, length=None):
    """A client's frame; `length` lies about the payload's."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    size = len(payload) if length is None else length
    flag = 0x80 if mask is not None else 0
    if size < 126:
        head = struct.pack("!BB", first, flag | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}


def packed(payload, level=6, window=15):
    """As the payload of a compressed message."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -window)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unpacked(payload, window=15):
    return zlib.decompressobj(-window).decompress(payload + b"\0\0\xff\xff")


class WebSocket:
    """A WebSocket client that counts numbered envelopes, and answers pings only when told to."""

    def __init__(self, port, protocol=None, answers_pings=True, headers=None, first=b"", path="/rtc/websocket", is_plain=False,
                 **query):
        """`is_plain`: no rtc.welcome is to come."""
        self.codec = "msgpack" if protocol == "msgpack" else "json"
        self.answers_pings = answers_pings
        self.received = 0
        self.pings = []
        self.packed_count = 0       # compressed messages that came
        self.wire_bytes = 0         # of all payloads, as they came
        self.link = connect(port)
        self.reader = Reader(self.link)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
        if protocol:
            fields["Sec-WebSocket-Protocol"] = f"rtc.v1.{protocol}"
        fields.update(headers or {})
        if query:
            path += "?" + urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        self.link.sendall(head_of("GET", path, fields) + first)
        status, self.headers = self.reader.head()
        if status != 101:
            length = int(self.headers.get("content-length", 0))
            self.response = Response(status, self.headers, self.reader.exactly(length))
            self.welcome = None
            return
        self.response = Response(101, self.headers, b"")
        extensions = self.headers.get("sec-websocket-extensions", "")
        self.window = int(extensions.partition("server_max_window_bits=")[2] or 15)
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert self.headers["sec-websocket-accept"] == accept
        if is_plain:
            return
        self.welcome = self.receive()
        assert self.welcome["eventName"] == "rtc.welcome", self.welcome
        self.id, self.token = self.welcome["data"]["connectionId"], self.welcome["data"]["connectionToken"]

    def send_raw(self, data):
        self.link.sendall(data)

    def send(self, event, data=None, **headers):
        envelope = {"eventName": event, "data": data, **headers}
        if self.codec == "json":
            self.send_raw(frame(TEXT, json.dumps(envelope).encode()))
        else:
            self.send_raw(frame(BINARY, msgpack.packb(envelope)))

    def frame(self):
        first, second = self.reader.exactly(2)
        assert not second & 0x80, "a server's frame is masked"
        size = second & 0x7F
        if size == 126:
            size = struct.unpack("!H", self.reader.exactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.reader.exactly(8))[0]
        payload = self.reader.exactly(size)
        self.wire_bytes += size
        if first & 0x40:
            assert first & 0x0F in (TEXT, BINARY) and "permessage-deflate" in self.headers["sec-websocket-extensions"]
            self.packed_count += 1
            payload = unpacked(payload, self.window)
        return first & 0x0F, payload

    def receive(self):
        """The next envelope. Close frames raise Closed."""
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                self.pings.append(payload)
                if self.answers_pings:
                    self.send_raw(frame(PONG, payload))
            elif opcode == CLOSE:
                raise Closed(struct.unpack("!H", payload[:2])[0] if payload else 1005, payload[2:].decode())
            elif opcode in (TEXT, BINARY):
                assert (opcode == BINARY) == (self.codec == "msgpack")
                envelope = json.loads(payload) if opcode == TEXT else msgpack.unpackb(payload)
                if envelope["eventName"] not in UNNUMBERED:
                    self.received += 1
                return envelope
            elif opcode != PONG:
                raise AssertionError(opcode)

    def expect(self, event):
        return expect(self, event)

    def call(self, event, data=None, id=1, **headers):
        self.send(event, data, id=id, **headers)
        while True:
            reply = self.expect("rtc.reply")
            if reply["id"] == id:
                return reply

    def closing(self):
        """(code, last rtc.close or None) once the server has closed."""
        farewell = None
        while True:
            try:
                envelope = self.receive()
                if envelope["eventName"] == "rtc.close":
                    farewell = envelope["data"]
            except Closed as closed:
                return closed.args[0], farewell
            except (EOFError, ConnectionResetError):
                return None, farewell

    def drop(self):
        """The network breaks: no close frame."""
        self.link.close()

    def close(self, code=1000):
        self.send_raw(frame(CLOSE, struct.pack("!H", code)))
        result = self.closing()
        self.link.close()
        return result

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.link.close()


class Closed(Exception):
    pass


class Sse:
    """An event stream, read as the WHATWG standard says."""

    def __init__(self, port, headers=None, **query):
        self.http = Http(port)
        self.http.send("GET", "/rtc/sse", headers={"Accept": "text/event-stream", **(headers or {})}, **query)
        self.status, self.headers = self.http.reader.head()
        self.last_id = None
        self.received = 0
        if self.status != 200:
            self.body = self.http.reader.exactly(int(self.headers.get("content-length", 0)))
            return
        self.welcome = self.receive()
        assert self.welcome["eventName"] == "rtc.welcome"
        self.id, self.token = self.welcome["data"]["connectionId"], self.welcome["data"]["connectionToken"]

    def receive(self):
        data = []
        while True:
            line = self.http.reader.line().rstrip(b"\r").decode()
            if not line and data:
                envelope = json.loads("\n".join(data))
                if envelope["eventName"] not in UNNUMBERED:
                    self.received += 1
                return envelope
            name, _, value = line.partition(":")
            if name == "data":
                data.append(value.removeprefix(" "))
            elif name == "id":
                self.last_id = value.removeprefix(" ")

    def expect(self, event):
        return expect(self, event)

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Poller:
    """A client of long or short polling that keeps count."""

    def __init__(self, port, token=None, codec="json", wait=None, received=0, **query):
        self.port, self.codec, self.wait, self.received, self.sent = port, codec, wait, received, 0
        self.http = Http(port)
        self.token = token
        self.query = query
        first = self.poll()
        self.welcome, self.first = first[0], first[1:]
        assert self.welcome["eventName"] == "rtc.welcome"
        self.id, self.token = self.welcome["data"]["connectionId"], self.welcome["data"]["connectionToken"]
        self.query = {}

    def ask(self, wait=None):
        headers = {"Accept": "application/msgpack"} if self.codec == "msgpack" else {}
        self.http.send("GET", "/rtc/poll", headers=headers, token=self.token, received=self.received if self.token else None,
                       wait=self.wait if wait is None else wait, **self.query)

    def answer(self):
        response = self.http.reader.response()
        if response.status == 204:
            return []
        assert response.status == 200, (response.status, response.body)
        body = response.msgpack() if self.codec == "msgpack" else response.json()
        number, envelopes = body["first"], body["messages"]
        for envelope in envelopes:
            if envelope["eventName"] not in UNNUMBERED:
                assert number == self.received + 1, (number, self.received)
                self.received = number
                number += 1
        return envelopes

    def poll(self, wait=None):
        self.ask(wait)
        return self.answer()

    def gather(self, count):
        """Polls until that many numbered envelopes have come. Their data."""
        got = []
        while len(got) < count:
            got += [e.get("data") for e in self.poll() if e["eventName"] not in UNNUMBERED]
        return got

    def send(self, *envelopes, first=None):
        body = list(envelopes)
        response = request(self.port, "POST", "/rtc/send", json.dumps(body).encode(), {"Content-Type": "application/json"},
                           token=self.token, first=self.sent + 1 if first is None else first)
        assert response.status == 200, (response.status, response.body)
        self.sent = response.json()["received"]
        return self.sent

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
