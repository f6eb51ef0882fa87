"""TLS between clients and the daemon: handshakes of all kinds, good and bad, certificates that change, and what comes after."""

import contextlib
import datetime
import json
import os
import re
import select
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from cryptography import x509

import certificates
import client
import harness
from client import Http, Poller, Reader, Sse, WebSocket, head_of, request, reset
from harness import CONTEXTS, Daemon, wait_until

REQUEST = b"POST /rtc/negotiate HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELLOS = 200


def serial(link):
    """Which certificate the server showed."""
    return x509.load_der_x509_certificate(link.getpeercert(True)).serial_number


class TlsDaemon(Daemon):
    """It waits for nobody's last word when it stops: the links that a test has opened are closed by then."""

    def stop(self):
        for link in self.opened:
            link.close()
        super().stop()


class TlsTest(unittest.TestCase):
    """A folder with an authority and the certificate of localhost. Each test starts the daemon that it wants."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="rtcd-test-tls-")
        self.addCleanup(folder.cleanup)
        self.authority = certificates.Authority(folder.name)
        self.own = self.authority.issue_for("localhost")

    def daemon(self, context=None, certificate=None, workers=2, **options):
        """Clients of its port speak TLS, as `context` says; `plain` is a port where they do not."""
        options = {name.replace("__", ".").replace("_", "-"): value for name, value in options.items()}
        daemon = TlsDaemon({"tls.certificates": certificate or self.own.item, **options}, workers=workers)
        daemon.opened = []
        daemon.plain = harness.free_port()
        daemon.arguments += ["--set", f"listen=tls:127.0.0.1:{daemon.port},127.0.0.1:{daemon.plain}"]
        CONTEXTS[daemon.port] = (context or certificates.context(self.authority), "localhost")
        return daemon

    def handshake(self, daemon, context=None, name="localhost", session=None):
        link = (context or CONTEXTS[daemon.port][0]).wrap_socket(socket.create_connection(("127.0.0.1", daemon.port), harness.PATIENCE_S),
                                                                 server_hostname=name, session=session)
        daemon.opened.append(link)
        return link

    def ask(self, link):
        """One request; the answer's status."""
        link.sendall(REQUEST)
        return Reader(link).response().status

    def assert_refused(self, daemon, context=None, alert="", name="localhost"):
        """With TLS 1.3 a client learns of it only once it reads; what it has sent by then does not keep the alert from it."""
        with self.assertRaisesRegex(ssl.SSLError, alert):
            link = self.handshake(daemon, context, name)
            link.sendall(REQUEST + b"x" * 100000)
            link.recv(1)

    def descriptors(self, daemon):
        daemon.admin("ping")        # by then each worker has begun, and opened what is its own
        return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


