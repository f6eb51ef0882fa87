"""librtc against the real daemon, against a relay that is cut, and against servers that make no sense."""

import contextlib
import json
import re
import socket
import subprocess
import tempfile
import threading
import unittest

from client import TEXT, Closed, WebSocket, frame
from harness import BUILD, PATIENCE_S, ROOT, Daemon, DaemonTest, free_port, wait_until
from librtc import Peer, Relay, Server, http, make_certificate

WAYS = [(transport, protocol) for transport in ("websocket", "sse", "longpoll", "shortpoll") for protocol in ("json", "msgpack")
        if (transport, protocol) != ("sse", "msgpack")]
FAST = {"delay": 20}


def problem(status, code, detail="no"):
    return http(status, json.dumps({"status": status, "title": "T", "detail": detail, "code": code, "reason": code}).encode(),
                "application/problem+json")


class EachWay(DaemonTest):
    options = {"publish.to-all": "true", "connection.claimed-users": "true"}

    def url(self):
        return f"http://127.0.0.1:{self.daemon.port}/rtc"

    def test_a_whole_life_over_each_transport_and_protocol(self):
        for transport, protocol in WAYS:
            with self.subTest(transport=transport, protocol=protocol), Peer(self.url(), transports=transport, protocols=protocol, user="anna") as peer:
                peer.start(f"{transport} {protocol}")
                self.assertEqual(peer.id()[1:], ("anna", transport))
                peer.say("join room")
                peer.expect(r'reply join ok .*"group":"room"')
                peer.say('send group room chat {"text": "gr\u00fc\u00df dich", "n": [1, 2.5, null, true]}')
                self.assertEqual(json.loads(peer.expect(r"event chat room (.*)")[1]), {"text": "gr\u00fc\u00df dich", "n": [1, 2.5, None, True]})
                peer.say("invoke i1 0 nobody.home {}")
                peer.expect("reply i1 no-handler nobody at the server")
                self.daemon.publish("news", {"a": 1}, group="room")
                peer.expect(r'event news room \{"a": ?1\}')
                peer.say("leave room")
                peer.expect("reply leave ok null")
                self.assertEqual(self.daemon.publish("news", None, group="room"), 0)
                peer.say("send all - everyone")
                peer.expect("event everyone - null")
                peer.say("stop")
                peer.expect("close stopped")
                wait_until(lambda: not self.daemon.connections(), "the connection's end at the daemon")

    def test_many_numbered_envelopes_arrive_in_order(self):
        for transport, protocol in WAYS:
            with self.subTest(transport=transport, protocol=protocol), Peer(self.url(), transports=transport, protocols=protocol) as peer:
                peer.start()
                peer.say("join g", "numbers g 1 500")
                for number in range(1, 501):
                    self.assertEqual(peer.expect(r"event number g (\d+)")[1], str(number))

    def test_a_stop_within_a_handler_is_fine(self):
        for transport, protocol in WAYS:
            with self.subTest(transport=transport, protocol=protocol), Peer(self.url(), transports=transport, protocols=protocol) as peer:
                peer.start()
                peer.say("stop-in-handler", "join g", "numbers g 1 3")
                peer.expect("event number g 1")
                peer.expect("close stopped")

    def test_a_client_can_start_again(self):
        with Peer(self.url()) as peer:
            peer.start()
            peer.say("start")
            peer.expect("refused start bad-argument")
            peer.say("stop", "send server - a", "start")
            peer.expect("refused send not-started")
            peer.expect("state connected")

    def test_what_waits_for_an_answer_fails_when_the_client_stops(self):
        with Peer(self.url()) as peer:
            peer.start()
            with self.daemon.paused():
                peer.say("invoke i1 0 something", "stop")
                peer.expect("reply i1 stopped")
            peer.expect("close stopped")

    def test_an_answer_that_does_not_come_is_a_timeout(self):
        with Peer(self.url()) as peer:
            peer.start()
            with self.daemon.paused():
                peer.say("invoke i1 50 something")
                peer.expect("reply i1 timeout")
            peer.say("invoke i2 0 something")
            peer.expect("reply i2 no-handler")
            self.assertFalse([line for line in peer.seen if line.startswith("reply i1 no-handler")])

    def test_mistakes_are_told_at_the_call(self):
        with Peer(self.url()) as peer:
            peer.say("send server - early")
            peer.expect("refused send not-started")
            peer.start()
            peer.say("send server - a {nonsense}", "send group  a", "join ", "send server - " + "n" * 129, 'send server - big "' + "x" * 70000 + '"')
            peer.expect('refused send bad-argument the data of "a" is no JSON')
            peer.expect("refused send bad-argument to whom")
            peer.expect("refused join bad-argument")
            peer.expect("refused send bad-argument an event's name")
            peer.expect('refused send too-large "big" would have 7')


