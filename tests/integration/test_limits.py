"""Keep-alive, slow consumers, limits, shutdown, reload: what the daemon does when peers or resources give way."""

import contextlib
import os
import re
import signal
import socket
import tempfile
import time
import unittest

from client import Closed, Http, Poller, Reader, Sse, WebSocket, connect, request
from harness import PATIENCE_S, AdminError, BUILD, Daemon, free_port, DaemonTest, processor_s, wait_until


class Memory(unittest.TestCase):
    """strace sees what /proc shows root of no process: whether others may look into it."""

    def dumpable(self, options, *arguments, reload=None):
        with tempfile.NamedTemporaryFile() as trace:
            daemon = Daemon(options, config="log: {}\n", environment={"ASAN_OPTIONS": "detect_leaks=0"})
            daemon.arguments = ["strace", "-D", "-f", "-q", "-e", "trace=prctl,exit_group", "-o", trace.name, *daemon.arguments, *arguments]
            with daemon:
                if reload:
                    daemon.write_config(reload)
                    daemon.admin("reload")
            wait_until(lambda: b"exit_group" in open(trace.name, "rb").read(), "the tracer to end")
            return [int(value) for value in re.findall(rb"PR_SET_DUMPABLE, (?:SUID_DUMP_)?(\w+)", trace.read().replace(b"DISABLE", b"0").replace(b"USER", b"1"))]

    def test_others_may_not_look_into_it(self):
        self.assertEqual(self.dumpable({}), [0, 0])

    def test_they_may_when_debugging_or_when_asked_to(self):
        self.assertEqual(self.dumpable({"log.net": "debug"}), [0, 1])
        self.assertEqual(self.dumpable({}, "--dumpable"), [0, 1])

    def test_a_reload_takes_it_up(self):
        self.assertEqual(self.dumpable({}, reload="log: {net: debug}\n"), [0, 0, 1])


class KeepAlive(DaemonTest):
    options = {"connection.keep-alive": "200ms", "connection.timeout": "700ms"}

    def test_a_pong_acknowledges_what_was_sent(self):
        with WebSocket(self.daemon.port, group="k") as ws:
            for number in range(5):
                self.daemon.publish("n", number, group="k")
                ws.expect("n")

            def is_acknowledged():
                ws.link.settimeout(0.05)
                try:
                    ws.receive()
                except TimeoutError:
                    pass
                return self.daemon.admin("show.connection", connection=ws.id)["acknowledged"] == 5
            wait_until(is_acknowledged, "the pong to acknowledge")
            self.assertEqual(ws.pings[-1], b"5")
            self.assertEqual(self.daemon.admin("show.connection", connection=ws.id)["keptBytes"], 0)

    def test_silence_loses_the_transport_and_not_the_connection(self):
        with WebSocket(self.daemon.port, answers_pings=False) as ws:
            wait_until(lambda: any(c["id"] == ws.id and c["state"] == "parked" for c in self.daemon.connections()), "parked")
            self.assertGreaterEqual(self.daemon.counter("timeouts"), 1)
            self.assertEqual(ws.closing()[0], 4408)
            with WebSocket(self.daemon.port, token=ws.token, received=0) as back:
                self.assertTrue(back.welcome["data"]["resumed"])

    def test_rtc_ping_is_answered_with_its_data(self):
        with WebSocket(self.daemon.port, "msgpack") as ws:
            ws.send("rtc.ping", {"t": 1})
            self.assertEqual(ws.expect("rtc.pong")["data"], {"t": 1})


class SlowConsumers(unittest.TestCase):
    def fill(self, daemon, size, count):
        line = '{"eventName":"n","data":"%s"}\n' % ("x" * size)
        daemon.rtcctl("publish", "--group", "slow", "--stream", input=line * count)

    def test_one_that_does_not_read_is_closed_and_the_others_miss_nothing(self):
        with Daemon({"queue.bytes": "128KiB", "queue.time": "2s"}, workers=1) as daemon:
            slow = WebSocket(daemon.port, group="slow")
            slow.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with Sse(daemon.port, group="slow") as quick:
                for _ in range(40):
                    self.fill(daemon, 20000, 10)
                    for _ in range(10):
                        quick.expect("n")
                wait_until(lambda: daemon.counter("slow_consumers_closed") == 1, "the slow one to be closed")
                self.assertEqual(quick.received, 400)
                self.assertNotIn(slow.id, [c["id"] for c in daemon.connections()])
            slow.drop()

    def test_one_that_leaves_a_little_for_too_long_is_closed(self):
        with Daemon({"queue.bytes": "64MiB", "queue.envelopes": 100000, "queue.time": "500ms"}, workers=1) as daemon:
            slow = WebSocket(daemon.port, group="slow")
            self.fill(daemon, 60000, 300)
            wait_until(lambda: daemon.counter("slow_consumers_closed") == 1, "the slow one to be closed")
            slow.drop()


