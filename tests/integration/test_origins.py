"""Hosts, origins and CORS: pages get in by the list or from the host itself, exactly; and never with credentials."""

import socket
import tempfile
import unittest

import certificates
from client import Http, Sse, WebSocket, head_of, request
from harness import CONTEXTS, Daemon, DaemonTest, free_port

LISTED = "https://app.example:8443"
# Each differs from LISTED, or from the host itself, in one thing.
STRANGERS = ["null", "", "*", "https://app.example", "https://app.example:8444", "http://app.example:8443", "https://app.example:8443/",
             "https://app.example:8443/x", "https://app.example:8443.evil.example", "https://evil.app.example:8443", "https://xapp.example:8443",
             "https://u@app.example:8443", "https://app.example:8443@evil.example", "HTTPS://app.example:8443", "https://APP.example:8443",
             "https:app.example:8443", "app.example:8443", "//app.example:8443", "https://app.example:8443, https://app.example:8443",
             "https://app.example:8443 https://app.example:8443", "https://app.example.:8443", "file://", "wss://app.example:8443",
             "http://localhost.", "http://localhost:80", "http://localhost:1", "http://localhost/", "http://localhost@x",
             "http://x@localhost", "http://localhost.evil.example", "http://evil.localhost", "evil://localhost", "://localhost", "http://"]
ALLOW = "access-control-allow-"


def strangers(daemon):
    return STRANGERS + ["http://localhost" if daemon.port in CONTEXTS else "https://localhost"]