class Losses(unittest.TestCase):
    def test_a_cut_link_is_resumed_and_nothing_is_lost(self):
        for transport, protocol in WAYS:
            with self.subTest(transport=transport, protocol=protocol), Daemon() as daemon, Relay(daemon.port) as relay, \
                    Peer(relay.url, transports=transport, protocols=protocol, **FAST) as peer:
                peer.start()
                peer.say("join g")
                peer.expect("reply join ok")
                before = peer.id()[0]
                for cut in range(5):
                    peer.say(f"numbers g {cut * 20 + 1} {cut * 20 + 20}")
                    peer.expect(f"event number g {cut * 20 + 3}$")
                    relay.cut()
                    # A poll over a kept connection that was closed meanwhile is just asked again.
                    if transport in ("websocket", "sse"):
                        peer.expect("reconnected resumed 0")
                peer.say("numbers g 101 101")
                peer.expect("event number g 101$")
                numbers = [int(line.rsplit(" ", 1)[1]) for line in peer.seen if line.startswith("event number")]
                self.assertEqual(numbers, list(range(1, 102)))
                self.assertEqual(peer.id()[0], before)

    def test_a_restarted_daemon_gets_the_groups_again(self):
        for transport, protocol in WAYS:
            with self.subTest(transport=transport, protocol=protocol), Daemon() as daemon, \
                    Peer(f"http://127.0.0.1:{daemon.port}/rtc", transports=transport, protocols=protocol, **FAST) as peer:
                peer.start()
                peer.say("join one", "join two", "leave two", "join three")
                peer.expect("reply join ok")
                peer.expect("reply join ok")
                peer.expect("reply join ok")
                daemon.stop()
                peer.expect("reconnecting")
                peer.say("send group one while.away 7")
                daemon.start()
                peer.expect("reconnected new")
                peer.expect("event while.away one 7")
                wait_until(lambda: daemon.publish("hello", 1, group="three") == 1, "the group to be joined again")
                peer.expect("event hello three 1")
                self.assertEqual(daemon.publish("hello", 1, group="two"), 0)

    def test_a_silent_server_is_given_up(self):
        for transport in ("websocket", "sse"):
            with self.subTest(transport=transport), Daemon() as daemon, Relay(daemon.port) as relay, \
                    Peer(relay.url, transports=transport, keep_alive=100, timeout=300, open_timeout=2000, **FAST) as peer:
                peer.start()
                relay.is_stalled = True
                peer.expect("reconnecting network nothing was heard")
                relay.is_stalled = False
                peer.expect("reconnected resumed")

    def test_a_quiet_but_living_connection_stays(self):
        with Daemon() as daemon, Peer(f"http://127.0.0.1:{daemon.port}/rtc", keep_alive=50, timeout=200) as peer:
            peer.start()
            peer.say("join g", "invoke i1 0 something")
            peer.expect("reply i1")
            with self.assertRaises(AssertionError):
                peer.expect("reconnecting", patience_s=1)

    def test_a_queue_that_is_full_says_so(self):
        with Daemon() as daemon, Relay(daemon.port) as relay, Peer(relay.url, queue=3, delay=100) as peer:
            peer.start()
            relay.is_refusing = True
            relay.cut()
            peer.expect("reconnecting")
            peer.say("numbers g 1 5")
            peer.expect("refused send queue-full 3 envelopes")
            peer.expect("refused send queue-full")
            relay.is_refusing = False
            peer.expect("reconnected resumed")

    def test_the_next_transport_comes_when_one_does_not_get_through(self):
        with Daemon() as daemon, Relay(daemon.port) as relay, Peer(relay.url) as peer:
            relay.refuse = lambda head: b"Upgrade: websocket" in head or b"/rtc/sse" in head
            peer.start("longpoll")

    def test_a_better_transport_takes_over_without_an_end(self):
        for worse in ("sse", "longpoll", "shortpoll"):
            with self.subTest(worse=worse), Daemon() as daemon, Relay(daemon.port) as relay, \
                    Peer(relay.url, transports=f"websocket,{worse}", protocols="msgpack,json", upgrade=50) as peer:
                relay.refuse = lambda head: b"Upgrade: websocket" in head
                peer.start(worse)
                before = peer.id()[0]
                peer.say("join g", "numbers g 1 50")
                peer.expect("event number g 50$")
                wait_until(lambda: len([line for line in peer.log if "websocket: opening" in line]) > 2, "tries that fail")
                peer.say("numbers g 51 100")
                peer.expect("event number g 100$")
                relay.refuse = lambda head: False
                wait_until(lambda: peer.id()[2] == "websocket", "websocket to take over")
                peer.say("numbers g 101 150")
                peer.expect("event number g 150$")
                numbers = [int(line.rsplit(" ", 1)[1]) for line in peer.seen if line.startswith("event number")]
                self.assertEqual(numbers, list(range(1, 151)))
                self.assertEqual(peer.id()[0], before)
                self.assertFalse([line for line in peer.seen if line.startswith("reconnecting")])

    def test_an_operator_ends_it_for_good(self):
        for transport, protocol in WAYS:
            with self.subTest(transport=transport, protocol=protocol), Daemon() as daemon, \
                    Peer(f"http://127.0.0.1:{daemon.port}/rtc", transports=transport, protocols=protocol, **FAST) as peer:
                peer.start()
                daemon.admin("disconnect", connection=peer.id()[0])
                peer.expect("close forbidden ")
                self.assertFalse([line for line in peer.seen if line.startswith("reconnecting")])