class Limits(unittest.TestCase):
    def test_connections_per_address_and_in_all(self):
        with Daemon({"limits.connections-per-address": 3}) as daemon:
            clients = [WebSocket(daemon.port) for _ in range(3)]
            refused = WebSocket(daemon.port)
            self.assertEqual((refused.response.status, refused.response.json()["reason"]), (429, "address-full"))
            clients.pop().close()
            wait_until(lambda: len(daemon.connections()) == 2, "one to go")
            self.assertEqual(WebSocket(daemon.port).response.status, 101)
        with Daemon({"limits.connections": 2}) as daemon:
            clients = [WebSocket(daemon.port) for _ in range(2)]
            for refused in (request(daemon.port, "POST", "/rtc/negotiate"), WebSocket(daemon.port).response):
                self.assertEqual((refused.status, refused.json()["reason"], refused.headers["retry-after"]), (503, "node-full", "1"))
            self.assertEqual(daemon.counter("connections_refused"), 2)
            clients.pop().close()
            wait_until(lambda: len(daemon.connections()) == 1, "one to go")
            self.assertEqual(WebSocket(daemon.port).response.status, 101)

    def test_connections_per_user_on_all_workers_and_without_a_transport(self):
        with Daemon({"limits.connections-per-user": 3, "connection.claimed-users": "true"}, workers=2) as daemon:
            clients = [WebSocket(daemon.port, user="ann") for _ in range(2)]
            poller = Poller(daemon.port, user="ann", wait=0)
            for refused in (WebSocket(daemon.port, user="ann").response,
                            request(daemon.port, "GET", "/rtc/sse", user="ann"),
                            request(daemon.port, "GET", "/rtc/poll", user="ann", wait=0),
                            request(daemon.port, "POST", "/rtc/negotiate", user="ann")):
                self.assertEqual((refused.status, refused.json()["reason"], refused.json()["code"], refused.headers["retry-after"]),
                                 (429, "user-full", "rate-limited", "1"))
            self.assertEqual(daemon.counter("connections_refused"), 4)
            self.assertEqual(poller.poll(), [])
            self.assertEqual(WebSocket(daemon.port, user="bob").response.status, 101)
            self.assertEqual(WebSocket(daemon.port).response.status, 101)
            lost = clients.pop()
            lost.drop()
            wait_until(lambda: any(c["id"] == lost.id and c["state"] == "parked" for c in daemon.connections()), "parked")
            self.assertEqual(WebSocket(daemon.port, user="ann").response.status, 429)
            self.assertTrue(WebSocket(daemon.port, token=lost.token, received=0).welcome["data"]["resumed"])
            clients.pop().close()
            wait_until(lambda: sum(c["user"] == "ann" for c in daemon.connections()) == 2, "one to go")
            self.assertEqual(WebSocket(daemon.port, user="ann").response.status, 101)

    def test_with_all_descriptors_taken_clients_and_the_admin_socket_go_on_and_nothing_spins(self):
        with Daemon({"connection.keep-alive": "100ms"}, workers=2, descriptors=64) as daemon:
            with WebSocket(daemon.port, group="g") as ws:
                links = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(200)]
                wait_until(lambda: daemon.counter("accept_paused") >= 2, "both workers to pause")
                before_s, began = processor_s(daemon), time.monotonic()
                for number in range(10):
                    self.assertEqual(daemon.publish("n", number, group="g"), 1)
                    self.assertEqual(ws.expect("n")["data"], number)
                    wait_until(lambda: self.heard_ping(ws), "a keep-alive")
                self.assertLess(processor_s(daemon) - before_s, (time.monotonic() - began) / 4)
                admins = [socket.socket(socket.AF_UNIX) for _ in range(4)]
                for admin in admins:
                    admin.connect(daemon.admin_path)
                    admin.sendall(b'{"eventName":"ping","id":1}\n')
                for admin in admins:
                    with admin.makefile("rb") as lines:
                        self.assertIn(b'"workers":2', lines.readline())
                    admin.close()
                for link in links:
                    link.close()
                with WebSocket(daemon.port) as late:
                    self.assertEqual(late.call("rtc.join", {"group": "g"})["data"]["group"], "g")

    def heard_ping(self, ws):
        ws.link.settimeout(0.02)
        with contextlib.suppress(TimeoutError):
            ws.receive()
        ws.link.settimeout(PATIENCE_S)
        heard, ws.pings = bool(ws.pings), []
        return heard

    def test_accepting_pauses_while_descriptors_are_short_and_goes_on(self):
        with Daemon(workers=1, descriptors=48) as daemon:
            links = [connect(daemon.port) for _ in range(60)]
            wait_until(lambda: "cannot accept" in daemon.log(), "the pause")
            for link in links:
                link.close()
            with WebSocket(daemon.port) as ws:
                self.assertEqual(ws.call("rtc.join", {"group": "g"})["data"]["group"], "g")
            self.assertGreaterEqual(daemon.counter("accept_paused"), 1)

    def test_a_publisher_is_held_up_and_nothing_is_lost_when_a_mailbox_is_full(self):
        with Daemon({"limits.mailbox": 64, "publish.to-group": "anyone", "limits.fanout-slice": 16, "queue.envelopes": 100000,
                     "queue.bytes": "64MiB"}, workers=2) as daemon:
            members = [WebSocket(daemon.port, group="g") for _ in range(40)]
            with WebSocket(daemon.port) as publisher:
                for number in range(2000):
                    publisher.send("n", number, to={"group": "g"})
                for ws in members:
                    self.assertEqual([ws.expect("n")["data"] for _ in range(2000)], list(range(2000)))
            for ws in members:
                ws.drop()


