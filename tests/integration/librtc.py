"""What the tests of librtc need: the peer (tests/client/peer.c) as an object, a relay that can be cut, servers that misbehave."""

import os
import queue
import re
import socket
import ssl
import subprocess
import threading
import time

from harness import BUILD, PATIENCE_S, free_port


class Peer:
    """Says what is to be done, and waits for the lines that tell what happened."""

    def __init__(self, url=None, **options):
        words = [f"{name.replace('_', '-')}={value}" for name, value in dict(options, **({"url": url} if url else {})).items()]
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/client/librtc-peer"), *words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.lines, self.seen, self.log = queue.Queue(), [], []
        self.threads = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._read_log, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def _read_log(self):
        self.log.extend(self.process.stderr)

    def say(self, *lines):
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def expect(self, pattern, patience_s=PATIENCE_S):
        """The next line that matches, from its start; those before it are in `seen`."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"waited in vain for {pattern!r}; seen: {self.seen}; log: {''.join(self.log)}")
            self.seen.append(line)
            match = re.match(pattern, line)
            if match:
                return match

    def start(self, transport=".*"):
        self.say("start")
        self.expect(f"state connected {transport}")
        return self

    def id(self):
        self.say("id")
        return self.expect(r"id (\S+) (\S+) (\S+)").groups()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.stdin.close()
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            for thread in self.threads:
                thread.join(PATIENCE_S)
            self.process.stdout.close()
            self.process.stderr.close()
        if kind is None:
            log = "".join(self.log)
            assert status == 0 and "Sanitizer" not in log and "runtime error" not in log, f"status {status}\n{log}"


class Relay:
    """Forwards TCP to a port, until it is told otherwise; with a certificate and its key, TLS to what is behind it."""

    def __init__(self, port, certificate=None):
        self.target, self.port, self.tls = port, free_port(), None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.is_refusing = self.is_stalled = False
        self.refuse = lambda head: False        # looks at what a client sends first; true: hang up
        self.pairs, self.lock = set(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            first = client.recv(65536)
            if self.is_refusing or not first or self.refuse(first):
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self.target), PATIENCE_S)
            server.settimeout(None)
            server.sendall(first)
        except OSError:
            client.close()
            return
        with self.lock:
            self.pairs.add((client, server))
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self.lock:
            self.pairs.discard((client, server))
        client.close()
        server.close()

    def _pump(self, source, sink):
        try:
            while True:
                piece = source.recv(65536)
                if not piece:
                    break
                if not self.is_stalled:
                    sink.sendall(piece)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends whatever goes through it now."""
        with self.lock:
            for pair in self.pairs:
                for side in pair:
                    try:
                        side.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/rtc"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()


def make_certificate(directory, *names, days="1"):
    """(certificate, key) that signs itself, for these names."""
    certificate, key = os.path.join(directory, names[0] + ".pem"), os.path.join(directory, names[0] + ".key")
    kinds = ",".join(("IP:" if name.replace(".", "").isdigit() else "DNS:") + name for name in names)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", days, "-subj", "/CN=test", "-addext", f"subjectAltName={kinds}"], check=True, capture_output=True)
    return certificate, key


class Server:
    """Answers each connection's first bytes with what a function of (request, how many came before) returns, and hangs up."""

    def __init__(self, answer):
        self.answer, self.requests, self.port = answer, [], free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                request = client.recv(65536)
                answer = self.answer(request, len(self.requests))
                self.requests.append(request)
                if answer is not None:
                    client.sendall(answer)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
            except OSError:
                pass
            client.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/rtc"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def http(status, body=b"", kind="application/json", more=""):
    return (f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n").encode() + body