class BadServers(unittest.TestCase):
    def closes(self, answer, pattern, **options):
        with Server(answer) as server, Peer(server.url, **options) as peer:
            peer.say("start")
            peer.expect(f"close {pattern}")
            return server.requests

    def test_a_closed_port(self):
        with Peer(f"http://127.0.0.1:{free_port()}/rtc") as peer:
            peer.say("start")
            peer.expect(r"close network 127.0.0.1:\d+ cannot be reached: Connection refused")

    def test_a_host_without_an_address(self):
        with Peer("http://nobody.invalid/rtc") as peer:
            peer.say("start")
            peer.expect(r"close network the host nobody.invalid has no address")

    def test_answers_that_make_no_sense(self):
        for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                       http(200, b"<html>"), http(200, b"[]"), http(200, b"{}"), http(200, b'{"connectionId":"a","connectionToken":7}'),
                       http(200, b'{"url":7}'), http(200, b'{"url":"ftp://example.org"}'), http(302, more="Location: /elsewhere\r\n"),
                       http(404, b"not here"), b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000):
            with self.subTest(answer=answer[:60]):
                self.closes(lambda request, count, answer=answer: answer, "bad-answer")

    def test_no_answer_at_all(self):
        self.closes(lambda request, count: None, "network")
        self.closes(lambda request, count: b"", "network")

    def test_no_transport_in_common(self):
        self.closes(lambda request, count: http(200, b'{"connectionId":"a","connectionToken":"b","transports":[]}'), "no-transport")
        self.closes(lambda request, count: problem(406, "unsupported").replace(b'"reason": "unsupported"', b'"reason":"no-transport"')
                    .replace(b"Content-Length: ", b"Content-Length: 9"), "(network|bad-answer)")

    def test_redirects_without_an_end(self):
        port = []

        def again(request, count):
            return http(200, json.dumps({"url": f"http://127.0.0.1:{port[0]}/rtc", "accessToken": f"t{count}"}).encode())

        with Server(again) as server, Peer(server.url) as peer:
            port.append(server.port)
            peer.say("start")
            peer.expect("close too-many-redirects")
            self.assertEqual(len(server.requests), 101)
            self.assertIn(b"Authorization: Bearer t99\r\n", server.requests[100])

    def test_a_token_does_not_follow_a_redirect_to_another_server(self):
        answer = {"connectionId": "a", "connectionToken": "b", "transports": [{"name": "websocket", "path": "/rtc/websocket", "protocols": ["json"]}]}
        with Server(lambda request, count: http(200, json.dumps(answer).encode()) if count == 0 else http(500, b"")) as other, \
                Server(lambda request, count: http(200, json.dumps({"url": other.url}).encode())) as server, \
                Peer(server.url, token="secret") as peer:
            peer.say("start")
            peer.expect("close ")
            self.assertGreaterEqual(len(other.requests), 2)
            self.assertNotIn(b"secret", b"".join(other.requests))

    def test_a_redirect_leads_to_the_daemon(self):
        with Daemon() as daemon, Server(lambda request, count: http(200, json.dumps({"url": f"http://127.0.0.1:{daemon.port}/rtc"}).encode())) as server, \
                Peer(server.url, token="secret") as peer:
            peer.start("websocket")
            self.assertIn(b"Authorization: Bearer secret\r\n", server.requests[0])

    def test_credentials_that_are_refused_end_it(self):
        requests = self.closes(lambda request, count: problem(401, "unauthorized", "who are you"), "unauthorized .*who are you", token="t", retry_first=1, **FAST)
        self.assertEqual(len(requests), 1)
        requests = self.closes(lambda request, count: problem(401, "expired"), "expired", tokens=1, retry_first=1, **FAST)
        self.assertEqual([request.split(b"Bearer ")[1].split(b"\r")[0] for request in requests], [b"token-1", b"token-2"])

    def test_the_policy_decides(self):
        with Server(lambda request, count: http(503)) as server, Peer(server.url, policy=1, retry_first=1) as peer:
            peer.say("start")
            for attempt in (1, 2, 3):
                peer.expect(f"policy {attempt} 1 network")
            peer.expect("close gave-up no more attempts are made; the last one: .*503")
        with Server(lambda request, count: http(503)) as server, Peer(server.url, policy=1) as peer:
            peer.say("start")
            peer.expect("close network")
            self.assertFalse([line for line in peer.seen if line.startswith("policy")])

    def test_a_transport_that_never_greets_gives_way(self):
        def answer(request, count):
            if b"/negotiate" in request:
                return http(200, b'{"connectionId":"a","connectionToken":"b","transports":[{"name":"websocket","path":"/rtc/websocket",'
                                 b'"protocols":["json"]},{"name":"longpoll","path":"/rtc/poll","protocols":["json"]}]}')
            if b"/rtc/poll" in request:
                return http(200, b'{"first":1,"messages":[{"eventName":"hello","data":1}]}') if count < 4 else problem(404, "not-found")
            return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"

        with Server(answer) as server, Peer(server.url, policy=1) as peer:
            peer.start("longpoll")
            peer.expect("event hello - 1")
            peer.expect("reconnecting not-found")


    def test_a_server_that_greets_and_hangs_up_is_asked_more_and_more_seldom(self):
        def answer(request, count):
            if b"/negotiate" in request:
                return http(200, b'{"connectionId":"a","connectionToken":"b","transports":[{"name":"sse","path":"/rtc/sse","protocols":["json"]}]}')
            return http(200, b'data: {"eventName":"rtc.welcome","data":{"connectionId":"a","connectionToken":"b","received":0}}\n\n', "text/event-stream")

        with Server(answer) as server, Peer(server.url, policy=1) as peer:
            peer.say("start")
            for attempt in (1, 2, 3):
                peer.expect(f"policy {attempt} 0 network")
            peer.expect("close gave-up")
            self.assertEqual(len(server.requests), 4)

    def test_numbers_that_leave_a_gap_are_no_connection(self):
        def answer(request, count):
            if b"/negotiate" in request:
                return http(200, b'{"connectionId":"a","connectionToken":"b","transports":[{"name":"sse","path":"/rtc/sse","protocols":["json"]}]}')
            return http(200, b'data: {"eventName":"rtc.welcome","data":{"connectionId":"a","connectionToken":"b","received":0}}\n\n'
                             b'id: 1\ndata: {"eventName":"a"}\n\nid: 1\ndata: {"eventName":"twice"}\n\nid: 3\ndata: {"eventName":"b"}\n\n',
                        "text/event-stream")

        with Server(answer) as server, Peer(server.url, policy=1) as peer:
            peer.start("sse")
            peer.expect("event a ")
            peer.expect("reconnecting bad-answer envelopes 2 to 2 are missing")
            self.assertFalse([line for line in peer.seen if line.startswith(("event twice", "event b"))])


