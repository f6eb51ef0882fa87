"""Behind proxies: whose a connection is. What is not trusted has no say in it."""

import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest

import certificates
from client import Http, Reader, Sse, WebSocket, head_of, request
from harness import CONTEXTS, ROOT, Daemon, free_port, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
IP4, IP6, UNIX, UNSPEC = 0x11, 0x21, 0x31, 0


def header(family=IP4, source="192.0.2.7", port=4321, command=1, more=b"", version=2):
    kind = {IP4: socket.AF_INET, IP6: socket.AF_INET6}.get(family)
    body = b"x".ljust(216, b"\0") if family == UNIX else b""
    if kind:
        body = 2 * socket.inet_pton(kind, source) + struct.pack("!HH", port, 80)
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", len(body + more)) + body + more


class Forwarded(unittest.TestCase):
    def address(self, daemon, **headers):
        """The address that rtcctl shows for a connection made with these headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with WebSocket(daemon.port, headers=named) as ws:
            return next(c["address"] for c in daemon.connections() if c["id"] == ws.id)

    def test_from_who_is_not_trusted_nothing_is_believed(self):
        for trusted in ("", "10.0.0.0/8,unix"):
            with Daemon({"http.trusted-proxies": trusted, "limits.connections-per-address": 2} if trusted else {}) as daemon:
                self.assertRegex(self.address(daemon, X_Forwarded_For="192.0.2.7"), r"^127\.0\.0\.1:\d+$")

    def test_a_trusted_proxy_says_whose_it_is(self):
        with Daemon({"http.trusted-proxies": "127.0.0.1,10.0.0.0/8", "log.net": "info"}) as daemon:
            for said, address in (("192.0.2.7", "192.0.2.7"), ("198.51.100.1, 192.0.2.7:99, 10.1.2.3", "192.0.2.7:99"), ("[2001:db8::7]:1", "[2001:db8::7]:1"),
                                  ("2001:db8::7", "2001:db8::7")):
                self.assertEqual(self.address(daemon, X_Forwarded_For=said), address)
            for nonsense in ("unknown", "", "192.0.2.7, x"):
                self.assertRegex(self.address(daemon, X_Forwarded_For=nonsense), r"^127\.0\.0\.1:\d+$")
            refused = request(daemon.port, "POST", "/rtc/negotiate", headers={"X-Forwarded-For": "192.0.2.9", "Authorization": "Bearer x"})
            self.assertEqual(refused.status, 401)
            self.assertIn("192.0.2.9", daemon.log())
            with Sse(daemon.port, headers={"X-Forwarded-For": "192.0.2.8"}) as sse:
                self.assertIn("192.0.2.8", [c["address"] for c in daemon.connections() if c["id"] == sse.id])

    def test_each_request_of_a_kept_connection_has_its_own_client(self):
        with Daemon({"http.trusted-proxies": "127.0.0.1"}) as daemon, Http(daemon.port) as http:
            for said in ("192.0.2.1", "192.0.2.2", None, "192.0.2.3"):
                headers = {"X-Forwarded-For": said} if said else {}
                made = http.request("POST", "/rtc/negotiate", headers=headers).json()["connectionId"]
                address = next(c["address"] for c in daemon.connections() if c["id"] == made)
                self.assertEqual(address.split(":")[0], said or "127.0.0.1")

    def test_limits_count_by_the_clients_address(self):
        with Daemon({"http.trusted-proxies": "127.0.0.1", "limits.connections-per-address": 2}) as daemon:
            statuses = [request(daemon.port, "POST", "/rtc/negotiate", headers={"X-Forwarded-For": f"203.0.113.{n}, 192.0.2.{who}"}).status
                        for n, who in enumerate([1, 1, 1, 2, 2, 2])]
            self.assertEqual(statuses, [200, 200, 429] * 2)
        with Daemon({"http.trusted-proxies": "127.0.0.1", "limits.connects-per-address": 1, "limits.failures-per-address": 1}) as daemon:
            for who in ("192.0.2.1", "192.0.2.2"):
                headers = {"X-Forwarded-For": who}
                self.assertEqual([request(daemon.port, "POST", "/rtc/negotiate", headers=headers).status for _ in range(2)], [200, 429])
                headers["Authorization"] = "Bearer x"
                self.assertEqual([request(daemon.port, "POST", "/rtc/negotiate", headers=headers).status for _ in range(2)], [401, 429])

    def test_who_is_not_trusted_cannot_leave_his_limits_by_naming_others(self):
        with Daemon({"limits.connections-per-address": 1, "http.trusted-proxies": "10.0.0.1"}) as daemon:
            statuses = [request(daemon.port, "POST", "/rtc/negotiate", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status for n in range(3)]
            self.assertEqual(statuses, [200, 429, 429])

    def test_the_scheme_that_the_proxy_names_is_that_of_the_page(self):
        with Daemon({"http.trusted-proxies": "127.0.0.1"}) as daemon:
            own = "https" if daemon.port in CONTEXTS else "http"
            for said, scheme in ((None, own), ("https", "https"), ("http", "http"), ("http, HTTPS", "https"), ("https,http", "http"), ("", "http")):
                headers = {"X-Forwarded-Proto": said} if said is not None else {}
                for origin in ("http", "https"):
                    status = request(daemon.port, "POST", "/rtc/negotiate", headers={"Origin": f"{origin}://localhost", **headers}).status
                    self.assertEqual(status, 200 if origin == scheme else 403, (said, origin))
        with Daemon() as daemon:
            other = "http" if daemon.port in CONTEXTS else "https"
            headers = {"Origin": f"{other}://localhost", "X-Forwarded-Proto": other}
            self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate", headers=headers).status, 403)

    def test_a_proxy_on_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/clients.sock"
            with Daemon({"listen": f"unix:{path}", "http.trusted-proxies": "unix", "limits.connections-per-address": 1}) as daemon:
                statuses = []
                for who in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
                    with socket.socket(socket.AF_UNIX) as link:
                        link.connect(path)
                        link.sendall(head_of("POST", "/rtc/negotiate", {"X-Forwarded-For": who}))
                        statuses.append(Reader(link).response().status)
                self.assertEqual(statuses, [200, 429, 200])
                self.assertEqual(sorted(c["address"] for c in daemon.connections()), ["192.0.2.1", "192.0.2.2"])

    def test_a_reload_changes_who_is_trusted(self):
        with Daemon(config="http: {trusted-proxies: [127.0.0.1]}\n") as daemon:
            with Http(daemon.port) as http:
                def address():
                    made = http.request("POST", "/rtc/negotiate", headers={"X-Forwarded-For": "192.0.2.1"}).json()["connectionId"]
                    return next(c["address"].split(":")[0] for c in daemon.connections() if c["id"] == made)
                self.assertEqual(address(), "192.0.2.1")
                daemon.write_config("http: {trusted-proxies: [10.0.0.1]}\n")
                daemon.admin("reload")
                wait_until(lambda: address() == "127.0.0.1", "the new list")


class ProxyProtocol(unittest.TestCase):
    def daemon(self, kind="", **options):
        """It takes connections with a PROXY header at its port."""
        port = free_port()
        daemon = Daemon({"listen": f"proxy:{kind}127.0.0.1:{port}", "http.trusted-proxies": "127.0.0.1", "http.head-timeout": "10s",
                         **{name.replace("__", ".").replace("_", "-"): value for name, value in options.items()}})
        daemon.port = port
        CONTEXTS.pop(port, None)
        return daemon

    def negotiate(self, daemon, pieces, context=None):
        """The address of the connection that is made behind these bytes; None: it was closed without a word."""
        with socket.create_connection(("127.0.0.1", daemon.port)) as link:
            link.settimeout(20)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for piece in pieces:
                    link.sendall(piece)
                if context:
                    link = context.wrap_socket(link, server_hostname="localhost")
                reader = Reader(link)
                link.sendall(head_of("POST", "/rtc/negotiate"))
                made = reader.response().json()["connectionId"]
            except (EOFError, ConnectionError):
                return None
            finally:
                link.close()
        return next(c["address"] for c in daemon.connections() if c["id"] == made)

    def test_the_header_says_whose_it_is_however_it_is_cut(self):
        with self.daemon() as daemon:
            for data, address in ((header(), "192.0.2.7:4321"), (header(IP6, "2001:db8::7"), "[2001:db8::7]:4321"), (header(UNIX), "unix"),
                                  (header(more=b"\3\0\4\1\2\3\4" + b"\4\1\0" + b"\0" * 256), "192.0.2.7:4321"),
                                  (header(IP6, "::ffff:192.0.2.7"), "192.0.2.7:4321")):
                self.assertEqual(self.negotiate(daemon, [data]), address)
                self.assertEqual(self.negotiate(daemon, [bytes([byte]) for byte in data]), address)
                self.assertEqual(self.negotiate(daemon, [data[:16], data[16:]]), address)
            for data in (header(command=0), header(UNSPEC), header(UNSPEC, more=b"abc"), header(0xff, command=0)):
                self.assertRegex(self.negotiate(daemon, [data]), r"^127\.0\.0\.1:\d+$")

    def test_a_health_check_that_says_nothing_more_costs_nothing(self):
        with self.daemon() as daemon:
            with socket.create_connection(("127.0.0.1", daemon.port)) as link:
                link.sendall(header(command=0))
            self.assertEqual(self.negotiate(daemon, [header()]), "192.0.2.7:4321")
            self.assertEqual(daemon.counter("proxy_headers_refused"), 0)

    def test_without_a_right_header_the_connection_is_closed_and_counted(self):
        with self.daemon() as daemon:
            table = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n", header(version=1), header(command=2), header(0x12),
                     header(0x41), header()[:14] + b"\0\4", header()[:14] + b"\xff\xff", b"\r\n\r\n", b"\x16\3\1", os.urandom(64)]
            for data in table:
                self.assertIsNone(self.negotiate(daemon, [data]), data)
            wait_until(lambda: daemon.counter("proxy_headers_refused") == len(table), "all are counted")
            self.assertEqual(daemon.connections(), [])
            self.assertEqual(daemon.counter("requests_received"), 0)

    def test_a_second_header_is_no_request(self):
        with self.daemon() as daemon:
            with socket.create_connection(("127.0.0.1", daemon.port)) as link:
                link.sendall(header() + header(source="192.0.2.9"))
                self.assertEqual(Reader(link).response().status, 400)

    def test_a_header_that_does_not_come_in_time_is_not_waited_for(self):
        with self.daemon(http__head_timeout="300ms") as daemon:
            for start in (b"", header()[:20]):
                with socket.create_connection(("127.0.0.1", daemon.port)) as link:
                    link.sendall(start)
                    self.assertTrue(Reader(link).is_closed())
            self.assertEqual(daemon.counter("proxy_headers_refused"), 2)

    def test_who_is_no_trusted_proxy_is_closed(self):
        with self.daemon(http__trusted_proxies="127.0.0.9") as daemon:
            self.assertIsNone(self.negotiate(daemon, [header()]))
            with socket.create_connection(("127.0.0.1", daemon.port), source_address=("127.0.0.9", 0)) as link:
                link.sendall(header() + head_of("POST", "/rtc/negotiate"))
                self.assertEqual(Reader(link).response().status, 200)
            self.assertEqual(daemon.counter("proxy_headers_refused"), 1)

    def test_limits_count_by_the_clients_address(self):
        with self.daemon(limits__connections_per_address=1) as daemon:
            for who in ("192.0.2.1", "192.0.2.2"):
                with socket.create_connection(("127.0.0.1", daemon.port)) as link:
                    link.sendall(header(source=who))
                    reader = Reader(link)
                    statuses = []
                    for _ in range(2):
                        link.sendall(head_of("POST", "/rtc/negotiate"))
                        statuses.append(reader.response().status)
                    self.assertEqual(statuses, [200, 429])

    def test_a_proxy_behind_it_may_say_more(self):
        with self.daemon(http__trusted_proxies="127.0.0.1,10.0.0.0/8") as daemon:
            for who, said, address in (("10.0.0.5", "192.0.2.1", "192.0.2.1"), ("203.0.113.5", "192.0.2.1", "203.0.113.5:4321")):
                with socket.create_connection(("127.0.0.1", daemon.port)) as link:
                    link.sendall(header(source=who) + head_of("POST", "/rtc/negotiate", {"X-Forwarded-For": said}))
                    made = Reader(link).response().json()["connectionId"]
                self.assertEqual(next(c["address"] for c in daemon.connections() if c["id"] == made), address)

    def test_it_comes_before_tls(self):
        with tempfile.TemporaryDirectory() as directory:
            authority = certificates.Authority(directory)
            context = certificates.context(authority)
            with self.daemon("tls:", tls__certificates=authority.issue_for("localhost").item, http__head_timeout="400ms") as daemon:
                self.assertEqual(self.negotiate(daemon, [header()], context), "192.0.2.7:4321")
                self.assertEqual(self.negotiate(daemon, [bytes([byte]) for byte in header(more=b"\4\0\1x")], context), "192.0.2.7:4321")
                self.assertRegex(self.negotiate(daemon, [header(command=0)], context), r"^127\.0\.0\.1:")
                # Header and the beginning of TLS in one piece.
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                session = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
                with self.assertRaises(ssl.SSLWantReadError):
                    session.do_handshake()
                with socket.create_connection(("127.0.0.1", daemon.port)) as link:
                    link.sendall(header() + outgoing.read())
                    self.assertEqual(link.recv(1), b"\x16")
                self.assertIsNone(self.negotiate(daemon, [b"\x16\3\1\2\0\1\0\1\xfc\3\3"]))
                with socket.create_connection(("127.0.0.1", daemon.port)) as link:
                    self.assertTrue(Reader(link).is_closed())
                self.assertEqual(daemon.counter("proxy_headers_refused"), 2)

    def test_a_daemon_that_stops_does_not_wait_for_headers(self):
        with self.daemon(http__head_timeout="1h") as daemon, socket.create_connection(("127.0.0.1", daemon.port)) as link:
            link.sendall(header()[:17])
            daemon.stop()
            self.assertTrue(Reader(link).is_closed())

    def test_it_needs_proxies_that_are_trusted(self):
        with self.assertRaisesRegex(AssertionError, "http.trusted-proxies: there must be one at least"):
            with Daemon({"listen": "proxy:127.0.0.1:1"}):
                pass


class Programs(unittest.TestCase):
    """Proxies that others wrote, configured as rtcd(8) says."""

    @contextlib.contextmanager
    def program(self, name, config, *arguments):
        path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        with tempfile.TemporaryDirectory(prefix="rtcd-test-") as directory:
            os.chmod(directory, 0o755)
            port = free_port()
            file = os.path.join(directory, "config")
            with open(file, "w", encoding="utf-8") as out:
                out.write(config.replace("PORT", str(port)).replace("DIRECTORY", directory))
            with open(os.path.join(directory, "log"), "w", encoding="utf-8") as log:
                process = subprocess.Popen([path, *[word.replace("FILE", file).replace("DIRECTORY", directory) for word in arguments]],
                                           stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            try:
                wait_until(lambda: process.poll() is not None or self.is_open(port), f"{name} listens")
                with open(os.path.join(directory, "log"), encoding="utf-8") as log:
                    self.assertIsNone(process.poll(), log.read())
                yield port
            finally:
                process.terminate()
                process.wait()

    def is_open(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def snippet(self, name, **values):
        """A config from rtcd(8), with what is this test's own in place of what is the reader's."""
        with open(os.path.join(ROOT, "man/rtcd.8.in"), encoding="utf-8") as file:
            text = file.read().split(f'.\\" {name}\n.Bd -literal -offset indent\n')[1].split("\n.Ed")[0]
        text = text.replace("\\e", "\\")
        for old, new in values.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text

    def talk(self, daemon, port, source):
        """By each transport, from an address that only the proxy sees."""
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), source_address=(source, 0)) as link:
                link.sendall(head_of("POST", "/rtc/negotiate", {"X-Forwarded-For": "203.0.113.1", "Content-Length": 0, "Origin": "http://localhost"}))
                made = Reader(link).response().json()["connectionId"]
            address = next(c["address"] for c in daemon.connections() if c["id"] == made)
            self.assertEqual(address.split(":")[0], source)
        with WebSocket(port, group="g") as ws, Sse(port, group="g") as sse:
            daemon.publish("n", 1, group="g")
            self.assertEqual((ws.expect("n")["data"], sse.expect("n")["data"]), (1, 1))

    def test_nginx(self):
        with Daemon({"http.trusted-proxies": "127.0.0.1"}) as daemon:
            if daemon.port in CONTEXTS:
                self.skipTest("nginx and rtcd speak in clear")
            locations = self.snippet("nginx", **{"http://127.0.0.1:8000": f"http://127.0.0.1:{daemon.port}"})
            config = ("daemon off; pid DIRECTORY/pid; error_log stderr; worker_processes 1;\nevents {}\nhttp { access_log off;\n"
                      + "".join(f"{kind}_temp_path DIRECTORY/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
                      + "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
                      + "server { listen 127.0.0.1:PORT;\n" + locations + "\n} }\n")
            with self.program("nginx", config, "-c", "FILE", "-p", "DIRECTORY") as port:
                self.talk(daemon, port, "127.0.0.77")

    def test_haproxy(self):
        for kind in ("", "tls:"):
            with self.subTest(kind or "plain"), tempfile.TemporaryDirectory() as directory:
                authority = certificates.Authority(directory)
                inner = free_port()
                options = {"listen": f"proxy:{kind}127.0.0.1:{inner}", "http.trusted-proxies": "127.0.0.1"}
                if kind:
                    options["tls.certificates"] = authority.issue_for("localhost").item
                with Daemon(options) as daemon:
                    servers = self.snippet("haproxy", **{":8000": "127.0.0.1:PORT", "127.0.0.1:8001": f"127.0.0.1:{inner}"})
                    config = "global\n    maxconn 100\n" + servers + "\n"
                    with self.program("haproxy", config, "-db", "-f", "FILE") as port:
                        if kind:
                            CONTEXTS[port] = (certificates.context(authority), "localhost")
                        address = "127.0.0.78"
                        with socket.create_connection(("127.0.0.1", port), source_address=(address, 0)) as link:
                            if kind:
                                link = CONTEXTS[port][0].wrap_socket(link, server_hostname="localhost")
                            link.sendall(head_of("POST", "/rtc/negotiate", {"X-Forwarded-For": "203.0.113.1"}))
                            made = Reader(link).response().json()["connectionId"]
                            link.close()
                        self.assertEqual(next(c["address"] for c in daemon.connections() if c["id"] == made).split(":")[0], address)
                        with WebSocket(port, group="g") as ws:
                            daemon.publish("n", 1, group="g")
                            self.assertEqual(ws.expect("n")["data"], 1)
                        CONTEXTS.pop(port, None)
                    self.assertEqual(daemon.counter("proxy_headers_refused"), 0)


if __name__ == "__main__":
    unittest.main()