class Listed(DaemonTest):
    options = {"http.origins": f"{LISTED},https://other.example", "http.playground": "true"}

    def refused(self, response, origin):
        self.assertEqual((response.status, response.json()["reason"]), (403, "forbidden"), origin)
        self.assertEqual([name for name in response.headers if name.startswith(ALLOW)], [], origin)
        self.assertEqual(response.headers["vary"], "Origin")

    def test_a_page_from_any_other_origin_is_refused_on_every_address(self):
        before, tried = self.daemon.counter("origins_refused"), 0
        for origin in strangers(self.daemon):
            for method, path in (("POST", "/rtc/negotiate"), ("OPTIONS", "/rtc/negotiate"), ("GET", "/rtc/poll"), ("GET", "/rtc/client.js"),
                                 ("GET", "/"), ("GET", "/nothing"), ("OPTIONS", "*")):
                self.refused(request(self.daemon.port, method, path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}), origin)
                tried += 1
        self.assertEqual(self.daemon.counter("origins_refused") - before, tried)

    def test_a_websocket_from_any_other_origin_is_refused_and_makes_no_connection(self):
        before = len(self.daemon.connections())
        for origin in strangers(self.daemon):
            self.refused(WebSocket(self.daemon.port, headers={"Origin": origin}).response, origin)
        self.assertEqual(len(self.daemon.connections()), before)

    def test_a_stolen_token_does_not_let_another_page_in(self):
        with WebSocket(self.daemon.port, headers={"Origin": LISTED}) as ws:
            thief = WebSocket(self.daemon.port, token=ws.token, received=0, headers={"Origin": "https://evil.example"})
            self.refused(thief.response, "evil")
            ws.send("rtc.ping", 1)
            ws.expect("rtc.pong")

    def test_two_origins_in_one_request_are_refused(self):
        for first, second in ((LISTED, "https://evil.example"), ("https://evil.example", LISTED), (LISTED, LISTED), ("http://localhost", LISTED)):
            with Http(self.daemon.port) as http:
                http.link.sendall(f"POST /rtc/negotiate HTTP/1.1\r\nHost: localhost\r\nOrigin: {first}\r\norigin: {second}\r\n\r\n".encode())
                self.refused(http.reader.response(), (first, second))

    def test_a_listed_page_may_read_answers_and_refusals_and_never_with_credentials(self):
        for origin in (LISTED, "https://other.example", "http://localhost", "http://LOCALHOST"):
            if self.daemon.port in CONTEXTS:
                origin = origin.replace("http://", "https://")
            for method, path, status in (("POST", "/rtc/negotiate", 200), ("GET", "/rtc/poll?token=x&wait=0", 200), ("GET", "/nothing", 404),
                                         ("POST", "/rtc/send?token=x", 404), ("PUT", "/rtc/poll", 405), ("GET", "/rtc/client.js", 200),
                                         ("POST", "/rtc/negotiate?access_token=x", 400), ("HEAD", "/rtc/sse", 200)):
                response = request(self.daemon.port, method, path, headers={"Origin": origin, "Cookie": "a=b"})
                self.assertEqual((response.status, response.headers[ALLOW + "origin"]), (status, origin), path)
                self.assertNotIn(ALLOW + "credentials", response.headers)
                self.assertEqual(response.headers["vary"], "Origin")
        with Sse(self.daemon.port, headers={"Origin": LISTED}) as sse:
            self.assertEqual((sse.headers[ALLOW + "origin"], sse.headers["vary"]), (LISTED, "Origin"))

    def test_every_answer_says_that_it_depends_on_the_origin(self):
        for method, path in (("GET", "/rtc/client.js"), ("POST", "/rtc/negotiate"), ("GET", "/nothing"), ("OPTIONS", "/rtc/poll"), ("GET", "/")):
            self.assertEqual(request(self.daemon.port, method, path).headers["vary"], "Origin", path)
        with Http(self.daemon.port) as http:
            http.link.sendall(b"nonsense\r\n\r\n")
            self.assertEqual(http.reader.response().headers["vary"], "Origin")

    def test_a_preflight_allows_what_clients_send(self):
        for path, method in (("/rtc/negotiate", "POST"), ("/rtc/send", "POST"), ("/rtc/poll", "GET"), ("/rtc/connection", "DELETE"), ("/rtc/sse", "GET")):
            asked = {"Origin": LISTED, "Access-Control-Request-Method": method,
                     "Access-Control-Request-Headers": "authorization,content-type,last-event-id"}
            response = request(self.daemon.port, "OPTIONS", path, headers=asked)
            self.assertEqual((response.status, response.headers[ALLOW + "origin"]), (204, LISTED), path)
            self.assertIn(method, response.headers[ALLOW + "methods"].split(", "))
            allowed = response.headers[ALLOW + "headers"].lower().split(", ")
            self.assertEqual({"authorization", "content-type", "last-event-id"} - set(allowed), set())
            self.assertNotIn("*", allowed)
            self.assertNotIn(ALLOW + "credentials", response.headers)

    def test_options_without_an_origin_is_no_preflight(self):
        response = request(self.daemon.port, "OPTIONS", "/rtc/negotiate", headers={"Access-Control-Request-Method": "POST"})
        self.assertEqual([name for name in response.headers if name.startswith(ALLOW)], [])

    def test_an_origin_does_not_outlast_its_request(self):
        with Http(self.daemon.port) as http:
            self.assertIn(ALLOW + "origin", http.request("POST", "/rtc/negotiate", headers={"Origin": LISTED}).headers)
            self.assertNotIn(ALLOW + "origin", http.request("POST", "/rtc/negotiate").headers)
            http.request("POST", "/rtc/negotiate", headers={"Origin": LISTED})
            http.link.sendall(b"nonsense\r\n\r\n")
            self.assertNotIn(ALLOW + "origin", http.reader.response().headers)


class Everybody(unittest.TestCase):
    def test_a_star_lets_all_pages_in_and_none_with_credentials(self):
        with Daemon({"http.origins": "*"}) as daemon:
            for origin in ("https://any.example", "null"):
                response = request(daemon.port, "POST", "/rtc/negotiate", headers={"Origin": origin, "Cookie": "a=b"})
                self.assertEqual((response.status, response.headers[ALLOW + "origin"], response.headers["vary"]), (200, origin, "Origin"))
                self.assertNotIn(ALLOW + "credentials", response.headers)
                with WebSocket(daemon.port, headers={"Origin": origin}) as ws:
                    self.assertEqual(ws.response.status, 101)

    def test_where_tls_is_spoken_a_page_without_it_is_another(self):
        authority = certificates.Authority(self.enterContext(tempfile.TemporaryDirectory(prefix="rtcd-test-")))
        port = free_port()
        with Daemon({"listen": f"tls:127.0.0.1:{port}", "tls.certificates": authority.issue_for("localhost").item}) as daemon:
            daemon.port = port
            CONTEXTS[port] = (certificates.context(authority), "localhost")
            for host, origin, status in (("localhost", "https://localhost", 200), ("localhost:443", "https://localhost", 200),
                                         ("localhost", "http://localhost", 403), ("localhost:8443", "https://localhost:8443", 200),
                                         ("localhost:8443", "https://localhost", 403), ("localhost:80", "https://localhost", 403)):
                with Http(port) as http:
                    http.link.sendall(head_of("POST", "/rtc/negotiate", {"Origin": origin}, host))
                    self.assertEqual(http.reader.response().status, status, (host, origin))