class Encrypted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.right = make_certificate(cls.directory.name, "127.0.0.1", "localhost")
        cls.wrong = make_certificate(cls.directory.name, "example.org")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_each_transport_over_tls(self):
        for transport, protocol in WAYS:
            with self.subTest(transport=transport, protocol=protocol), Daemon() as daemon, Relay(daemon.port, self.right) as relay, \
                    Peer(f"https://localhost:{relay.port}/rtc", ca=self.right[0], transports=transport, protocols=protocol, **FAST) as peer:
                peer.start(transport)
                peer.say("join g", "numbers g 1 100", f'send group g big "{"x" * 50000}"')
                peer.expect("event number g 100$")
                self.assertEqual(len(peer.expect(r'event big g "(x*)"$')[1]), 50000)
                relay.cut()
                peer.say("numbers g 101 101")
                peer.expect("event number g 101$")

    def test_certificates_that_do_not_do(self):
        with Relay(1, self.wrong) as relay:
            for options, words in (({"ca": self.wrong[0]}, "close tls the certificate of 127.0.0.1 is for other names"),
                                   ({}, "close tls the certificate of 127.0.0.1 is not trusted: self.signed certificate")):
                with self.subTest(words=words), Peer(f"https://127.0.0.1:{relay.port}/rtc", **options) as peer:
                    peer.say("start")
                    peer.expect(words)

    def test_a_server_without_tls(self):
        with Server(lambda request, count: http(400)) as server, Peer(f"https://127.0.0.1:{server.port}/rtc") as peer:
            peer.say("start")
            peer.expect("close tls the TLS handshake with 127.0.0.1 failed")


