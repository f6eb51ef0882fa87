"""Plug-ins: the one that ships, and one (tests/plugins/probe.c) that does what requests and events ask it to do."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from client import Http, Poller, Sse, WebSocket, negotiate, request
from harness import BUILD, ROOT, Daemon, DaemonTest, wait_until
from receivers import Receiver

GUARD = os.path.abspath(os.path.join(BUILD, "daemon", "plugin", "guard", "guard.so"))
NEGOTIATE, OPENINGS = "/rtc/negotiate", ["/rtc/websocket", "/rtc/sse", "/rtc/poll"]
UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}


def built(name):
    return os.path.abspath(os.path.join(BUILD, "tests", "plugins", f"{name}.so"))


def ask(port, path, words=""):
    """What a request for a connection is answered that is not let in, or negotiates."""
    path += f"?{words}"
    if path.startswith(NEGOTIATE):
        return request(port, "POST", path)
    return request(port, "GET", path, headers=UPGRADE if "websocket" in path else None)


FOLDER = tempfile.TemporaryDirectory(prefix="rtcd-test-")


def noted(name="probe"):
    """What the plug-in was told, a line each."""
    with open(os.path.join(FOLDER.name, name), encoding="utf-8") as file:
        return file.read().splitlines()


class Probe(DaemonTest):
    options = {"plugins": f"{built('probe')} {FOLDER.name}/probe", "connection.claimed-users": "true", "gate.headers": "cookie",
               "groups-default.join": "nobody"}

    def refused(self, path, words, status, code, detail):
        response = ask(self.daemon.port, path, words)
        self.assertEqual(response.status, status, (path, words, response.body))
        self.assertEqual(response.headers["content-type"], "application/problem+json")
        self.assertEqual((response.json()["code"], response.json()["detail"]), (code, detail), (path, words))

    def test_a_refusal_reaches_the_client_with_its_code_and_words_however_it_connects(self):
        before = self.daemon.counter("connects_refused")
        for path in (NEGOTIATE, *OPENINGS):
            for hook in "nc":
                self.refused(path, f"{hook}.refuse:forbidden:not-today", 403, "forbidden", "not-today")
                self.refused(path, f"{hook}.refuse:expired", 401, "expired", "the credentials have expired")
            self.refused(path, "c.refuse:rate-limited:later", 429, "rate-limited", "later")
        self.assertEqual(self.daemon.counter("connects_refused"), before + 20)

    def test_what_a_plugin_says_of_a_connection_is_known_of_it(self):
        words = "c.user:anna&c.group:staff&n.label:net:lan&c.info:[1,2]"
        with WebSocket(self.daemon.port, path=f"/rtc/websocket?{words.replace('[1,2]', '[1]')}") as ws:
            self.assertEqual(ws.welcome["data"]["userId"], "anna")
            self.assertEqual(ws.welcome["data"]["groups"], ["staff"])
            shown = self.daemon.admin("show.connection", connection=ws.id)
            self.assertEqual((shown["user"], shown["labels"], shown["info"]), ("anna", {"net": "lan"}, [1]))
            self.assertRegex(self.daemon.rtcctl("show", "connection", ws.id).stdout, r"labels.net\s+lan")
        for path in OPENINGS[1:]:
            with Http(self.daemon.port) as http:
                http.send("GET", f"{path}?c.user:bert&c.group:staff&c.label:net:vpn&wait=0")
                http.reader.head()
                shown = wait_until(lambda: [c for c in self.daemon.connections() if c["user"] == "bert"], "bert")[0]
                self.assertEqual(self.daemon.admin("show.connection", connection=shown["id"])["labels"], {"net": "vpn"})
                self.daemon.admin("disconnect", connection=shown["id"])
        answer = ask(self.daemon.port, NEGOTIATE, "c.user:carl&c.group:later").json()
        self.assertEqual(self.daemon.publish("n", 1, group="later"), 1)
        with WebSocket(self.daemon.port, token=answer["connectionToken"]) as ws:
            self.assertEqual((ws.welcome["data"]["userId"], ws.welcome["data"]["groups"]), ("carl", ["later"]))
            self.assertEqual(ws.expect("n")["data"], 1)

    def test_labels_are_told_to_listeners_and_not_to_clients(self):
        listener = subprocess.Popen([os.path.join(BUILD, "cli", "rtcctl"), "--socket", self.daemon.admin_path, "listen", "--event", "*",
                                     "--output", "json"], stdout=subprocess.PIPE, text=True)
        try:
            line = listener.stdout.readline()
            with WebSocket(self.daemon.port, path="/rtc/websocket?c.label:net:lan") as ws:
                self.assertNotIn("labels", json.dumps(ws.welcome))
                while ws.id not in line:
                    line = listener.stdout.readline()
                self.assertEqual(json.loads(line)["from"]["labels"], {"net": "lan"}, line)
        finally:
            listener.terminate()
            listener.communicate()

    def test_a_claimed_user_gives_way_to_the_one_who_is_named(self):
        with WebSocket(self.daemon.port, path="/rtc/websocket?user=eve&n.user:anna") as ws:
            self.assertEqual(ws.welcome["data"]["userId"], "anna")
        self.assertIn("negotiate eve websocket", noted())
        self.assertIn("connect proved anna websocket", noted())

    def test_what_is_withheld_is_not_offered(self):
        def names(words):
            answer = ask(self.daemon.port, NEGOTIATE, words)
            return [(t["name"], t["protocols"]) for t in answer.json()["transports"]] if answer.status == 200 else answer.status
        self.assertEqual(names("n.withhold:websocket&n.withhold:msgpack"),
                         [("sse", ["json"]), ("longpoll", ["json"]), ("shortpoll", ["json"])])
        self.assertEqual(names("n.withhold:json"),
                         [("websocket", ["msgpack"]), ("longpoll", ["msgpack"]), ("shortpoll", ["msgpack"])])
        self.assertEqual(names("&".join(f"n.withhold:{name}" for name in ("websocket", "sse", "longpoll", "shortpoll"))), 406)
        for path, name in zip(OPENINGS, ("websocket", "sse", "longpoll")):
            response = ask(self.daemon.port, path, f"n.withhold:{name}")
            self.assertEqual((response.status, response.json()["code"]), (406, "unsupported"))
        self.assertEqual(ask(self.daemon.port, "/rtc/poll", "n.withhold:json&wait=0").status, 406)
        with Sse(self.daemon.port, **{"n.withhold:websocket": ""}) as sse:
            self.assertIsNotNone(sse.welcome)

    def test_a_client_is_sent_elsewhere(self):
        self.assertEqual(ask(self.daemon.port, NEGOTIATE, "n.redirect:TOKEN").json(),
                         {"url": "https://eu.example.org/rtc", "accessToken": "TOKEN"})
        self.assertEqual(ask(self.daemon.port, NEGOTIATE, "n.redirect").json(), {"url": "https://eu.example.org/rtc"})
        self.assertEqual(ask(self.daemon.port, NEGOTIATE, "n.redirect&n.refuse:forbidden:no").status, 403)
        for path in OPENINGS:
            response = ask(self.daemon.port, path, "n.redirect")
            self.assertEqual((response.status, response.json()["code"]), (400, "unsupported"))

    def test_secrets_are_not_shown_and_headers_that_are_asked_for_are(self):
        request(self.daemon.port, "GET", "/rtc/poll?token=AAAA&%74oken=BBBB&x=5&access%5ftoken=CCCC&wait=0",
                headers={"Cookie": "session=7", "X-Other": "8"})
        self.assertIn("query x=5&wait=0 session=7", noted())

    def test_who_comes_back_is_not_asked_about(self):
        answer = ask(self.daemon.port, NEGOTIATE, "c.label:n:1").json()
        self.assertEqual(ask(self.daemon.port, NEGOTIATE, "n.refuse:forbidden").status, 403)
        path = f"/rtc/websocket?token={answer['connectionToken']}&n.refuse:forbidden"
        with WebSocket(self.daemon.port, path=path) as ws:
            ws.drop()
        with WebSocket(self.daemon.port, path=path + "&received=0") as ws:
            self.assertTrue(ws.welcome["data"]["resumed"])

    def test_events_are_answered_refused_or_passed_on(self):
        for codec in ("json", "msgpack"):
            with WebSocket(self.daemon.port, codec, path="/rtc/websocket?user=dora&c.label:n:2") as ws:
                self.assertEqual(ws.call("probe.it", "e.reply:7")["data"], 7)
                self.assertIsNone(ws.call("probe.it", None, id=2).get("data"))
                self.assertEqual(ws.call("probe.it", "e.refuse:no-money:pay-first", id=3)["error"],
                                 {"code": "no-money", "message": "pay-first"})
                self.assertEqual(ws.call("probe.pass", None, id=4)["error"]["code"], "no-handler")
                self.assertEqual(ws.call("other", None, id=5)["error"]["code"], "no-handler")
                self.assertEqual(ws.call("probe.pass", "e.reply:8", id=6)["data"], 8)
                ws.send("probe.it", "e.refuse:no-money:pay-first")
                self.assertEqual(ws.expect("rtc.error")["data"]["code"], "no-money")
        self.assertEqual(noted().count('event dora {"n":"2"}'), 12)

    def test_what_a_plugin_publishes_arrives(self):
        with WebSocket(self.daemon.port, path="/rtc/websocket?user=fay&c.group:pub") as ws:
            for words in ("e.group-publish:pub:1", "e.user-publish:fay:2", f"e.connection-publish:{ws.id}:3"):
                ws.send("probe.it", words)
            self.assertEqual([ws.expect("probe.said")["data"] for _ in range(3)], [1, 2, 3])
            self.assertEqual(ws.call("probe.answer", "e.connection-publish:123e4567-e89b-42d3-a456-426614174000:1")["data"], -2)

    def test_a_plugin_is_told_what_it_does_wrong(self):
        wrong = {
            "e.user:x": -1, "e.withhold:sse": -1, "e.event-publish:rtc.x:1": -22, "e.event-publish:ok:{": -22, "e.user-publish::": -22,
            "e.reply:{": -22, "e.refuse": -22,
        }
        with WebSocket(self.daemon.port) as ws:
            for number, (words, error) in enumerate(wrong.items(), 1):
                self.assertEqual(ws.call("probe.answer", words, id=number)["data"], error, words)
        for words in ("n.reply:1", "c.withhold:sse", "c.redirect:x"):
            self.assertEqual(ask(self.daemon.port, NEGOTIATE, words).status, 200)
        for words in ("c.refuse:teapot:x", "c.info:{", "c.label::", "c.group:"):
            self.assertEqual(ask(self.daemon.port, NEGOTIATE, words).status, 200)
        log = self.daemon.log()
        self.assertIn("plug-in probe: redirect has no place in this hook", log)
        for name in ("web-socket", "poll-wait", "jso", ""):
            self.assertEqual(ask(self.daemon.port, NEGOTIATE, f"n.withhold:{name}").status, 200)
        self.assertEqual(self.daemon.log().count("plug-in probe: what it says withholds what is no name of a transport or protocol"), 4)
        self.assertIn("plug-in probe: what it says has a code that is none of", log)

    def test_a_slow_hook_is_named(self):
        with WebSocket(self.daemon.port) as ws:
            ws.call("probe.it", "e.sleep:150")
        self.assertRegex(self.daemon.log(), r"plug-in probe: event took \d+ ms")
        self.assertGreaterEqual(self.daemon.counter("plugins_slow"), 1)

    def test_ends_are_told_once_with_their_reason(self):
        with WebSocket(self.daemon.port, path="/rtc/websocket?c.label:n:once") as ws:
            ws.close()
        wait_until(lambda: 'disconnect client-closed {"n":"once"}' in noted(), "the end")
        self.assertEqual(noted().count('disconnect client-closed {"n":"once"}'), 1)
        with Daemon({"plugins": f"{built('probe')} {FOLDER.name}/ends", "connection.open-timeout": "100ms"}) as daemon:
            negotiate(daemon.port)
            wait_until(lambda: "disconnect unopened never-opened " in noted("ends"), "the end")
            ws = WebSocket(daemon.port)
            daemon.stop()
            self.assertIn("disconnect shutdown ", noted("ends"))
            ws.drop()

    def test_many_at_once(self):
        failures = []

        def connect(number):
            for turn in range(20):
                with WebSocket(self.daemon.port, path=f"/rtc/websocket?c.user:u{number}&c.group:crowd&c.label:n:{turn}") as ws:
                    if ws.call("probe.it", f"e.reply:{turn}")["data"] != turn:
                        failures.append((number, turn))
        threads = [threading.Thread(target=connect, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_requests_in_one_piece_are_answered_in_their_order(self):
        with Http(self.daemon.port) as http:
            for words in ("c.refuse:forbidden:a", "", "n.redirect:t", "c.refuse:forbidden:b"):
                http.send("POST", f"{NEGOTIATE}?{words}")
            answers = [http.reader.response() for _ in range(4)]
        self.assertEqual([a.status for a in answers], [403, 200, 200, 403])
        self.assertEqual(answers[2].json()["accessToken"], "t")

    def test_status_lists_what_is_loaded(self):
        self.assertEqual(self.daemon.admin("status")["plugins"], [f"probe 0.1 {built('probe')}"])
        self.assertIn("probe 0.1", self.daemon.rtcctl("status").stdout)

    def test_polls_work_as_ever(self):
        with Poller(self.daemon.port, wait=0) as poller:
            poller.send({"eventName": "probe.it", "data": "e.reply:9", "id": 1})
            self.assertEqual(poller.gather(1), [9])


class Several(DaemonTest):
    options = {"plugins": f"{built('probe')} {FOLDER.name}/several,{GUARD} /dev/null,{built('probe')} {FOLDER.name}/several"}

    def asked(self, words, hook="connect"):
        before = sum(line.startswith(hook) for line in noted("several"))
        self.assertIn(ask(self.daemon.port, NEGOTIATE, words).status, (200, 403))
        return sum(line.startswith(hook) for line in noted("several")) - before

    def test_they_are_asked_in_the_order_of_the_config_until_one_refuses(self):
        self.assertEqual(self.asked(""), 2)
        self.assertEqual(self.asked("c.refuse:forbidden:no"), 1)
        self.assertEqual(self.asked("n.refuse:forbidden:no"), 0)
        self.assertEqual(self.asked("n.refuse:forbidden:no", "negotiate"), 1)
        log = self.daemon.log()
        self.assertEqual(re.findall(r"plug-in loaded: (\w+)", log), ["probe", "guard", "probe"])

    def test_an_event_has_one_answer(self):
        with WebSocket(self.daemon.port) as ws:
            before = len(noted("several"))
            self.assertEqual(ws.call("probe.it", "e.reply:1")["data"], 1)
            self.assertEqual(len(noted("several")) - before, 1)
            self.assertEqual(ws.call("guard.whoami", id=2)["data"]["network"], "")


class WhoMayComeIn(unittest.TestCase):
    def test_a_plugin_names_users_where_nobody_may_come_in_nameless(self):
        with Daemon({"plugins": built("probe"), "connection.anonymous": "false"}) as daemon:
            self.assertEqual(ask(daemon.port, NEGOTIATE).status, 401)
            self.assertEqual(ask(daemon.port, NEGOTIATE, "c.user:anna").status, 200)
            self.assertEqual(ask(daemon.port, "/rtc/poll", "wait=0").status, 401)

    def test_a_proved_user_is_not_another(self):
        import tokens
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "secret")
            with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(tokens.private("secret"))
            with Daemon({"plugins": f"{built('probe')} {FOLDER.name}/proved", "auth.keys": f"{path} alg=HS256"}) as daemon:
                headers = {"Authorization": "Bearer " + tokens.token("anna")}
                self.assertEqual(request(daemon.port, "POST", f"{NEGOTIATE}?c.user:anna", headers=headers).status, 200)
                response = request(daemon.port, "POST", f"{NEGOTIATE}?c.user:bert", headers=headers)
                self.assertEqual((response.status, response.json()["code"]), (403, "forbidden"))
                self.assertIn("connect proved anna websocket", noted("proved"))

    def test_a_revoked_user_stays_out_whoever_names_him(self):
        with Daemon({"plugins": built("probe")}) as daemon:
            daemon.admin("revoke.user", user="anna")
            self.assertEqual(ask(daemon.port, NEGOTIATE, "c.user:anna").json()["code"], "unauthorized")
            self.assertEqual(ask(daemon.port, NEGOTIATE, "c.user:bert").status, 200)


class BeforeWebhooks(unittest.TestCase):
    """Webhooks are asked after plug-ins, and told what those have said."""

    def setUp(self):
        def behave(handler, asked):
            data = asked.events[0]["data"]
            said = {"groups": ["by-hook"], "labels": {"hook": data["userId"] or ""}} if asked.events[0]["type"] == "rtcd.connect" \
                else {"data": "from the webhook"}
            if data.get("query", "").endswith("hook-refuses"):
                said = {"refuse": {"message": "the webhook refuses"}}
            if data.get("query", "").endswith("hook-renames"):
                said = {"user": "bert"}
            handler.answer(200, json.dumps(said).encode(), Content_Type="application/json")
        self.receiver = self.enterContext(Receiver(behave))
        config = {"plugins": [f"{built('probe')} {FOLDER.name}/before"],
                  "webhooks": [{"name": "hook", "url": self.receiver.url, "events": ["connect", "event"]}]}
        self.daemon = self.enterContext(Daemon(config=json.dumps(config)))

    def test_what_both_say_adds_up(self):
        with WebSocket(self.daemon.port, path="/rtc/websocket?c.user:anna&c.group:by-plugin&n.label:plugin:yes") as ws:
            self.assertEqual(sorted(ws.welcome["data"]["groups"]), ["by-hook", "by-plugin"])
            shown = self.daemon.admin("show.connection", connection=ws.id)
            self.assertEqual((shown["user"], shown["labels"]), ("anna", {"plugin": "yes", "hook": "anna"}))
            self.assertEqual(ws.call("probe.it", "e.reply:1")["data"], 1)
            self.assertEqual(ws.call("probe.pass", None, id=2)["data"], "from the webhook")
        self.assertTrue(self.receiver.events()[0]["data"]["isProved"])

    def test_either_may_refuse(self):
        for path in (NEGOTIATE, *OPENINGS):
            before = len(self.receiver.events())
            self.assertEqual(ask(self.daemon.port, path, "n.refuse:forbidden:no").json()["detail"], "no")
            self.assertEqual(ask(self.daemon.port, path, "c.refuse:forbidden:no").json()["detail"], "no")
            self.assertEqual(len(self.receiver.events()), before)
            self.assertEqual(ask(self.daemon.port, path, "hook-refuses").json()["detail"], "the webhook refuses")
            self.assertEqual(ask(self.daemon.port, path, "c.user:anna&hook-renames").status, 500)

    def test_what_is_withheld_before_is_after(self):
        answer = ask(self.daemon.port, NEGOTIATE, "n.withhold:websocket").json()
        self.assertEqual((answer["transport"], [t["name"] for t in answer["transports"]]), ("sse", ["sse", "longpoll", "shortpoll"]))
        before = len(self.receiver.events())
        self.assertEqual(ask(self.daemon.port, NEGOTIATE, "n.redirect").json(), {"url": "https://eu.example.org/rtc"})
        self.assertEqual(ask(self.daemon.port, OPENINGS[0], "n.withhold:websocket").status, 406)
        self.assertEqual(len(self.receiver.events()), before)


class Loading(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def fails(self, item, wanted, status=78, arguments=()):
        config = os.path.join(self.folder.name, "rtcd.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"listen: unix:{self.folder.name}/clients\nadmin:\n  listen: {self.folder.name}/admin\nplugins:\n  - {item}\n")
        result = subprocess.run([os.path.join(BUILD, "daemon", "rtcd"), "--config", config, *arguments], capture_output=True, text=True,
                                timeout=60, check=False)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertRegex(result.stderr, wanted)
        self.assertRegex(result.stderr, re.escape(config) + r":\d+: ")

    def test_what_is_no_plugin_is_refused_with_its_place_in_the_config(self):
        self.fails(built("newer"), "it was built for version 2 of the plug-in interface, and this daemon has 1")
        self.fails(built("small"), "its table rtcd_plugin is not filled in")
        self.fails(built("nothing"), "it has no symbol rtcd_plugin")
        self.fails(built("nameless"), "lacks a name")
        self.fails(built("probe") + " fail", "it does not start: No such device or address")
        self.fails(__file__, "it cannot be loaded: ")
        self.fails("/nowhere.so", "it cannot be looked at: No such file")
        self.fails("/dev/null", "it is not a file")
        self.fails("probe.so", "an absolute path")

    def copy(self, mode=0o755, folder_mode=0o755):
        folder = tempfile.mkdtemp(dir=self.folder.name)
        path = shutil.copy(built("probe"), folder)
        os.chmod(path, mode)
        os.chmod(folder, folder_mode)
        return path

    def test_files_that_others_may_change_are_not_loaded(self):
        for arguments in ((), ("--check",)):
            self.fails(self.copy(0o775), "its mode 0775 lets others change it; chmod go-w", arguments=arguments)
            self.fails(self.copy(0o757), "its mode 0757 lets others change it", arguments=arguments)
            self.fails(self.copy(0o755, 0o777), "its mode 0777 lets others change what is in its directory", arguments=arguments)
        if os.geteuid() == 0:
            path = self.copy()
            os.chown(path, 65534, 65534)
            self.fails(path, "it belongs to user 65534; it must be root's or the daemon's own")
        with Daemon({"plugins": self.copy(0o755, 0o1777)}) as daemon:
            self.assertEqual(len(daemon.admin("status")["plugins"]), 1)

    def test_the_first_plugin_ends_well_when_the_second_does_not_start(self):
        self.fails(f"{built('probe')} {FOLDER.name}/first\n  - {built('probe')} fail", "done after 0 events")

    def test_a_reload_keeps_them(self):
        with Daemon(config=f"plugins: ['{built('probe')} {FOLDER.name}/reload']\n") as daemon:
            daemon.write_config("plugins: []\n")
            daemon.admin("reload")
            self.assertEqual(len(daemon.admin("status")["plugins"]), 1)
            self.assertEqual(ask(daemon.port, NEGOTIATE, "n.refuse:forbidden").status, 403)


class Manual(unittest.TestCase):
    def test_its_example_works(self):
        with open(os.path.join(ROOT, "man", "rtcd_plugin.3.in"), encoding="utf-8") as file:
            source = re.search(r"^\.Sh EXAMPLES.*?^\.Bd -literal\n(.*?)^\.Ed", file.read(), re.S | re.M)[1]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "local.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-I", os.path.join(ROOT, "lib"),
                            "-o", path, "-x", "c", "-"], input=source, text=True, check=True)
            with Daemon({"plugins": path, "http.trusted-proxies": "127.0.0.1"}) as daemon:
                self.assertEqual(ask(daemon.port, NEGOTIATE).status, 200)
                response = request(daemon.port, "POST", NEGOTIATE, headers={"X-Forwarded-For": "192.0.2.1"})
                self.assertEqual((response.status, response.json()["detail"]), (403, "not from there"))


class Guard(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "guard.list")

    def daemon(self, text, **options):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        return Daemon({"plugins": f"{GUARD} {self.path}", "connection.claimed-users": "true",
                       "http.trusted-proxies": "127.0.0.1", **options})

    def test_users_and_networks_are_turned_away_and_others_labelled(self):
        rules = ("# who may not\ndeny user mallory\ndeny address 203.0.113.0/24  # all of it\nnetwork office 198.51.100.0/25\n\n"
                 "network office 2001:db8::/33\nnetwork \"q\" 127.0.0.1\n")
        with self.daemon(rules) as daemon:
            def connect(address, user="anna"):
                return WebSocket(daemon.port, user=user, headers={"X-Forwarded-For": address} if address else {})
            for address, user, detail in (("203.0.113.9", "anna", "clients from this address are not let in"),
                                          ("192.0.2.1", "mallory", "this user is not let in")):
                with connect(address, user) as ws:
                    self.assertEqual((ws.response.status, ws.response.json()["detail"]), (403, detail))
            for address, network in (("198.51.100.127", "office"), ("198.51.100.128", ""), ("2001:db8:7fff::1", "office"),
                                     ("2001:db8:8000::1", ""), ("203.0.114.1", ""), (None, '"q"')):
                with connect(address) as ws:
                    answer = ws.call("guard.whoami")["data"]
                    self.assertEqual((answer["network"], answer["userId"]), (network, "anna"))
                    self.assertEqual(answer["address"], address or "127.0.0.1")
                    shown = daemon.admin("show.connection", connection=ws.id)
                    self.assertEqual(shown.get("labels"), {"network": network} if network else None)
                    self.assertEqual(ws.call("other", id=2)["error"]["code"], "no-handler")
            self.assertEqual(answer["asked"], 6)
            daemon.stop()
            self.assertIn("plug-in guard: 6 clients were let in, 2 turned away", daemon.log())

    def test_a_list_that_cannot_be_read_says_where(self):
        wrong = {
            "deny user\n": ":1: deny user NAME", "allow user anna\n": ":1: ", "\ndeny address 10.0.0.0/33\n": ":2: a network such as",
            "network office 10.0.0\n": ":1: a network", "network a 10.0.0.0/8 b\n": ":1: ", "deny address 10.0.0.0/-1\n": ":1: a network",
            "deny user " + "x" * 600 + "\n": ":1: the line is longer than 510 bytes",
            "deny user a\ndeny user mal\0lory\n": ":2: the line is longer than 510 bytes, or has a zero byte",
            "deny user a\n" * 10001: ":10001: the list has more than 10000 rules",
        }
        for text, message in wrong.items():
            with self.subTest(text), self.assertRaisesRegex(AssertionError, re.escape(self.path + message)):
                self.daemon(text).__enter__()
        with self.assertRaisesRegex(AssertionError, "cannot be opened: No such file"):
            Daemon({"plugins": f"{GUARD} /nowhere.list"}).__enter__()
        with self.assertRaisesRegex(AssertionError, "/tmp cannot be read: Is a directory"):
            Daemon({"plugins": f"{GUARD} /tmp"}).__enter__()
        with self.assertRaisesRegex(AssertionError, "it is not said where its list is"):
            Daemon({"plugins": GUARD}).__enter__()


if __name__ == "__main__":
    unittest.main()