class Hand:
    """A client's half of TLS without a socket: what it says next, to be sent in any way."""

    def __init__(self, context, name="localhost"):
        self.incoming, self.outgoing, self.is_over = ssl.MemoryBIO(), ssl.MemoryBIO(), False
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def step(self):
        """Bytes for the server."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
            self.is_over = True
        return self.outgoing.read()

    def shake(self, link, send):
        """The whole handshake; `send` sends. What is said last, which is not sent."""
        said = self.step()
        while not self.is_over:
            send(said)
            said = self.hear(link)
        return said

    def hear(self, link):
        """Until it has something to say itself, or the handshake is over."""
        while True:
            piece = link.recv(65536)
            if not piece:
                raise EOFError
            self.incoming.write(piece)
            said = self.step()
            if said or self.is_over:
                return said

    def seal(self, data):
        self.tls.write(data)
        return self.outgoing.read()

    def receive(self, link):
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                return self.tls.read(65536)
            piece = link.recv(65536)
            if not piece:
                raise EOFError
            self.incoming.write(piece)


class Transports(TlsTest):
    def test_every_transport_carries_envelopes_both_ways(self):
        with self.daemon(publish__to_group="anyone") as daemon:
            for make in (lambda: WebSocket(daemon.port, group="g"), lambda: WebSocket(daemon.port, "msgpack", group="g"),
                         lambda: Sse(daemon.port, group="g")):
                with make() as one:
                    daemon.publish("n", 1, group="g")
                    self.assertEqual(one.expect("n")["data"], 1)
                    if isinstance(one, WebSocket):
                        self.assertEqual(one.call("rtc.join", {"group": "h"})["data"]["group"], "h")
                        self.assertEqual(one.close()[0], 1000)
            for wait in (0, 20000):
                with Poller(daemon.port, wait=wait, group="g") as one:
                    one.send({"eventName": "n", "data": 2, "to": {"group": "g"}})
                    self.assertEqual(one.gather(1), [2])

    def test_links_find_the_worker_of_their_connection(self):
        """Requests of one connection over many links, of which about half begin on the wrong worker."""
        with self.daemon() as daemon, Poller(daemon.port, wait=0, group="g") as poller:
            for number in range(1, 25):
                daemon.publish("n", number, group="g")
                poller.http.close()
                poller.http = Http(daemon.port)
                self.assertEqual(poller.gather(1), [number])
                # The link stays there, and goes on with whatever comes next.
                self.assertEqual(poller.http.request("POST", "/rtc/negotiate").status, 200)

    def test_large_messages(self):
        options = {"connection__message_bytes": "4MiB", "queue__bytes": "16MiB", "http__body_bytes": "4MiB", "resume__bytes": "16MiB",
                   "transports__poll_bytes": "16MiB", "publish__to_group": "anyone"}
        with self.daemon(**options) as daemon:
            for size in (16 * 1024 - 64, 16 * 1024, 1024 * 1024):
                data = os.urandom(size // 2).hex()
                with WebSocket(daemon.port, group="g") as ws, Sse(daemon.port, group="g") as sse, \
                        Poller(daemon.port, wait=20000, group="g") as poller:
                    ws.send("n", data, to={"group": "g"})
                    for one in (ws, sse):
                        self.assertEqual(one.expect("n")["data"], data)
                    self.assertEqual(poller.gather(1), [data])
                    poller.send({"eventName": "n", "data": data, "to": {"group": "g"}})
                    self.assertEqual(ws.expect("n")["data"], data)

    def test_a_client_that_reads_late_gets_all_in_order(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = certificates.context(self.authority, version=version)
            options = {"queue__bytes": "64MiB", "queue__envelopes": 100000, "queue__time": "60s", "connection__keep_alive": "60s",
                       "connection__timeout": "120s", "publish__to_group": "anyone"}
            with self.daemon(context, workers=1, **options) as daemon:
                with WebSocket(daemon.port, group="g") as late, WebSocket(daemon.plain) as publisher:
                    sent = [os.urandom(1 + number * 37 % 40000).hex() for number in range(600)]
                    for data in sent:
                        publisher.send("n", data, to={"group": "g"})
                    wait_until(lambda: daemon.counter("messages_published") == len(sent), "all to be published")
                    for number, data in enumerate(sent):
                        # While the socket was full it asked something itself: the answer has its place in between.
                        if number % 100 == 0:
                            late.send("rtc.ping", number)
                        self.assertEqual(late.expect("n")["data"], data)

    def test_the_last_message_does_not_stay_behind_a_full_socket(self):
        """However many it takes to fill it: nothing else happens that would get the rest going. By a Unix socket, as those are full at
        the same point each time."""
        path = os.path.join(self.authority.directory, "clients.sock")
        context = certificates.context(self.authority)

        def connect(port):
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(harness.PATIENCE_S)
            link.connect(path)
            return context.wrap_socket(link, server_hostname="localhost")

        def fill(daemon, count=None):
            """So many messages before the first is read, or as many as it takes; how many."""
            sent, is_full = 0, False
            with mock.patch("client.connect", connect), WebSocket(daemon.port, group="g") as ws:
                while sent < count if count else not is_full:
                    sent += daemon.publish("n", "x" * 20000, group="g")
                    daemon.admin("ping")            # the turn that sends is over
                    is_full = daemon.admin("show.connection", connection=ws.id)["unsentBytes"] > 0
                for _ in range(sent):
                    ws.expect("n")
                ws.close()
            return sent

        options = {"listen": f"tls:unix:{path}", "tls.certificates": self.own.item, "queue.bytes": "64MiB", "resume.bytes": "64MiB",
                   "connection.keep-alive": "60s", "connection.timeout": "120s"}
        with Daemon(options, workers=1) as daemon:
            enough = fill(daemon)
            for count in range(enough - 2, enough + 2):
                fill(daemon, count)

    def test_programs_of_others(self):
        with self.daemon() as daemon:
            curl = ["curl", "-sSN", "--fail", "--cacert", self.authority.path, "--connect-to", "localhost::127.0.0.1:"]
            base = f"https://localhost:{daemon.port}/rtc"
            answer = subprocess.run([*curl, "-X", "POST", base + "/negotiate"], capture_output=True, text=True, check=True, timeout=20)
            self.assertIn("connectionToken", answer.stdout)
            with subprocess.Popen([*curl, base + "/sse?group=g"], stdout=subprocess.PIPE, text=True) as stream:
                self.assertIn("rtc.welcome", stream.stdout.readline())
                stream.stdout.readline()
                daemon.publish("n", 7, group="g")
                while not (line := stream.stdout.readline()).startswith("data"):
                    pass
                self.assertEqual(json.loads(line.removeprefix("data: "))["data"], 7)
                stream.terminate()


class Names(TlsTest):
    def test_a_client_gets_the_certificate_of_the_name_that_it_asks_for(self):
        others = [self.authority.issue_for("example.test", "www.example.test"), self.authority.issue_for("*.wild.test", is_rsa=True)]
        with self.daemon(certificate=",".join([self.own.item, *(one.item for one in others)])) as daemon:
            expected = {"localhost": self.own, "example.test": others[0], "www.example.test": others[0], "a.wild.test": others[1]}
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = certificates.context(self.authority, version=version)
                for name, issued in expected.items():
                    self.assertEqual(serial(self.handshake(daemon, context, name)), issued.certificate.serial_number, name)
                context.check_hostname = False
                for name in ("nobody.test", "wild.test", "a.b.wild.test", None):
                    self.assertEqual(serial(self.handshake(daemon, context, name)), self.own.certificate.serial_number, name)

    def test_a_file_may_hold_certificate_and_key(self):
        with open(self.own.path, "rb") as certificate, open(self.own.key_path, "rb") as key:
            both = self.authority.write("both.pem", key.read() + certificate.read())
        with self.daemon(certificate=both) as daemon:
            self.assertEqual(serial(self.handshake(daemon)), self.own.certificate.serial_number)

    def test_the_chain_is_sent(self):
        middle = certificates.Authority(self.authority.directory, "middle")
        signed = self.authority._sign(middle.name, middle.key.public_key(), [(x509.BasicConstraints(True, None), True)])
        leaf = middle.issue_for("localhost")
        with open(leaf.path, "ab") as file:
            file.write(signed.public_bytes(certificates.PEM))
        with self.daemon(certificate=leaf.item) as daemon:
            self.assertEqual(serial(self.handshake(daemon)), leaf.certificate.serial_number)


class Rules(TlsTest):
    def test_versions(self):
        old = certificates.context(self.authority, version=ssl.TLSVersion.TLSv1_2)
        new = certificates.context(self.authority, version=ssl.TLSVersion.TLSv1_3)
        ancient = certificates.context(self.authority)
        ancient.set_ciphers("ALL:@SECLEVEL=0")
        ancient.minimum_version, ancient.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with self.daemon() as daemon:
            self.assertEqual(self.handshake(daemon, old).version(), "TLSv1.2")
            self.assertEqual(self.handshake(daemon, new).version(), "TLSv1.3")
            self.assert_refused(daemon, ancient, "PROTOCOL_VERSION")
        with self.daemon(tls__minimum="1.3") as daemon:
            self.assert_refused(daemon, old, "PROTOCOL_VERSION")
            self.assertEqual(self.handshake(daemon, new).version(), "TLSv1.3")

    def test_weak_ciphers_are_refused(self):
        for cipher in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"):
            context = certificates.context(self.authority, version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(cipher + ":@SECLEVEL=0")
            with self.subTest(cipher), self.daemon() as daemon:
                self.assert_refused(daemon, context, "HANDSHAKE_FAILURE")

    def test_application_protocols(self):
        for offered, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (None, None)):
            context = certificates.context(self.authority)
            if offered:
                context.set_alpn_protocols(offered)
            with self.daemon() as daemon:
                self.assertEqual(self.handshake(daemon, context).selected_alpn_protocol(), chosen)
        context.set_alpn_protocols(["h2"])
        with self.daemon() as daemon:
            self.assert_refused(daemon, context, "no application protocol")

    def s_client(self, daemon, *options):
        return subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", "-CAfile", self.authority.path,
                                 "-servername", "localhost", *options],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def read_until(self, child, wanted):
        """What the program said so far."""
        said, deadline = b"", time.monotonic() + harness.PATIENCE_S
        while not re.search(wanted, said):
            ready, _, _ = select.select([child.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(child.stdout.fileno(), 65536) if ready else b""
            self.assertTrue(piece, said.decode(errors="replace"))
            said += piece
        return said

    def test_renegotiation_is_refused(self):
        with self.daemon() as daemon, self.s_client(daemon, "-tls1_2") as child:
            self.read_until(child, b"verify return:1")
            child.stdin.write(b"R\n")
            child.stdin.flush()
            self.read_until(child, b"no renegotiation|handshake failure")
            child.kill()

    def test_keys_may_be_updated(self):
        with self.daemon() as daemon, self.s_client(daemon, "-tls1_3") as child:
            self.read_until(child, b"verify return:1")
            for command, echo in ((b"k\n", b"KEYUPDATE"), (b"K\n", b"KEYUPDATE"), (b"K\n", b"KEYUPDATE")):
                child.stdin.write(command)
                child.stdin.flush()
                self.read_until(child, echo)
                child.stdin.write(REQUEST)
                child.stdin.flush()
                self.assertIn(b"200 OK", self.read_until(child, b"maxMessageSize"))
            child.kill()

    def test_a_listener_without_certificates_does_not_start(self):
        with self.assertRaisesRegex(AssertionError, "ended with 78(?s:.*)tls.certificates: there must be one at least"):
            with Daemon({"listen": "tls:127.0.0.1:1"}):
                pass

    def test_a_unix_socket_may_speak_tls(self):
        path = os.path.join(self.authority.directory, "clients.sock")
        with Daemon({"listen": f"tls:unix:{path}", "tls.certificates": self.own.item}), socket.socket(socket.AF_UNIX) as link:
            link.connect(path)
            with certificates.context(self.authority).wrap_socket(link, server_hostname="localhost") as tls:
                self.assertEqual(self.ask(tls), 200)


class Plain(TlsTest):
    def test_http_without_tls_is_told_so(self):
        with self.daemon() as daemon:
            del CONTEXTS[daemon.port]
            for method in ("GET", "POST", "OPTIONS"):
                response = request(daemon.port, method, "/rtc/negotiate", headers={"Origin": "https://elsewhere.test"})
                self.assertEqual((response.status, response.json()["reason"]), (400, "plain-http"))
                self.assertNotIn("access-control-allow-origin", response.headers)
            with Http(daemon.port) as http:
                for byte in head_of("GET", "/rtc/websocket"):
                    http.link.sendall(bytes([byte]))
                self.assertIn(b"https", http.reader.response().body)
                self.assertTrue(http.reader.is_closed())
            self.assertEqual(request(daemon.plain, "POST", "/rtc/negotiate").status, 200)

    def test_or_is_sent_where_tls_is_spoken(self):
        with self.daemon(tls__plain="redirect") as daemon:
            del CONTEXTS[daemon.port]
            for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308)):
                with Http(daemon.port) as http:
                    response = http.request(method, "/rtc/poll", wait=0, token="x")
                    self.assertEqual(response.status, status)
                    self.assertEqual(response.headers["location"], "https://localhost/rtc/poll?wait=0&token=x")
                    self.assertTrue(http.reader.is_closed())
            self.assertEqual(request(daemon.port, "OPTIONS", "*").status, 400)

    def test_nonsense_costs_nobody_else_anything(self):
        with self.daemon(http__head_timeout="300ms") as daemon:
            before = self.descriptors(daemon)
            links, nonsenses = [], [b"\0" * 100, b"\x16\x03\x01" + b"\xff" * 5000, b"\x16\x03\x01\0\x01\x01", b"\x80\x2e\x01",
                                    b"\x15\x03\x01\0\2\2\50", b"G" * 20000, b"SSH-2.0-x\r\n", os.urandom(100000)]
            for nonsense in nonsenses:
                link = socket.create_connection(("127.0.0.1", daemon.port))
                links.append(link)
                with contextlib.suppress(ConnectionError):
                    link.sendall(nonsense)
                self.assertEqual(self.ask(self.handshake(daemon)), 200)
            for link in links:
                link.close()
            wait_until(lambda: self.descriptors(daemon) <= before + len(links), "the links to be gone")


class Tickets(TlsTest):
    def resumes(self, daemon, context, session):
        link = self.handshake(daemon, context, session=session)
        self.assertEqual(self.ask(link), 200)
        return link.session_reused, link.session

    def test_sessions_are_resumed_across_reloads_and_new_certificates(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = certificates.context(self.authority, version=version)
            with self.subTest(version), self.daemon(context) as daemon:
                is_resumed, session = self.resumes(daemon, context, None)
                self.assertFalse(is_resumed)
                for change in (lambda: None, lambda: daemon.rtcctl("reload"), lambda: self.authority.issue_for("localhost"),
                               lambda: daemon.rtcctl("reload")):
                    change()
                    is_resumed, session = self.resumes(daemon, context, session)
                    self.assertTrue(is_resumed)
                self.assertEqual(daemon.counter("tls_resumed"), 4)

    def test_what_another_daemon_sealed_is_not_taken(self):
        context = certificates.context(self.authority)
        with self.daemon(context) as daemon:
            _, session = self.resumes(daemon, context, None)
        with self.daemon(context) as daemon:
            self.assertFalse(self.resumes(daemon, context, session)[0])


class Reload(TlsTest):
    def test_new_certificates_are_taken_up_and_nobody_is_dropped(self):
        with self.daemon() as daemon:
            clients = [WebSocket(daemon.port, group="g") for _ in range(10)]
            before = self.own.certificate.serial_number
            renewed = self.authority.issue_for("localhost")
            self.assertIn("tls.certificates read again", daemon.rtcctl("reload").stdout)
            self.assertNotEqual(renewed.certificate.serial_number, before)
            self.assertEqual(serial(self.handshake(daemon)), renewed.certificate.serial_number)
            daemon.publish("n", 1, group="g")
            for ws in clients:
                self.assertEqual(ws.expect("n")["data"], 1)
                self.assertEqual(ws.call("rtc.join", {"group": "h"})["data"]["group"], "h")
                self.assertEqual(ws.close()[0], 1000)

    def test_what_cannot_be_used_is_refused_and_the_old_stays(self):
        with open(self.own.key_path, "rb") as file:
            key = file.read()
        foreign = certificates.Authority(self.authority.directory, "foreign").issue_for("elsewhere.test")
        breaks = {
            "is not the key of this certificate": lambda: self.authority.write("localhost.key", open(foreign.key_path, "rb").read()),
            "holds no key in PEM form": lambda: self.authority.write("localhost.key", key[:100]),
            "cannot be read: No such file": lambda: os.unlink(self.own.key_path),
            "mode 0644": lambda: self.authority.write("localhost.key", key, 0o644),
            "mode 0640": lambda: self.authority.write("localhost.key", key, 0o640),
        }
        with self.daemon() as daemon:
            before = serial(self.handshake(daemon))
            for reason, spoil in breaks.items():
                spoil()
                with self.subTest(reason):
                    reload = daemon.rtcctl("reload", check=False)
                    self.assertNotEqual(reload.returncode, 0)
                    self.assertIn(reason, reload.stdout + reload.stderr)
                    self.assertIn(self.own.key_path, reload.stdout + reload.stderr)
                    self.assertEqual(serial(self.handshake(daemon)), before)
            self.authority.write("localhost.key", key)
            daemon.rtcctl("reload")
            self.assertNotIn("PRIVATE", daemon.log())
            self.assertNotIn(key.decode().split("\n")[1], daemon.log())

    def test_changed_files_are_noticed(self):
        with self.daemon() as daemon:
            before = serial(self.handshake(daemon))
            with open(self.own.path, "rb") as file:
                old = file.read()
            renewed = self.authority.issue_for("localhost").certificate.serial_number
            wait_until(lambda: serial(self.handshake(daemon)) == renewed, "the new one")
            self.authority.write("localhost.pem", old)
            wait_until(lambda: "those in force stay" in daemon.log(), "a warning")
            self.assertEqual(serial(self.handshake(daemon)), renewed)
            self.assertNotEqual(before, renewed)

    def test_a_link_in_their_place_is_noticed(self):
        """As certbot does it: the names are links to the files of the moment."""
        first, second = self.authority.issue_for("first.test"), self.authority.issue_for("localhost")
        folder = os.path.join(self.authority.directory, "live")
        os.mkdir(folder)
        for name, target in (("a.pem", first.path), ("a.key", first.key_path)):
            os.symlink(target, os.path.join(folder, name))
        with self.daemon(certificate=f"{folder}/a.pem:{folder}/a.key") as daemon:
            for name, target in (("a.pem", second.path), ("a.key", second.key_path)):
                os.unlink(os.path.join(folder, name))
                os.symlink(target, os.path.join(folder, name))
            context = certificates.context(self.authority)
            context.check_hostname = False
            wait_until(lambda: serial(self.handshake(daemon, context)) == second.certificate.serial_number, "the new one")

    def test_keys_that_others_may_read_do_not_start(self):
        os.chmod(self.own.key_path, 0o640)
        pattern = f"ended with 78(?s:.*){re.escape(self.own.key_path)} holds a key and has mode 0640"
        with self.assertRaisesRegex(AssertionError, pattern):
            with self.daemon():
                pass
        check = subprocess.run([os.path.join(harness.BUILD, "daemon/rtcd"), "--no-config", "--check", "--set",
                                f"tls.certificates={self.own.item}"], capture_output=True, text=True, check=False)
        self.assertEqual((check.returncode, "mode 0640" in check.stderr), (78, True), check.stderr)


class ClientCertificates(TlsTest):
    def setUp(self):
        super().setUp()
        self.clients = certificates.Authority(self.authority.directory, "clients")
        self.ada = self.clients.issue("ada", "ada", names=[x509.DNSName("ada.test"), x509.RFC822Name("ada@example.test"),
                                                           x509.UniformResourceIdentifier("urn:ada")])

    def context(self, shown=None, version=None):
        return certificates.context(self.authority, shown, version)

    def certified(self, mode="require", user="common-name", context=None, **options):
        return self.daemon(context or self.context(self.ada), tls__client_ca=self.clients.path, tls__client_certificate=mode,
                           tls__client_user=user, connection__anonymous="false", **options)

    def test_the_certificate_says_who_the_user_is(self):
        for user, name in (("common-name", "ada"), ("dns-name", "ada.test"), ("email", "ada@example.test"), ("uri", "urn:ada")):
            with self.subTest(user), self.certified(user=user) as daemon:
                with WebSocket(daemon.port) as ws:
                    self.assertEqual(ws.welcome["data"]["userId"], name)
                with Sse(daemon.port, user=name) as sse:
                    self.assertEqual(sse.welcome["data"]["userId"], name)
                self.assertEqual(WebSocket(daemon.port, user="bob").response.status, 403)

    def test_without_a_user_it_is_no_credential(self):
        with self.certified(user="none") as daemon:
            self.assertEqual(WebSocket(daemon.port).response.status, 401)

    def test_a_certificate_without_a_name_for_a_user_is_nobody(self):
        for names in ((), ("a", "b"), ("x" * 64,) * 2, ("bell\a",)):
            nobody = self.clients.issue("nobody", *names)
            with self.subTest(names), self.certified(context=self.context(nobody)) as daemon:
                self.assertEqual(WebSocket(daemon.port).response.status, 401)

    def test_one_user_does_not_get_the_connection_of_another(self):
        bob = self.clients.issue("bob", "bob")
        with self.certified() as daemon, WebSocket(daemon.port) as ws:
            CONTEXTS[daemon.port] = (self.context(bob), "localhost")
            self.assertEqual(WebSocket(daemon.port, token=ws.token, received=0).response.status, 403)
            self.assertEqual(ws.call("rtc.join", {"group": "g"})["data"]["group"], "g")

    def test_bad_ones_are_refused(self):
        expired = self.clients.issue("expired", "expired", days=(-30, -1))
        early = self.clients.issue("early", "early", days=(1, 30))
        foreign = certificates.Authority(self.authority.directory, "foreign").issue("foreign", "ada")
        for mode in ("request", "require"):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(mode=mode, version=version), self.certified(mode) as daemon:
                    for shown, alert in ((expired, "CERTIFICATE_EXPIRED"), (early, "BAD_CERTIFICATE"), (foreign, "UNKNOWN_CA")):
                        self.assert_refused(daemon, self.context(shown, version), alert)
                    if mode == "require":
                        self.assert_refused(daemon, self.context(None, version), "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE")
                    self.assertEqual(self.ask(self.handshake(daemon, self.context(self.ada, version))), 200)
                    self.assertIn("certificate has expired", daemon.log())

    def test_requested_ones_may_be_missing(self):
        with self.certified("request", context=self.context()) as daemon:
            self.assertEqual(WebSocket(daemon.port).response.status, 401)

    def test_revoked_ones_are_refused(self):
        bob = self.clients.issue("bob", "bob")
        with open(self.clients.path, "ab") as file:
            file.write(self.clients.revoke(bob))
        with self.certified() as daemon:
            self.assert_refused(daemon, self.context(bob), "REVOKED")
            self.assertEqual(self.ask(self.handshake(daemon)), 200)

    def test_a_resumed_session_is_the_same_user(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(self.ada, version)
            with self.subTest(version), self.certified(context=context) as daemon:
                link = self.handshake(daemon, context)
                self.ask(link)
                again = self.handshake(daemon, context, session=link.session)
                again.sendall(head_of("GET", "/rtc/sse"))
                self.assertTrue(again.session_reused)
                reader = Reader(again)
                self.assertEqual(reader.head()[0], 200)
                self.assertIn(b'"userId":"ada"', reader.line())

    def test_a_ticket_does_not_outlast_its_certificate_or_the_rules(self):
        brief = self.clients.issue("brief", "brief", days=(-1, 3 / 86400))
        context, anybody = self.context(brief), self.context()
        with self.certified("request", context=context) as daemon:
            link, other = self.handshake(daemon, context), self.handshake(daemon, anybody)
            for one in (link, other):
                self.ask(one)
            # What OpenSSL takes for now may be a tick of the kernel's late.
            expired = brief.certificate.not_valid_after + datetime.timedelta(milliseconds=50)
            wait_until(lambda: certificates.now() > expired, "it to expire")
            with self.assertRaises((ssl.SSLError, EOFError, ConnectionError)):
                self.ask(self.handshake(daemon, context, session=link.session))
            self.assertIn("certificate has expired", daemon.log())
            again = self.handshake(daemon, anybody, session=other.session)
            self.assertEqual((again.session_reused, self.ask(again)), (True, 401))
        # From now on all must show one: a session from before does not spare them that.
        config = f"tls:\n  client-certificate: %s\n  client-ca: {self.clients.path}\n"
        daemon = TlsDaemon({"tls.certificates": self.own.item}, config % "request")
        daemon.opened = []
        daemon.arguments += ["--set", f"listen=tls:127.0.0.1:{daemon.port}"]
        with daemon:
            other = self.handshake(daemon, anybody)
            self.assertEqual(self.ask(other), 200)
            daemon.write_config(config % "require")
            daemon.rtcctl("reload")
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.ask(self.handshake(daemon, anybody, session=other.session))

    def test_rules_between_the_options(self):
        for options, sentence in (({"tls.client-certificate": "require"}, "tls.client-ca"), ({"tls.client-user": "email"}, "tls.client-user")):
            arguments = [argument for name, value in options.items() for argument in ("--set", f"{name}={value}")]
            check = subprocess.run([os.path.join(harness.BUILD, "daemon/rtcd"), "--no-config", "--check", *arguments], capture_output=True,
                                   text=True, check=False)
            self.assertEqual((check.returncode, sentence in check.stderr), (78, True), check.stderr)


class Handshakes(TlsTest):
    VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)

    def connect(self, daemon):
        link = socket.create_connection(("127.0.0.1", daemon.port), harness.PATIENCE_S)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        daemon.opened.append(link)
        return link

    def test_byte_by_byte(self):
        for version in self.VERSIONS:
            with self.daemon() as daemon:
                hand, link = Hand(certificates.context(self.authority, version=version)), self.connect(daemon)

                def send(said):
                    for byte in said:
                        link.sendall(bytes([byte]))

                send(hand.shake(link, send))
                send(hand.seal(REQUEST))
                self.assertIn(b"200 OK", hand.receive(link))

    def test_a_request_may_come_with_the_last_flight(self):
        with self.daemon() as daemon:
            hand, link = Hand(certificates.context(self.authority, version=ssl.TLSVersion.TLSv1_3)), self.connect(daemon)
            link.sendall(hand.shake(link, link.sendall) + hand.seal(REQUEST) + hand.seal(REQUEST))
            got = b""
            while got.count(b"connectionToken") < 2:
                got += hand.receive(link)

    def test_cut_at_every_byte(self):
        for version in self.VERSIONS:
            with self.daemon() as daemon:
                before, context = self.descriptors(daemon), certificates.context(self.authority, version=version)
                hello = Hand(context).step()
                for ending in (socket.socket.close, reset):
                    for cut in range(len(hello)):
                        link = self.connect(daemon)
                        link.sendall(hello[:cut])
                        ending(link)
                    cut, last = 0, b"x"
                    while cut < len(last):
                        hand, link = Hand(context), self.connect(daemon)
                        link.sendall(hand.step())
                        last = hand.hear(link) + (hand.seal(REQUEST) if version == ssl.TLSVersion.TLSv1_3 else b"")
                        link.sendall(last[:cut])
                        ending(link)
                        cut += 1
                wait_until(lambda: self.descriptors(daemon) <= before, "all links to be gone")
                self.assertEqual(self.ask(self.handshake(daemon)), 200)

    def test_slow_ones_hit_their_deadline(self):
        with self.daemon(tls__handshake_timeout="400ms") as daemon:
            hello = Hand(certificates.context(self.authority)).step()
            links = [self.connect(daemon) for _ in range(3)]
            started = time.monotonic()
            links[1].sendall(hello[:100])
            for byte in hello[:-1]:
                if select.select([links[2]], [], [], 0.02)[0]:
                    break
                links[2].sendall(bytes([byte]))
            for link in links:
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(link.recv(1), b"")
            self.assertLess(time.monotonic() - started, 5)
            self.assertGreaterEqual(time.monotonic() - started, 0.4)
            self.assertEqual(daemon.counter("tls_failed"), 3)
            self.assertIn("tls.handshake-timeout", daemon.log())

    def test_the_oldest_makes_room_when_there_are_too_many(self):
        with self.daemon(workers=1, tls__handshakes=4) as daemon:
            hello = Hand(certificates.context(self.authority)).step()
            links = [self.connect(daemon) for _ in range(7)]
            for link in links[:6]:
                link.sendall(hello[:100])
                self.assertEqual(self.ask(self.handshake(daemon)), 200)
            # A good one counts while it lasts: from the fifth on, it or another made the oldest go.
            links[6].sendall(hello[:100])
            for link in links[:3]:
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(link.recv(1), b"")
            self.assertEqual(select.select(links[3:], [], [], 0)[0], [])
            for link in links[3:]:
                link.sendall(hello[100:])
                self.assertEqual(link.recv(1), b"\x16")

    def test_an_address_that_begins_many_and_ends_none_is_not_listened_to(self):
        hello = Hand(certificates.context(self.authority)).step()
        with self.daemon(workers=1, limits__handshakes_per_address=3) as daemon:
            for count in range(1, 6):
                # Good ones count for nothing.
                self.assertEqual(self.ask(self.handshake(daemon)), 200)
                if count <= 2:
                    with self.connect(daemon) as link:
                        link.sendall(hello)
                        self.assertEqual(link.recv(1), b"\x16")
            with self.connect(daemon) as link:
                link.sendall(b"\x16\x03\x01\x00\x05hello")
                self.assertEqual(link.recv(1), b"\x15")
            with self.connect(daemon) as link, contextlib.suppress(ConnectionResetError):
                self.assertEqual(link.recv(1), b"")
            wait_until(lambda: daemon.counter("rate_limited") >= 1, "the refusal to be counted")

    def test_a_crowd_of_them_does_not_hold_up_who_is_there_already(self):
        hello = Hand(certificates.context(self.authority)).step()
        with self.daemon(workers=1) as daemon, WebSocket(daemon.port, "msgpack") as ws:
            crowd = [self.connect(daemon) for _ in range(HELLOS)]
            self.assertEqual(ws.call("rtc.join", {"group": "g"})["data"]["group"], "g")
            with daemon.paused():
                for link in crowd:
                    link.sendall(hello)
                ws.send("rtc.ping", 1)
                ws.link.pending()
            ws.expect("rtc.pong")
            # Some more are served until it stands still again.
            with daemon.paused():
                answered = len(select.select(crowd, [], [], 0)[0])
            self.assertLess(answered, HELLOS)
            wait_until(lambda: len(select.select(crowd, [], [], 0)[0]) == HELLOS, "all to be answered")

    def test_stopping_does_not_wait_for_them(self):
        with self.daemon() as daemon:
            link = self.connect(daemon)
            daemon.opened = []      # it stays
            link.sendall(Hand(certificates.context(self.authority)).step()[:50])
            with self.handshake(daemon) as other:
                self.assertEqual(self.ask(other), 200)
            started = time.monotonic()
            daemon.stop()
            self.assertLess(time.monotonic() - started, 1.9)        # links that linger get as long as that


class Endings(TlsTest):
    def test_the_server_says_that_it_ends(self):
        with self.daemon() as daemon:
            link = CONTEXTS[daemon.port][0].wrap_socket(socket.create_connection(("127.0.0.1", daemon.port)), server_hostname="localhost",
                                                        suppress_ragged_eofs=False)
            with link:
                link.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                while link.recv(65536):
                    pass

    def test_a_client_may_end_its_half_at_once(self):
        """What it asked for is answered, then the link is over."""
        for version in Handshakes.VERSIONS:
            with self.daemon() as daemon, socket.create_connection(("127.0.0.1", daemon.port), harness.PATIENCE_S) as link:
                hand = Hand(certificates.context(self.authority, version=version))
                said = hand.shake(link, link.sendall) + hand.seal(REQUEST)
                with contextlib.suppress(ssl.SSLWantReadError):
                    hand.tls.unwrap()
                link.sendall(said + hand.outgoing.read())
                got = b""
                with contextlib.suppress(ConnectionResetError):
                    while piece := link.recv(65536):
                        got += piece
                self.assertGreater(len(got), 400)

    def test_a_client_that_leaves_with_and_without_a_word_comes_back(self):
        def say_so(link):
            with contextlib.suppress(ssl.SSLError, OSError):
                link.unwrap()
            link.close()

        with self.daemon() as daemon:
            for leave in (say_so, socket.socket.close, reset):
                ws = WebSocket(daemon.port, group="g")
                leave(ws.link)
                wait_until(lambda: any(c["id"] == ws.id and c["state"] == "parked" for c in daemon.connections()), "it to be parked")
                daemon.publish("n", 5, group="g")
                with WebSocket(daemon.port, token=ws.token, received=0) as back:
                    self.assertTrue(back.welcome["data"]["resumed"])
                    self.assertEqual(back.expect("n")["data"], 5)
                    back.close()

    def test_a_broken_record_costs_only_its_link(self):
        with self.daemon() as daemon, WebSocket(daemon.port) as good:
            for broken in (b"\x17\x03\x03\0\x20" + os.urandom(32), b"\x17\x03\x03\xff\xff", b"\x16\x03\x03\0\1\1",
                           b"GET / HTTP/1.1\r\n\r\n", os.urandom(3000)):
                ws = WebSocket(daemon.port)
                os.write(ws.link.fileno(), broken + (b"" if len(broken) > 40 else os.urandom(20000)))
                wait_until(lambda: any(c["id"] == ws.id and c["state"] == "parked" for c in daemon.connections()), "it to be parked")
                ws.link.close()
                self.assertEqual(good.call("rtc.join", {"group": "g"})["data"]["group"], "g")


if __name__ == "__main__":
    unittest.main()