class Plugins(unittest.TestCase):
    def test_a_codec_of_the_callers_own(self):
        with Daemon() as daemon, Peer(f"http://127.0.0.1:{daemon.port}/rtc", protocols="json", own_codec=1) as peer:
            peer.start("websocket json")
            peer.say("join g", 'send group g chat {"a":[1,"x"]}')
            peer.expect("reply join ok")
            peer.expect(r'event chat g \{"a":\[1,"x"\]\}')
            peer.say("invoke i1 0 nobody")
            peer.expect("reply i1 no-handler")

    def test_a_transport_of_the_callers_own(self):
        """A bridge: lines of JSON on one side, a WebSocket of the real daemon on the other."""
        with Daemon() as daemon, Bridge(daemon.port) as bridge, \
                Peer(f"http://127.0.0.1:{daemon.port}/rtc", own_transport=bridge.port, **FAST) as peer:
            peer.start("lines json")
            peer.say("join g", "numbers g 1 10")
            peer.expect("event number g 10$")
            bridge.cut()
            peer.expect("reconnected resumed 0")
            peer.say("numbers g 11 12")
            peer.expect("event number g 12$")
            numbers = [int(line.rsplit(" ", 1)[1]) for line in peer.seen if line.startswith("event number")]
            self.assertEqual(numbers, list(range(1, 13)))
            peer.say("stop")
            peer.expect("close stopped")


