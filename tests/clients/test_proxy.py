"""The proxy does what it is told to, and no more: or else the scenarios prove nothing."""

import contextlib
import socket
import threading
import unittest

from rig import DAMAGES, Proxy, encoded_address

from client import Sse, WebSocket, negotiate
from harness import PATIENCE_S, Daemon, wait_until

TEXT = bytes(range(256)) * 4


class Upstream:
    """A server that sends TEXT to everybody, at once or when something has come, and keeps what comes until the end, which may
    be an error."""

    def __init__(self):
        self.is_asked = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.links = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                link, address = self.listener.accept()
                seen = {"from": address[0], "got": b"", "end": None, "link": link}
                self.links.append(seen)
                if not self.is_asked:
                    link.sendall(TEXT)
                threading.Thread(target=self._read, args=(seen,), daemon=True).start()

    def _read(self, seen):
        try:
            while piece := seen["link"].recv(65536):
                if self.is_asked and not seen["got"]:
                    seen["link"].sendall(TEXT)
                seen["got"] += piece
            seen["end"] = "end"
        except OSError:
            seen["end"] = "reset"

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for seen in self.links:
            seen["link"].close()


def read(link, count=None):
    """(what came, how it ended): until the end, or so many bytes."""
    got = b""
    link.settimeout(PATIENCE_S)
    try:
        while count is None or len(got) < count:
            piece = link.recv(65536)
            if not piece:
                return got, "end"
            got += piece
    except ConnectionResetError:
        return got, "reset"
    return got, None


class Damage(unittest.TestCase):
    def setUp(self):
        self.upstream = Upstream()
        self.addCleanup(self.upstream.close)
        self.proxy = Proxy(self.upstream.port)
        self.addCleanup(self.proxy.close)

    def connect(self, host):
        link = socket.create_connection((host, self.proxy.port), PATIENCE_S)
        self.addCleanup(link.close)
        return link

    def is_reset(self):
        """A new link is reset, perhaps before the client knows that it is open."""
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(read(self.connect("127.0.0.9")), (b"", "reset"))

    def seen(self, number=0):
        return wait_until(lambda: self.upstream.links[number] if len(self.upstream.links) > number else None, "a link to the server")

    def whole(self, host, number):
        """Another link of the place: everything comes through."""
        link = self.connect(host)
        link.sendall(TEXT)
        self.assertEqual(read(link, len(TEXT)), (TEXT, None))
        wait_until(lambda: self.seen(number)["got"] == TEXT, "all bytes")
        link.shutdown(socket.SHUT_WR)
        wait_until(lambda: self.seen(number)["end"] == "end", "the end")
        self.seen(number)["link"].close()
        self.assertEqual(read(link), (b"", "end"))

    def test_without_a_plan_all_goes_through_from_the_clients_address(self):
        self.whole("127.0.0.9", 0)
        self.assertEqual(self.seen()["from"], "127.0.0.9")
        count = self.proxy.command("count", "127.0.0.9")
        self.assertEqual(count, {"up": len(TEXT), "down": len(TEXT), "opened": 1, "open": 0, "damaged": 0})

    def test_upwards_the_server_gets_just_so_many_bytes(self):
        for number, (damage, offset) in enumerate((damage, offset) for damage in ("reset", "end") for offset in (0, 1, 37, len(TEXT))):
            host = encoded_address("up", offset, damage)
            link = self.connect(host)
            self.assertEqual(read(link, len(TEXT)), (TEXT, None))
            for at in range(0, len(TEXT), 100):
                with contextlib.suppress(OSError):
                    link.sendall(TEXT[at:at + 100])
            wait_until(lambda number=number: self.seen(2 * number)["end"], "the server's end")
            self.assertEqual((self.seen(2 * number)["got"], self.seen(2 * number)["end"]), (TEXT[:offset], damage))
            self.assertIn(read(link)[1], ("end", "reset"))
            self.whole(host, 2 * number + 1)

    def test_downwards_the_client_gets_just_so_many_bytes(self):
        self.upstream.is_asked = True       # or the link may be reset before the client knows that it is open
        for number, (damage, offset) in enumerate((damage, offset) for damage in ("reset", "end") for offset in (1, 37, len(TEXT))):
            host = encoded_address("down", offset, damage)
            link = self.connect(host)
            link.sendall(b"?")
            self.assertEqual(read(link), (TEXT[:offset], damage))
            self.whole(host, 2 * number + 1)

    def test_offsets_go_on_over_several_links(self):
        host = encoded_address("up", len(TEXT) + 5, "end")
        self.whole(host, 0)
        link = self.connect(host)
        link.sendall(TEXT)
        wait_until(lambda: self.seen(1)["end"], "the server's end")
        self.assertEqual(self.seen(1)["got"], TEXT[:5])

    def test_a_half_closed_link_still_works_the_other_way(self):
        link = self.connect(encoded_address("down", 10, "half"))
        self.assertEqual(read(link), (TEXT[:10], "end"))
        link.sendall(b"still here")
        wait_until(lambda: self.seen()["got"] == b"still here", "what the client sent")
        link.close()
        wait_until(lambda: self.seen()["end"], "the server's end")

        link = self.connect(encoded_address("up", 4, "half"))
        link.sendall(b"still here")
        wait_until(lambda: self.seen(1)["end"] == "end", "the server's end")
        self.assertEqual(self.seen(1)["got"], b"stil")
        self.assertEqual(read(link, len(TEXT)), (TEXT, None))
        self.seen(1)["link"].sendall(b"as well")
        self.assertEqual(read(link, 7), (b"as well", None))

    def test_a_stalled_link_is_silent(self):
        host = encoded_address("up", 4, "stall")
        link = self.connect(host)
        self.assertEqual(read(link, len(TEXT)), (TEXT, None))
        link.sendall(b"still here")
        wait_until(lambda: self.seen()["got"] == b"stil", "four bytes")
        self.seen()["link"].sendall(b"nobody hears this")
        self.whole(host, 1)
        self.assertEqual((self.seen()["got"], self.seen()["end"]), (b"stil", None))
        link.setblocking(False)
        self.assertRaises(BlockingIOError, link.recv, 1)
        link.close()
        self.whole(host, 2)
        self.assertIsNone(self.seen()["end"])

    def test_damage_now(self):
        for number, damage in enumerate(("reset", "end")):
            link = self.connect("127.0.0.9")
            self.assertEqual(read(link, len(TEXT)), (TEXT, None))
            self.assertEqual(self.proxy.command("now", "127.0.0.9", "up", damage), {"links": 1})
            self.assertEqual(read(link), (b"", damage))
            wait_until(lambda number=number, damage=damage: self.seen(number)["end"] == damage, "the server's end")
        self.assertEqual(self.proxy.command("now", "127.0.0.9", "up", "reset"), {"links": 0})

    def test_a_plan_counts_from_now_on(self):
        self.whole("127.0.0.9", 0)
        self.proxy.command("plan", "127.0.0.9", "up", 3, "end")
        link = self.connect("127.0.0.9")
        link.sendall(TEXT)
        wait_until(lambda: self.seen(1)["end"], "the server's end")
        self.assertEqual(self.seen(1)["got"], TEXT[:3])

    def test_all_links_are_refused_until_they_are_not(self):
        self.proxy.command("manner", "127.0.0.9", "refuse")
        self.is_reset()
        self.proxy.command("manner", "127.0.0.9", "plain")
        self.whole("127.0.0.9", 0)

    def test_a_server_that_is_gone_resets(self):
        self.upstream.close()
        self.is_reset()

    def test_much_goes_through_a_slow_reader(self):
        link = self.connect("127.0.0.9")
        data = TEXT * 32768
        sender = threading.Thread(target=self.seen()["link"].sendall, args=(data,))
        sender.start()
        counts = [-1]

        def is_stuck():
            counts.append(self.proxy.command("count", "127.0.0.9")["down"])
            return counts[-1] == counts[-2] > len(TEXT)
        wait_until(is_stuck, "the buffers to be full")
        self.assertLess(counts[-1], len(data))
        with link.makefile("rb") as file:
            self.assertTrue(file.read(len(TEXT) + len(data)) == TEXT + data)
        sender.join()

    def test_addresses_say_what_happens(self):
        self.assertEqual(len({encoded_address(d, o, k) for d in ("up", "down") for o in (0, 1, 255, 256, 65536) for k in DAMAGES}), 40)