class Shutdown(unittest.TestCase):
    def test_clients_are_told_on_every_transport(self):
        with Daemon() as daemon:
            ws, sse = WebSocket(daemon.port), Sse(daemon.port)
            poller = Poller(daemon.port)
            poller.ask()
            wait_until(lambda: [c for c in daemon.connections() if c["id"] == poller.id and c["state"] == "open"], "held")
            daemon.process.send_signal(signal.SIGTERM)
            farewell = {"reason": "shutdown", "reconnect": True}
            self.assertEqual(ws.closing(), (1001, farewell))
            ws.drop()
            self.assertEqual(sse.expect("rtc.close")["data"], farewell)
            self.assertEqual(poller.answer()[0]["data"], farewell)
            sse.close()
            poller.close()
            self.assertEqual(daemon.process.wait(20), 0)
            self.assertFalse(os.path.exists(daemon.admin_path))

    def test_a_unix_socket_serves_clients_and_goes_with_the_daemon(self):
        with Daemon() as probe:
            path = os.path.join(probe.directory.name, "clients.sock")
            with Daemon({"listen": f"unix:{path}"}) as daemon:
                with socket.socket(socket.AF_UNIX) as link:
                    link.connect(path)
                    link.sendall(b"POST /rtc/negotiate HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertEqual(Reader(link).response().status, 200)
                daemon.stop()
                self.assertFalse(os.path.exists(path))

    def test_ipv6(self):
        port = free_port()
        with Daemon({"listen": f"[::1]:{port}"}):
            with socket.create_connection(("::1", port)) as link:
                link.sendall(b"POST /rtc/negotiate HTTP/1.1\r\nHost: [::1]\r\n\r\n")
                self.assertEqual(Reader(link).response().status, 200)

    def test_a_second_daemon_on_the_same_port_does_not_start(self):
        with Daemon() as daemon:
            other = Daemon()
            other.arguments = [a.replace(f":{other.port}", f":{daemon.port}") for a in other.arguments]
            with self.assertRaisesRegex(AssertionError, "another program listens there"):
                other.start()
            other.directory.cleanup()


class Reload(unittest.TestCase):
    CONFIG = "connection:\n  anonymous: true\n  groups: {groups}\npublish:\n  to-group: {who}\n"

    def test_a_reload_takes_the_whole_config_or_keeps_the_old_one(self):
        with Daemon(config=self.CONFIG.format(groups=5, who="members")) as daemon:
            daemon.write_config(self.CONFIG.format(groups=6, who="anyone") + "workers: 3\n")
            report = daemon.admin("reload")["report"]
            self.assertIn("connection.groups changed", report)
            self.assertNotIn("workers", report)  # the command line stands above the file
            with WebSocket(daemon.port) as ws:
                self.assertNotIn("error", ws.call("x", to={"group": "g"}))
            daemon.write_config(self.CONFIG.format(groups="many", who="nobdy") + "conection:\n  groups: 1\n")
            with self.assertRaises(AdminError) as refused:
                daemon.admin("reload")
            for part in ("rtcd.yaml:3: connection.groups", "rtcd.yaml:5: publish.to-group", "stays as it was"):
                self.assertIn(part, refused.exception.args[1])
            rows = {row[0]: row for row in daemon.admin("show.config")["rows"]}
            self.assertEqual(rows["connection.groups"][1], "6")
            self.assertTrue(rows["connection.groups"][3].endswith("rtcd.yaml:3"))

    def test_what_only_a_restart_takes_up_stays_in_force_and_is_named(self):
        with Daemon(config=self.CONFIG.format(groups=5, who="members")) as daemon:
            daemon.write_config(self.CONFIG.format(groups=5, who="members") + "http:\n  base-path: /other\n")
            for _ in range(2):
                self.assertIn("http.base-path changed; restart rtcd to take it up", daemon.admin("reload")["report"])
                self.assertEqual(daemon.admin("show.config", option="http.base-path")["rows"][0][1], "/rtc")
                self.assertEqual(request(daemon.port, "POST", "/rtc/negotiate").status, 200)
                self.assertEqual(request(daemon.port, "POST", "/other/negotiate").status, 404)

    def test_sighup_reloads(self):
        with Daemon(config=self.CONFIG.format(groups=5, who="members")) as daemon:
            daemon.write_config(self.CONFIG.format(groups=7, who="members"))
            daemon.process.send_signal(signal.SIGHUP)
            value = lambda: {row[0]: row[1] for row in daemon.admin("show.config", option="connection")["rows"]}["connection.groups"]
            wait_until(lambda: value() == "7", "the reload")


if __name__ == "__main__":
    unittest.main()