class Hosts(unittest.TestCase):
    def ask(self, daemon, host, path="/", extra=None, version="1.1"):
        with Http(daemon.port) as http:
            head = head_of("GET", path, extra, host).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
            http.link.sendall(head + head_of("GET", "/canary", host="example.org"))
            response = http.reader.response()
            if response.status == 421:
                self.assertEqual((response.headers["connection"], response.json()["reason"]), ("close", "unknown-host"))
                self.assertTrue(http.reader.is_closed())
                self.assertEqual(http.reader.buffer, b"")
            return response.status

    def test_only_listed_hosts_are_answered(self):
        with Daemon({"http.hosts": "example.org,localhost:8000,[::1],127.0.0.1", "http.playground": "true"}) as daemon:
            refused = 0
            for host, is_right in (("example.org", True), ("EXAMPLE.org:99", True), ("localhost:8000", True), ("[::1]", True), ("[::1]:7", True),
                                   ("127.0.0.1:1", True), ("localhost", False), ("localhost:8001", False), ("evil.example", False),
                                   ("example.org.", False), ("xexample.org", False), ("example.org.evil.example", False), ("example", False),
                                   ("[::2]", False), ("example.org:", True)):
                for path in ("/", "/rtc/client.js"):
                    self.assertEqual(self.ask(daemon, host, path), 200 if is_right else 421, host)
                    refused += not is_right
            # The target has another host than the header: that is no request at all.
            self.assertEqual(self.ask(daemon, "example.org", "http://evil.example/"), 400)
            self.assertEqual(self.ask(daemon, "evil.example", "http://evil.example/"), 421)
            self.assertEqual(self.ask(daemon, "example.org", "http://example.org/"), 200)
            self.assertEqual(self.ask(daemon, None, version="1.0"), 421)
            self.assertEqual(daemon.counter("hosts_refused"), refused + 2)

    def test_a_page_whose_name_was_made_to_point_here_is_not_our_own(self):
        rebound = {"Origin": "http://evil.example:8000"}
        for hosts, status in (("", 200), ("localhost", 421)):
            with Daemon({"http.hosts": hosts} if hosts else {}) as daemon:
                if daemon.port in CONTEXTS:
                    rebound["Origin"] = "https://evil.example:8000"
                with Http(daemon.port) as http:
                    http.link.sendall(head_of("POST", "/rtc/negotiate", rebound, "evil.example:8000"))
                    response = http.reader.response()
                    self.assertEqual(response.status, status)
                    self.assertEqual(ALLOW + "origin" in response.headers, status == 200)

    def test_it_holds_on_unix_sockets_and_for_redirects_to_tls_too(self):
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="rtcd-test-"))
        authority = certificates.Authority(directory)
        path = f"{directory}/clients.sock"
        port = free_port()
        with Daemon({"listen": f"unix:{path},tls:127.0.0.1:{port}", "tls.certificates": authority.issue_for("localhost").item,
                     "tls.plain": "redirect", "http.hosts": "localhost"}):
            for host, status in (("localhost", b"404"), ("evil.example", b"421")):
                with socket.socket(socket.AF_UNIX) as link:
                    link.connect(path)
                    link.sendall(head_of("GET", "/", host=host))
                    self.assertEqual(link.recv(12)[9:], status)
            for host, status in (("localhost", b"301"), ("evil.example", b"421")):
                with socket.create_connection(("127.0.0.1", port)) as link:
                    link.sendall(head_of("GET", "/", host=host))
                    self.assertEqual(link.recv(12)[9:], status)


if __name__ == "__main__":
    unittest.main()
