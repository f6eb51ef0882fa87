"""The files that are built into the daemon: the browser's client below the base path, and the playground where it is switched on."""

import os
import re
import socket
import subprocess
import sys
import time
import unittest

from client import Http, Reader, connect, head_of, request
from harness import ROOT, Daemon, DaemonTest, wait_until

CLIENT = "/rtc/client.js"
SCRIPTS = ["/playground.js", "/playground-line.js", "/playground-plot.js", "/playground-msgpack.js"]
PLAYGROUND = {"/": "text/html; charset=utf-8", "/playground.css": "text/css; charset=utf-8", "/playground.svg": "image/svg+xml",
              **{path: "text/javascript; charset=utf-8" for path in SCRIPTS}}


def source(path):
    with open(os.path.join(ROOT, path), "rb") as file:
        return file.read()


def bundle():
    """rtc.js and its modules, as one."""
    return subprocess.run([sys.executable, os.path.join(ROOT, "lib/js/bundle.py")], stdout=subprocess.PIPE, check=True).stdout


class Client(DaemonTest):
    def get(self, method="GET", **headers):
        return request(self.daemon.port, method, CLIENT, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def test_it_is_the_file_with_what_a_browser_needs_to_take_it(self):
        response = self.get()
        self.assertEqual((response.status, response.body), (200, bundle()))
        self.assertEqual(response.headers["content-type"], "text/javascript; charset=utf-8")
        self.assertEqual(response.headers["x-content-type-options"], "nosniff")
        self.assertEqual(response.headers["cache-control"], "no-cache")
        self.assertEqual(response.headers["vary"], "Origin")
        self.assertRegex(response.headers["etag"], r'^"[0-9a-f]{32}"$')

    def test_who_holds_it_already_does_not_get_it_again(self):
        etag = self.get().headers["etag"]
        for held in (etag, f"W/{etag}", f'"other", {etag}', f'"a",W/"b" ,{etag}', "*"):
            response = self.get(If_None_Match=held)
            self.assertEqual((response.status, response.body), (304, b""), held)
            self.assertEqual((response.headers["etag"], response.headers["cache-control"], response.headers["vary"]),
                             (etag, "no-cache", "Origin"))
            self.assertNotIn("content-length", response.headers)
        for other in ('"other"', etag.strip('"'), etag.upper(), f"{etag[:-1]}0\"", "W/", ""):
            self.assertEqual(self.get(If_None_Match=other).status, 200, other)

    def test_several_lines_of_tags_are_one_list_and_304_ends_with_its_head(self):
        etag = self.get().headers["etag"]
        with Http(self.daemon.port) as http:
            for _ in range(2):
                http.link.sendall(f"GET {CLIENT} HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\nif-none-match: {etag}\r\n\r\n".encode())
                self.assertEqual(http.reader.head()[0], 304)
            self.assertEqual(http.request("GET", CLIENT).status, 200)

    def test_head_says_the_same_without_the_file(self):
        get, head = self.get(), self.get("HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        for name in ("content-length", "content-type", "etag", "cache-control", "vary"):
            self.assertEqual(head.headers[name], get.headers[name])
        self.assertEqual(self.get("HEAD", If_None_Match=get.headers["etag"]).status, 304)

    def test_other_methods_are_refused_with_the_ones_that_are_there(self):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            response = self.get(method)
            self.assertEqual((response.status, response.headers["allow"]), (405, "GET, HEAD, OPTIONS"), method)
        response = self.get("OPTIONS")
        self.assertEqual((response.status, response.headers["allow"]), (204, "GET, HEAD, OPTIONS"))

    def test_a_body_that_nobody_asked_for_is_not_taken_for_a_request(self):
        canary = head_of("GET", "/rtc/canary")
        for method, path in (("GET", CLIENT), ("HEAD", CLIENT), ("HEAD", "/rtc/sse")):
            for headers, body in (({"Content-Length": len(canary)}, canary),
                                  ({"Transfer-Encoding": "chunked"}, b"%x\r\n%s\r\n0\r\n\r\n" % (len(canary), canary))):
                with Http(self.daemon.port) as http:
                    http.link.sendall(head_of(method, path, headers) + body)
                    response = http.reader.response(method == "HEAD")
                    self.assertEqual((response.status, response.headers["connection"]), (200, "close"))
                    self.assertTrue(http.reader.is_closed())
                    self.assertEqual(http.reader.buffer, b"")

    def test_pages_from_elsewhere_load_it_by_the_list_of_origins(self):
        self.assertEqual(self.get(Origin="https://app.example").status, 403)
        self.assertEqual(self.get(Origin="http://localhost").headers["access-control-allow-origin"], "http://localhost")
        with Daemon({"http.origins": "https://app.example"}) as daemon:
            response = request(daemon.port, "GET", CLIENT, headers={"Origin": "https://app.example"})
            self.assertEqual((response.status, response.headers["access-control-allow-origin"], response.headers["vary"]),
                             (200, "https://app.example", "Origin"))
            held = request(daemon.port, "GET", CLIENT, headers={"Origin": "https://app.example", "If-None-Match": response.headers["etag"]})
            self.assertEqual((held.status, held.headers["access-control-allow-origin"]), (304, "https://app.example"))

    def test_it_moves_with_the_base_path(self):
        with Daemon({"http.base-path": "/live/rtc"}) as daemon:
            self.assertEqual(request(daemon.port, "GET", "/live/rtc/client.js").body, bundle())
            for path in (CLIENT, "/client.js"):
                self.assertEqual(request(daemon.port, "GET", path).status, 404, path)


class Playground(unittest.TestCase):
    def test_it_is_off_unless_switched_on(self):
        with Daemon() as daemon:
            for path in PLAYGROUND:
                self.assertEqual(request(daemon.port, "GET", path).status, 404, path)

    def test_everything_it_names_is_served_and_it_trusts_nobody_else(self):
        with Daemon({"http.playground": "true"}) as daemon:
            for path, kind in PLAYGROUND.items():
                response = request(daemon.port, "GET", path)
                self.assertEqual((response.status, response.headers["content-type"]), (200, kind), path)
                self.assertEqual(response.headers["x-content-type-options"], "nosniff")
            response = request(daemon.port, "GET", "/")
            policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
            self.assertEqual((policy["default-src"], policy["script-src"], policy["connect-src"]), ("'none'", "'self'", "'self'"))
            self.assertNotIn("unsafe", response.headers["content-security-policy"])
            self.assertEqual(response.headers["referrer-policy"], "no-referrer")
            page = response.body.decode()
            self.assertNotIn("@BASE@", page)
            named = re.findall(r'<(?:link|script)[^>]* (?:href|src)="\.?/?([^":]+)"', page)
            self.assertIn("rtc/client.js", named)
            for name in named:
                self.assertEqual(request(daemon.port, "GET", f"/{name}").status, 200, name)
            self.assertNotRegex(page, r"<script>|<style>| style=| on\w+=|https?://")

    def test_it_knows_the_base_path_and_so_does_its_tag(self):
        etags = set()
        for base in ("/rtc", "/live/rtc"):
            with Daemon({"http.playground": "true", "http.base-path": base}) as daemon:
                response = request(daemon.port, "GET", "/")
                self.assertIn(f'"./{base[1:]}/client.js"', response.body.decode())
                etags.add(response.headers["etag"])
                held = request(daemon.port, "GET", "/", headers={"If-None-Match": response.headers["etag"]})
                self.assertEqual((held.status, held.headers["content-security-policy"]),
                                 (304, response.headers["content-security-policy"]))
        self.assertEqual(len(etags), 2)

    def test_paths_are_exact(self):
        with Daemon({"http.playground": "true"}) as daemon:
            for path in ("/index.html", "//", "/rtc/", "/rtc/playground.js", "/client.js", "/Playground.js", "/playground.js/", "/./"):
                self.assertEqual(request(daemon.port, "GET", path).status, 404, path)
            for path in ("/?user=a", "http://localhost/", "/playground%2ejs"):
                self.assertEqual(request(daemon.port, "GET", path).status, 200, path)

    def test_a_reload_switches_it_off(self):
        with Daemon(config="http:\n  playground: true\n") as daemon:
            self.assertEqual(request(daemon.port, "GET", "/").status, 200)
            daemon.write_config("http:\n  playground: false\n")
            daemon.admin("reload")
            wait_until(lambda: request(daemon.port, "GET", "/").status == 404, "404")


class SlowReader(unittest.TestCase):
    """The kernel takes a little at a time, for a client that reads late: the rest waits here, and nothing is lost or doubled."""

    COUNT = 5

    def setUp(self):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)      # what it accepts has the same
        self.addCleanup(listener.close)
        self.listener, self.content = listener, bundle()

    def ask(self, daemon, last_headers=None):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(20)
        link.connect(("127.0.0.1", daemon.port))
        link.sendall(head_of("GET", CLIENT) * (self.COUNT - 1) + head_of("GET", CLIENT, last_headers))
        self.addCleanup(link.close)
        return link, Reader(link)

    def read_answers(self, reader, count):
        for _ in range(count):
            self.assertEqual(reader.response().body, self.content)

    def test_who_reads_late_gets_every_answer_whole(self):
        with Daemon(inherited=self.listener) as daemon:
            _, reader = self.ask(daemon)
            wait_until(lambda: daemon.counter("requests_received") == 1, "the first request")
            self.read_answers(reader, self.COUNT)
            self.assertEqual(reader.buffer, b"")

    def test_the_next_request_waits_until_the_answer_is_read(self):
        with Daemon(inherited=self.listener) as daemon:
            link, reader = self.ask(daemon)
            wait_until(lambda: daemon.counter("bytes_sent") > 0, "the first answer's beginning")
            self.assertEqual(daemon.counter("requests_received"), 1)
            self.assertLess(daemon.counter("bytes_sent"), len(self.content))
            self.read_answers(reader, self.COUNT)
            self.assertEqual(daemon.counter("requests_received"), self.COUNT)

    def test_the_last_answer_has_as_long_as_any(self):
        with Daemon(inherited=self.listener) as daemon:
            _, reader = self.ask(daemon, {"Connection": "close"})
            self.read_answers(reader, self.COUNT - 1)
            wait_until(lambda: daemon.counter("requests_received") == self.COUNT, "the last request")
            late = time.monotonic() + 2.5       # longer than a link lingers once its last byte is out
            wait_until(lambda: time.monotonic() > late)
            self.read_answers(reader, 1)
            self.assertTrue(reader.is_closed())
            self.assertEqual(reader.buffer, b"")

    def test_who_never_reads_is_given_up(self):
        with Daemon({"http.write-timeout": "300ms"}, inherited=self.listener) as daemon:
            for count, headers in enumerate((None, {"Connection": "close"}), 1):
                link, _ = self.ask(daemon, headers)
                wait_until(lambda: daemon.counter("requests_received") == count, "the request")
                wait_until(lambda: not self.is_held(daemon, link), "the link's end")
            self.assertEqual(daemon.counter("requests_received"), 2)

    def test_the_daemon_stops_though_somebody_reads_no_further(self):
        with Daemon(inherited=self.listener) as daemon:
            self.ask(daemon)
            wait_until(lambda: daemon.counter("bytes_sent") > 0, "the answer's beginning")

    @staticmethod
    def is_held(daemon, link):
        """Has the daemon still a descriptor for its end? What the kernel keeps for itself has no inode."""
        ports = [f":{daemon.port:04X}", f":{link.getsockname()[1]:04X}"]
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file]
        return any([row[1][-5:], row[2][-5:]] == ports and row[9] != "0" for row in rows)


if __name__ == "__main__":
    unittest.main()