class Bridge:
    def __init__(self, daemon_port):
        self.daemon_port, self.port, self.links = daemon_port, free_port(), []
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        lines = link.makefile("rb")
        token, received = lines.readline().decode().split()
        up = WebSocket(self.daemon_port, token=token, received=received)
        threading.Thread(target=self._down, args=(link, up), daemon=True).start()
        with contextlib.suppress(OSError):
            for line in lines:
                up.send_raw(frame(TEXT, line.rstrip(b"\n")))
        up.link.shutdown(socket.SHUT_RDWR)

    def _down(self, link, up):
        with contextlib.suppress(OSError, EOFError, Closed):
            link.sendall(json.dumps(up.welcome).encode() + b"\n")
            while True:
                link.sendall(json.dumps(up.receive()).encode() + b"\n")
        link.close()

    def cut(self):
        for link in self.links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()


class Examples(DaemonTest):
    """The programs in lib/examples do what they say."""

    options = {"limits.connections-per-address": "unlimited"}

    def run_example(self, name, *arguments, **more):
        return subprocess.Popen([f"{BUILD}/lib/examples/example-{name}", f"http://127.0.0.1:{self.daemon.port}/rtc", *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)

    def test_blocking(self):
        with self.run_example("blocking", "b") as program:
            self.assertEqual(program.stdout.readline(), 'chat in b: {"text":"hello"}\n')
            for number in range(9):
                self.assertEqual(self.daemon.publish("tick", number, group="b"), 1)
            self.assertEqual(program.stdout.read(), "".join(f"tick in b: {number}\n" for number in range(9)))
            self.assertEqual(program.wait(PATIENCE_S), 0)

    def test_poll(self):
        with self.run_example("poll", "p", stdin=subprocess.PIPE) as program:
            program.stdin.write('say "it"\n')
            program.stdin.flush()
            self.assertEqual(program.stdout.readline(), 'chat: "say \\"it\\""\n')
            program.stdin.close()
            self.assertEqual(program.wait(PATIENCE_S), 0)

    def test_libevent(self):
        with self.run_example("libevent", "l", "200") as program:
            self.assertEqual(program.stdout.read(), "200 of 200 have heard it\n")
            self.assertEqual(program.wait(PATIENCE_S), 0)


class Library(unittest.TestCase):
    """What others see of the library: what rtc.h declares, and nothing else."""

    def declared(self):
        with open(f"{ROOT}/lib/rtc.h", encoding="utf-8") as file:
            text = file.read()
        return set(re.findall(r"^(?!typedef)[a-z].*?\b(rtc_[a-z_]+)\(", text, re.M))

    def symbols(self, *arguments):
        lines = subprocess.run(["nm", "--defined-only", *arguments], capture_output=True, text=True, check=True).stdout.splitlines()
        return {words[2].split("@")[0] for words in map(str.split, lines) if len(words) == 3}

    def test_the_shared_library_shows_what_the_header_declares(self):
        self.assertEqual(self.symbols("-D", f"{BUILD}/lib/client/librtc.so.0") - {"RTC_0"}, self.declared())

    def test_the_static_library_shows_what_the_header_declares(self):
        self.assertEqual(self.symbols("-g", f"{BUILD}/lib/client/librtc.a"), self.declared())


if __name__ == "__main__":
    unittest.main()
