"""HTTP/1.1 (RFC 9112): what is ambiguous is refused and the link closed; limits and deadlines hold."""

import socket
import time
import unittest

from client import Http, Reader, connect, head_of, request
from harness import Daemon, DaemonTest, wait_until

CANARY = b"GET /rtc/canary HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Requests(DaemonTest):
    options = {"http.head-bytes": "4KiB", "http.target-bytes": "1KiB", "http.body-bytes": "128KiB", "http.headers": "20"}

    def exchange(self, data):
        link = connect(self.daemon.port)
        reader = Reader(link)
        link.sendall(data)
        response = reader.response()
        self.assertTrue(reader.is_closed())
        link.close()
        return response, reader.buffer

    def test_malformed_requests_are_refused_and_what_follows_is_never_answered(self):
        post = b"POST /rtc/negotiate HTTP/1.1\r\nHost: x\r\n"
        table = [
            ("bare LF", b"GET /rtc/sse HTTP/1.1\nHost: x\n\r\n\r\n", 400),
            ("no version", b"GET /rtc/sse\r\nHost: x\r\n\r\n", 400),
            ("HTTP/2.0", b"GET /rtc/sse HTTP/2.0\r\nHost: x\r\n\r\n", 505),
            ("HTTP/1.9", b"GET /rtc/sse HTTP/1.9\r\nHost: x\r\n\r\n", 505),
            ("no Host", b"GET /rtc/sse HTTP/1.1\r\n\r\n", 400),
            ("two Hosts", b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
            ("odd Host", b"GET /rtc/sse HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
            ("userinfo in Host", b"GET /rtc/sse HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
            ("blank before colon", b"GET /rtc/sse HTTP/1.1\r\nHost : x\r\n\r\n", 400),
            ("folded line", b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
            ("NUL in a value", b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
            ("empty name", b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400),
            ("blank in the target", b"GET /rtc /sse HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("fragment in the target", b"GET /rtc/sse#x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("another host in the target", b"GET http://y/rtc/sse HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("CONNECT", b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            ("two lengths", post + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
            ("list of lengths", post + b"Content-Length: 2, 2\r\n\r\n{}", 400),
            ("+2", post + b"Content-Length: +2\r\n\r\n{}", 400),
            ("0x2", post + b"Content-Length: 0x2\r\n\r\n{}", 400),
            ("2^64+2", post + b"Content-Length: 18446744073709551618\r\n\r\n{}", 400),
            ("length and chunked", post + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("gzip, chunked", post + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
            ("chunked twice", post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
            ("xchunked", post + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
            ("chunked in 1.0", b"POST /rtc/negotiate HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("chunk size +2", post + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n", 400),
            ("chunk ends wrong", post + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x0\r\n\r\n", 400),
            ("LF in chunk line", post + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", 400),
            ("huge chunk", post + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
            ("chunk over the limit", post + b"Transfer-Encoding: chunked\r\n\r\n100000\r\n", 413),
            ("body over the limit", post + b"Content-Length: 1000000\r\n\r\n", 413),
            ("strange expectation", post + b"Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 417),
            ("long target", b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
            ("long head", b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 5000 + b"\r\n\r\n", 431),
            ("many headers", b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 30 + b"\r\n", 431),
        ]
        for name, data, status in table:
            with self.subTest(name):
                response, rest = self.exchange(data + CANARY)
                self.assertEqual(response.status, status)
                self.assertEqual(response.headers["connection"], "close")
                self.assertEqual(response.headers["content-type"], "application/problem+json")
                self.assertEqual(response.json()["status"], status)
                self.assertEqual(rest, b"")

    def test_requests_may_come_byte_by_byte_and_several_at_once(self):
        with Http(self.daemon.port) as http:
            for byte in head_of("POST", "/rtc/negotiate", {"Content-Length": 2}) + b"{}":
                http.link.sendall(bytes([byte]))
            self.assertEqual(http.reader.response().status, 200)
            http.link.sendall(head_of("POST", "/rtc/negotiate", {"Content-Length": 2}) + b"{}" + CANARY + CANARY)
            self.assertEqual([http.reader.response().status for _ in range(3)], [200, 404, 404])

    def test_chunked_bodies(self):
        with Http(self.daemon.port) as http:
            chunked = b'4;note=x\r\n{"tr\r\nf\r\nansports":["sse\r\n3\r\n"]}\r\n0\r\nTrailer: x\r\n\r\n'
            for pieces in ([chunked], [bytes([b]) for b in chunked]):
                http.link.sendall(head_of("POST", "/rtc/negotiate", {"Transfer-Encoding": "chunked"}))
                for piece in pieces:
                    http.link.sendall(piece)
                self.assertEqual(http.reader.response().json()["transport"], "sse")

    def test_expect_continue(self):
        with Http(self.daemon.port) as http:
            http.link.sendall(head_of("POST", "/rtc/negotiate", {"Content-Length": 2, "Expect": "100-continue"}))
            self.assertEqual(http.reader.head()[0], 100)
            http.link.sendall(b"{}")
            self.assertEqual(http.reader.response().status, 200)

    def test_head_has_no_body_and_no_effect(self):
        response = request(self.daemon.port, "HEAD", "/rtc/sse")
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertNotIn("content-length", response.headers)
        self.assertEqual([c for c in self.daemon.connections() if c["transport"] == "sse"], [])

    def test_options_and_cross_origin_requests(self):
        response = request(self.daemon.port, "OPTIONS", "/rtc/poll")
        self.assertEqual((response.status, response.headers["allow"]), (204, "GET, HEAD, OPTIONS"))
        self.assertEqual(request(self.daemon.port, "POST", "/rtc/negotiate", headers={"Origin": "https://e.example"}).status, 403)
        with Daemon({"http.origins": "https://app.example"}) as daemon:
            origin = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
            response = request(daemon.port, "OPTIONS", "/rtc/negotiate", headers=origin)
            self.assertEqual(response.headers["access-control-allow-origin"], "https://app.example")
            self.assertEqual(response.headers["vary"], "Origin")
            self.assertIn("POST", response.headers["access-control-allow-methods"])
            self.assertNotIn("access-control-allow-credentials", response.headers)
            for bad in ("https://app.example:8443", "http://app.example", "https://app.example.evil", "null"):
                self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate", headers={"Origin": bad}).status, 403, bad)

    def test_paths_are_exact(self):
        for path in ("/", "/rtc", "/rtc/", "/rtc/sse/", "/rtc//sse", "/rtc%2Fsse%00", "/rtc/../rtc/sse", "/RTC/sse", "/rtcx/sse"):
            self.assertEqual(request(self.daemon.port, "GET", path).status, 404, path)

    def test_http_1_0_gets_its_answer_and_the_end(self):
        link = connect(self.daemon.port)
        link.sendall(b"POST /rtc/negotiate HTTP/1.0\r\n\r\n")
        reader = Reader(link)
        self.assertEqual(reader.response().headers["connection"], "close")
        self.assertTrue(reader.is_closed())
        link.close()


class Deadlines(DaemonTest):
    options = {"http.head-timeout": "400ms", "http.body-timeout": "400ms", "http.idle-timeout": "400ms"}

    def drip(self, start, status):
        """Bytes that keep coming do not extend a deadline."""
        link = connect(self.daemon.port)
        link.sendall(start)
        link.settimeout(0.05)
        reader = Reader(link)
        deadline = time.monotonic() + 10
        while b"\r\n\r\n" not in reader.buffer and time.monotonic() < deadline:
            try:
                link.sendall(b"a")
                if not reader.more():
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break
        self.assertTrue(reader.buffer.startswith(b"HTTP/1.1 %d" % status), reader.buffer)
        link.close()

    def test_a_head_that_drips_is_cut(self):
        self.drip(b"GET /rtc/sse HTTP/1.1\r\nHost: x\r\nA: ", 408)

    def test_a_body_that_drips_is_cut(self):
        self.drip(b"POST /rtc/negotiate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", 408)

    def test_idle_links_are_closed(self):
        with Http(self.daemon.port) as http:
            self.assertEqual(http.request("GET", "/x").status, 404)
            self.assertTrue(http.reader.is_closed())
        silent = connect(self.daemon.port)
        self.assertTrue(Reader(silent).is_closed())
        silent.close()

    def test_a_held_poll_outlives_the_idle_timeout(self):
        from client import Poller
        with Poller(self.daemon.port, wait=1500, group="late") as poller:
            poller.ask()
            started = time.monotonic()
            wait_until(lambda: time.monotonic() - started > 0.8, "twice the idle timeout")
            self.daemon.publish("n", 1, group="late")
            self.assertEqual([e["data"] for e in poller.answer()], [1])


if __name__ == "__main__":
    unittest.main()