class Manners(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.daemon.start()
        self.addCleanup(self.daemon.__exit__, None, None, None)
        self.proxy = Proxy(self.daemon.port)
        self.addCleanup(self.proxy.close)
        self.port = self.proxy.port

    def manner(self, manner):
        self.proxy.command("manner", "127.0.0.1", manner)

    def test_upgrades_are_refused_and_nothing_else(self):
        self.manner("no-upgrade")
        self.assertEqual(WebSocket(self.port).response.status, 403)
        with Sse(self.port, token=negotiate(self.port)["connectionToken"]) as sse:
            self.assertFalse(sse.welcome["data"]["resumed"])

    def test_the_first_upgrade_is_refused_and_later_ones_are_not(self):
        self.proxy.command("usual", "late")
        self.assertEqual(WebSocket(self.port).response.status, 403)
        self.assertEqual(WebSocket(self.port).response.status, 101)

    def test_nothing_comes_after_a_mute_upgrade(self):
        self.manner("mute")
        self.assertRaises((TimeoutError, socket.timeout), self.mute_upgrade)

    def mute_upgrade(self):
        import client
        usual, client.PATIENCE_S = client.PATIENCE_S, 0.3
        try:
            WebSocket(self.port)
        finally:
            client.PATIENCE_S = usual

    def test_an_event_stream_comes_once_it_has_ended(self):
        self.manner("buffer")
        token = negotiate(self.port)["connectionToken"]
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)) as link:
            link.sendall(f"GET /rtc/sse?token={token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_until(lambda: self.daemon.connections()[0]["state"] == "open", "the stream to open")
            wait_until(lambda: self.proxy.command("count", "127.0.0.1")["down"] > 100, "bytes from the daemon")
            link.setblocking(False)
            self.assertRaises(BlockingIOError, link.recv, 1)
            self.daemon.admin("disconnect", connection=self.daemon.connections()[0]["id"])
            got, _ = read(link)
            self.assertIn(b"rtc.welcome", got)


if __name__ == "__main__":
    unittest.main()
