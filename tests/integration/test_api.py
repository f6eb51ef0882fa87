"""The admin commands over HTTP, for programs with an API key."""

import contextlib
import json
import socket
import threading
import unittest

import jsonschema

from api import LEVELS, ApiTest
from client import Http, Poller, WebSocket, request
from harness import Daemon, wait_until


class Api(ApiTest):
    options = {"connection.claimed-users": "true", "http.body-bytes": "64KiB"}
    config = "groups: [{match: 'kept.**', history-envelopes: 10}]\n"

    def test_publishing_by_one_request(self):
        with WebSocket(self.daemon.port, group="g") as ws:
            answer = self.call("publish", {"group": "g", "event": "news", "data": {"n": [1, 2]}}, "operator")
            self.assertEqual((answer.status, answer.headers["content-type"], answer.json()), (200, "application/json", {"recipients": 1}))
            self.assertEqual(ws.expect("news"), {"eventName": "news", "data": {"n": [1, 2]}, "group": "g"})

    def test_data_on_several_lines_reaches_event_streams_whole(self):
        from client import Sse
        with Sse(self.daemon.port, group="lines") as sse:
            body = b'{"group":"lines",\n "event":"n",\r\n "data":{"a":\n1}}'
            answer = request(self.daemon.port, "POST", "/api/v1/publish", body, {"Authorization": f"Bearer {self.keys['admin']}"})
            self.assertEqual(answer.status, 200)
            self.assertEqual(sse.expect("n")["data"], {"a": 1})

    def test_whoever_carries_a_publish_out_it_is_the_same(self):
        """Plain ones are done by the worker that read them; with an idempotency key the main thread does it."""
        deep = "[" * 61 + "]" * 61
        bodies = [
            '{"group":"same","event":"n"}', '{"group":"same","event":"n","data":null}', '{"group":"same","event":"n","data":[1,{"a":"b"}]}',
            ' { "data" : {"x":[ 1, 2 ]} ,\t"event":"n", "group":"same" } ', '{"group":"same",\r\n"event":"n","data":{"x":\n1}}',
            '{"group":"same","event":"n","data":"\\u00e9\\n\\ud83d\\ude00"}', '{"group":"s\\u0061me","event":"\\u006e","data":1}',
            '{"gr\\u006fup":"same","event":"n","data":1}', '{"group":"same","group":"other","event":"n","data":1}',
            '{"group":"same","event":"n","event":"m","data":1,"data":2}', '{"all":true,"event":"n","data":1}', '{"all":false,"event":"n","data":1}',
            '{"all":true,"group":"same","event":"n"}', '{"user":"same user","event":"n","data":1}', '{"user":"nobody","event":"n","data":1}',
            '{"connection":"ID","event":"n","data":1}', '{"connection":"nobody","event":"n","data":1}', '{"group":"","event":"n"}', '{"group":"same","event":""}',
            '{"group":"same","event":"rtc.n"}', '{"group":"same","event":"rtc"}', '{"event":"n"}', '{"group":"same"}', '{"group":"same","event":7}',
            '{"group":7,"event":"n"}', '{"group":"a\\u0000b","event":"n"}', '{"group":"%s","event":"n"}' % ("x" * 255), '{"group":"%s","event":"n"}' % ("x" * 256),
            '{"group":"same","event":"%s"}' % ("e" * 128), '{"group":"same","event":"%s"}' % ("e" * 129), '{"group":"same","event":"n","data":%s}' % deep,
            '{"group":"same","event":"n","data":[%s]}' % deep, '{"group":"same","event":"n","data":[[%s]]}' % deep, '{"group":"same","event":"n","colour":1}',
            '{"group":"same","event":"n","exceptSelf":true}', '{"group":"same","event":"n","data":01}', '{"group":"same","event":"n"', '{"group":"same","event":"n"}}',
            '{"group":"same","event":"n",}', "[]", "null", "", "{}", '"x"', '{"group":"\u00e9","event":"\u00e9","data":"\u00e9"}',
        ]
        with WebSocket(self.daemon.port, group="same", user="same user") as ws:
            for number, body in enumerate(bodies):
                seen = []
                for more in ({}, {"Idempotency-Key": f"same-{number}"}):
                    answer = request(self.daemon.port, "POST", "/api/v1/publish", body.replace("ID", ws.id).encode(), {**self.headers("operator"), **more})
                    self.daemon.publish("end", connection=ws.id)
                    came = []
                    while not came or came[-1]["eventName"] != "end":
                        came.append(ws.receive())
                    seen.append((answer.status, answer.json(), came))
                with self.subTest(body=body[:80]):
                    self.assertEqual(seen[0], seen[1])
            for level in ("viewer", "none"):
                self.assertEqual(self.call("publish", {"group": "same", "event": "n"}, level).status, 403)

    def test_commands_that_ask_every_worker_are_answered(self):
        clients = [WebSocket(self.daemon.port, group="many") for _ in range(20)]
        rows = self.call("list.connections", {"group": "many", "limit": 7}, "viewer").json()
        self.assertEqual((len(rows["rows"]), "cursor" in rows), (7, True))
        self.assertEqual(self.call("ping", {}).json()["workers"], 2)
        self.assertEqual(self.call("status").json()["connections"]["open"], 20)
        self.assertEqual(self.call("disconnect", {"connection": clients[0].id}).status // 100, 2)
        for client in clients:
            client.drop()

    def test_a_batch_is_answered_one_by_one_and_in_order(self):
        with WebSocket(self.daemon.port, group="batch") as ws:
            answers = self.call("publish", [{"group": "batch", "event": "n", "data": number} for number in range(100)]
                                + [{"group": "batch"}, 7, {"connection": "nobody", "event": "n"}], "operator").json()
            self.assertEqual(answers[:100], [{"data": {"recipients": 1}}] * 100)
            self.assertEqual([answer["error"]["code"] for answer in answers[100:]], ["bad-envelope", "bad-envelope", "not-found"])
            self.assertEqual([ws.expect("n")["data"] for _ in range(100)], list(range(100)))
            rows = self.call("list.connections", [{"group": "batch"}, {"group": "none"}]).json()
            self.assertEqual([len(answer["data"]["rows"]) for answer in rows], [1, 0])
            self.assertEqual({answer["error"]["code"] for answer in self.call("publish", [{}, {}], "viewer").json()}, {"forbidden"})

    def test_a_key_is_named_as_itself_and_not_as_a_user_of_the_machine(self):
        self.assertEqual(self.call("whoami", {}, "viewer").json(), {"level": "viewer", "by": "api-key:viewer"})
        self.assertEqual([answer["data"]["by"] for answer in self.call("whoami", [{}, {}], "operator").json()], ["api-key:operator"] * 2)
        self.assertEqual(self.call("revoke.user", {"user": "mallory"}, "admin").status, 200)
        self.assertEqual(self.call("lift.revocation", {"user": "mallory"}, "admin").status // 100, 2)
        self.assertIn("revocation of user mallory by api-key:admin", self.daemon.log())
        self.assertIn("revocation lifted of user mallory by api-key:admin", self.daemon.log())

    def test_levels_are_kept(self):
        self.assert_refused(self.call("publish", {"all": True, "event": "n"}, "viewer"), 403, "forbidden", "operator", "viewer")
        self.assert_refused(self.call("reload", {}, "operator"), 403, "forbidden", "admin")
        self.assert_refused(self.call("status", {}, "none"), 403, "forbidden", "level")
        self.assertEqual(self.call("reload", {}, "admin").status, 200)

    def test_credentials_are_asked_for_before_the_body(self):
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"},
                        {"Authorization": "Bearer " + self.keys["admin"][:-1] + ("B" if self.keys["admin"].endswith("A") else "A")}):
            with self.subTest(headers=headers), Http(self.daemon.port) as http:
                http.link.sendall(b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
                                  + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n")
                self.assert_refused(http.reader.response(), 401, "unauthorized")
        answer = request(self.daemon.port, "POST", f"/api/v1/status?access_token={self.keys['admin']}")
        self.assert_refused(answer, 400, "bad-request", "Authorization")

    def test_large_bodies_are_taken_and_compressed_ones_are_not(self):
        with WebSocket(self.daemon.port, group="large") as ws:
            answer = self.call("publish", {"group": "large", "event": "n", "data": "x" * 50000}, "operator")
            self.assertEqual((answer.status, answer.json()), (200, {"recipients": 1}))
            self.assertEqual(len(ws.expect("n")["data"]), 50000)
        answer = self.call("publish", {"group": "large", "event": "n"}, "operator", **{"Content-Encoding": "gzip"})
        self.assert_refused(answer, 415, "unsupported", "without Content-Encoding")

    def test_every_refusal_is_a_problem_that_says_what_is_wrong(self):
        """RFC 9457, whoever refuses: the front, the router, the keys, the commands' table, or the command."""
        large = b'{"group":"' + b"x" * (1 << 16) + b'"}'
        publish = {"group": "g", "event": "n"}
        for method, path, level, body, headers, status, code, *words in (
                ("POST", "nothing", "admin", {}, {}, 400, "unsupported", "nothing", "rtcctl help"),
                ("POST", "list%2Econnections", "admin", {}, {}, 404, "not-found", "list.connections"),
                ("POST", "x" * 65, "admin", {}, {}, 404, "not-found"),
                ("POST", "", "admin", {}, {}, 404, "not-found"),
                ("POST", "listen", "admin", {}, {}, 400, "unsupported", "admin socket"),
                ("GET", "status", "admin", None, {}, 405, "unsupported", "POST"),
                ("PUT", "status", "admin", {}, {}, 405, "unsupported", "POST"),
                ("POST", "openapi.json", None, None, {}, 401, "unauthorized", "key"),
                ("POST", "publish", "admin", {"all": True}, {}, 400, "bad-envelope", "event"),
                ("POST", "publish", "admin", {"event": "n"}, {}, 400, "bad-envelope", "to whom"),
                ("POST", "publish", "admin", {**publish, "user": "u"}, {}, 400, "bad-envelope", "to whom"),
                ("POST", "publish", "admin", {**publish, "colour": 1}, {}, 400, "bad-envelope", "colour"),
                ("POST", "publish", "admin", {**publish, "group": 7}, {}, 400, "bad-envelope", "group", "string"),
                ("POST", "publish", "admin", {**publish, "event": ["n"]}, {}, 400, "bad-envelope", "event", "string"),
                ("POST", "publish", "admin", {**publish, "event": "rtc.ack"}, {}, 400, "bad-envelope", "rtc."),
                ("POST", "publish", "admin", {"connection": "nobody", "event": "n"}, {}, 404, "not-found", "connection"),
                ("POST", "list.users", "admin", {"limit": -1}, {}, 400, "bad-envelope", "limit", "whole number"),
                ("POST", "list.users", "admin", {"limit": "x"}, {}, 400, "bad-envelope", "limit"),
                ("POST", "list.users", "admin", {"at": "true"}, {}, 400, "bad-envelope", "at must be true or false"),
                ("POST", "publish", "admin", {**publish, "exceptSelf": 1}, {}, 400, "bad-envelope", "exceptSelf", "true or false"),
                ("POST", "disconnect", "admin", {"user": "u", "reconnect": "yes"}, {}, 400, "bad-envelope", "reconnect"),
                ("POST", "list.connections", "admin", {"user": ""}, {}, 400, "bad-envelope", "user", "1 to 255"),
                ("POST", "list.connections", "admin", {"group": "x" * 256}, {}, 400, "bad-envelope", "group", "1 to 255"),
                ("POST", "show.group", "admin", {}, {}, 400, "bad-envelope", "group", "missing"),
                ("POST", "show.group", "admin", {"group": None}, {}, 400, "bad-envelope", "group", "missing"),
                ("POST", "show.group", "admin", {"group": "of nobody"}, {}, 404, "not-found", "group"),
                ("POST", "publish", "admin", "x", {}, 400, "bad-envelope", "object"),
                ("POST", "publish", "admin", [], {}, 400, "bad-request", "1 to 1000"),
                ("POST", "publish", "admin", [{}] * 1001, {}, 400, "bad-request", "1 to 1000"),
                ("POST", "status", "admin", b"{", {}, 400, "bad-request", "JSON"),
                ("POST", "status", "admin", b"\xff", {}, 400, "bad-request", "JSON"),
                ("POST", "publish", "admin", large, {}, 413, "too-large", "65536"),
                ("POST", "publish", "admin", publish, {"Content-Encoding": "gzip"}, 415, "unsupported", "Content-Encoding"),
                ("POST", "publish", "admin", publish, {"Idempotency-Key": "a b"}, 400, "bad-request", "Idempotency-Key"),
                ("POST", "publish", None, publish, {}, 401, "unauthorized", "key"),
                ("POST", "publish", None, publish, {"Authorization": "Bearer rtcd_wrong"}, 401, "unauthorized"),
                ("POST", "publish", "none", publish, {}, 403, "forbidden", "level"),
                ("POST", "publish", "viewer", publish, {}, 403, "forbidden", "operator", "viewer"),
                ("POST", "reload", "operator", {}, {}, 403, "forbidden", "admin", "operator")):
            body = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            with self.subTest(method=method, path=path, level=level, body=(body or b"")[:60]):
                answer = request(self.daemon.port, method, f"/api/v1/{path}", body, {**(self.headers(level) if level else {}), **headers})
                self.assert_refused(answer, status, code, *words)
                self.assertEqual(answer.json()["status"], status)
                self.assertEqual(set(answer.json()), {"status", "code", "title", "detail", "reason"})
                self.assertEqual("www-authenticate" in answer.headers, status == 401)
                self.assertEqual("allow" in answer.headers, status == 405)
        self.assertEqual(request(self.daemon.port, "POST", "/api/v1").status, 404)

    def test_the_description_is_that_of_the_commands(self):
        document = request(self.daemon.port, "GET", "/api/v1/openapi.json").json()
        self.call("revoke.user", {"user": "nobody in particular"}, "admin")     # so that there is a row with an empty cell
        self.assertEqual((document["openapi"], document["servers"]), ("3.1.0", [{"url": "/api/v1"}]))
        helped = self.daemon.rtcctl("help").stdout

        def validate(answer, schema):
            jsonschema.validate(answer, {**schema, "components": document["components"]}, jsonschema.Draft202012Validator)
        for path, item in document["paths"].items():
            operation = item["post"]
            self.assertIn(f"  {path[1:].replace('.', ' ')} ", helped)
            self.assertIn(operation["x-level"], LEVELS)
            asked = document["components"]["schemas"][path[1:]]
            self.assertIn(asked["additionalProperties"], (False,))
            body = operation["requestBody"]["content"]["application/json"]["schema"]
            self.assertEqual(body["oneOf"][0], {"$ref": f"#/components/schemas/{path[1:]}"})
            self.assertEqual(body["oneOf"][1]["items"], body["oneOf"][0])
            self.assertEqual("parameters" in operation, operation["x-level"] != "viewer")
            if not asked["required"] and path not in ("/publish", "/disconnect"):
                for arguments in ({}, [{}, {}]):
                    answer = self.call(path[1:], arguments).json()
                    validate(answer, operation["responses"]["200"]["content"]["application/json"]["schema"])
        listing = document["paths"]["/list.connections"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        with WebSocket(self.daemon.port):
            for arguments in ({}, {"columns": "groups,id"}, {"sort": "-groups", "limit": 1}):
                validate(self.call("list.connections", arguments).json(), listing)
        self.daemon.publish("n", 1, group="kept.described")
        for command, arguments in (("list.connections", {"limit": 1}), ("list.users", {"at": True}), ("presence", {"group": "kept.described"}),
                                   ("trace.publish", {"group": "kept.described", "event": "n"}), ("history", {"group": "kept.described"})):
            schema = document["paths"][f"/{command}"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
            one = next(kind for kind in schema.get("oneOf", [schema]) if kind["type"] == "object")
            answer = self.call(command, arguments).json()
            self.assertLessEqual(set(answer), set(one["properties"]), command)
            validate(answer, schema)
        publish = document["components"]["schemas"]["publish"]
        jsonschema.validate({"group": "g", "event": "n", "data": [1], "exceptSelf": True}, publish, jsonschema.Draft202012Validator)
        refused = self.call("publish", [{"group": "g"}, {"group": "g", "event": "n"}]).json()
        validate(refused, document["paths"]["/publish"]["post"]["responses"]["200"]["content"]["application/json"]["schema"])
        validate(self.call("publish", {}).json(), {"$ref": "#/components/schemas/Problem"})
        for wrong in ({"group": 1}, {"all": "yes"}, {"nothing": 1}):
            with self.assertRaises(jsonschema.ValidationError):
                jsonschema.validate(wrong, publish, jsonschema.Draft202012Validator)

    def test_all_connections_of_a_user_join_and_leave(self):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(WebSocket(self.daemon.port, user="eve")) for _ in range(12)]
            other = stack.enter_context(WebSocket(self.daemon.port, user="bob"))
            self.assertEqual({connection["state"] for connection in self.daemon.connections() if connection["user"] == "eve"}, {"open"})
            self.assertEqual(self.call("join", {"user": "eve", "group": "eves"}, "operator").json(), {"joined": 12})
            self.assertEqual(self.call("join", {"user": "eve", "group": "eves"}).json(), {"joined": 12})
            self.assertEqual(self.call("join", {"connection": other.id, "group": "eves"}).json(), {"joined": 1})
            late = stack.enter_context(WebSocket(self.daemon.port, user="eve"))
            self.assertEqual(self.daemon.publish("n", 1, group="eves"), 13)
            for client in [*clients, other]:
                client.expect("n")
            told = self.daemon.rtcctl("-o", "json", "leave", "--user", "eve", "eves").stdout
            self.assertEqual(json.loads(told), {"left": 12})
            self.assert_refused(self.call("leave", {"user": "eve", "group": "eves"}), 404, "not-found", "user is in this group")
            self.assertEqual(json.loads(self.daemon.rtcctl("-o", "json", "leave", other.id, "eves").stdout), {"left": 1})
            self.assert_refused(self.call("leave", {"connection": other.id, "group": "eves"}), 404, "not-found", "not in this group")
            self.assertEqual(json.loads(self.daemon.rtcctl("-o", "json", "join", late.id, "eves").stdout), {"joined": 1})
            self.assertEqual(self.call("disconnect", {"user": "eve"}).json(), {"disconnected": 13})
        for arguments, status in (({"group": "g"}, 400), ({"group": "g", "user": "eve", "connection": other.id}, 400), ({"group": "g", "user": ""}, 400),
                                  ({"group": "g", "user": "nobody"}, 404), ({"group": None, "user": "bob"}, 400), ({"user": "bob"}, 400)):
            for command in ("join", "leave"):
                with self.subTest(command=command, arguments=arguments):
                    self.assertEqual(self.call(command, arguments).status, status)
        for words in (["join", "g"], ["join", "a", "b", "c"], ["join"], ["leave", "--user", "bob"]):
            self.assertEqual(self.daemon.rtcctl(*words, check=False).returncode, 65 if words == ["join", "g"] else 64, words)

    def test_a_user_some_of_whose_connections_are_refused(self):
        with WebSocket(self.daemon.port, user="full") as full, WebSocket(self.daemon.port, user="full"):
            answers = self.call("join", [{"connection": full.id, "group": f"full{number}"} for number in range(128)]).json()
            self.assertEqual(answers, [{"data": {"joined": 1}}] * 128)
            self.assertEqual(self.call("join", {"user": "full", "group": "more"}).json(), {"joined": 1, "refused": 1})
            self.assert_refused(self.call("join", {"user": "full", "group": "x" * 256}), 400, "bad-envelope")

    def pages(self, command, **arguments):
        """All rows, as they come two by two."""
        rows, cursor = [], {}
        while True:
            page = self.call(command, {"limit": 2, **arguments, **cursor}, "viewer").json()
            self.assertLessEqual(len(page["rows"]), 2)
            rows += page["rows"]
            if "cursor" not in page:
                return rows
            cursor = {"cursor": page["cursor"]}

    def test_listings_go_on_where_their_cursor_says(self):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(WebSocket(self.daemon.port, user=f"paged{number % 7}", group=f"paged{number % 9}")) for number in range(25)]
            for command, column, arguments in (("list.connections", [client.id for client in clients], {}),
                                               ("list.users", [f"paged{number}" for number in range(7)], {}),
                                               ("list.groups", [f"paged{number}" for number in range(9)], {}),
                                               ("show.group", [clients[number].id for number in (4, 13, 22)], {"group": "paged4"}),
                                               ("show.user", [clients[number].id for number in (3, 10, 17, 24)], {"user": "paged3"})):
                with self.subTest(command=command):
                    rows = [row[0] for row in self.pages(command, **arguments)]
                    self.assertEqual(len(rows), len(set(rows)))
                    self.assertEqual(set(column) - set(rows), set())
            self.assert_refused(self.call("list.connections", {"cursor": "nonsense"}), 400, "bad-envelope", "cursor")
            self.assert_refused(self.call("list.connections", {"limit": "many"}), 400, "bad-envelope", "limit")

    def test_one_link_carries_many_calls_in_order(self):
        with Http(self.daemon.port) as http:
            for _ in range(50):
                http.send("POST", "/api/v1/ping", b"{}", {"Authorization": f"Bearer {self.keys['viewer']}"})
            for _ in range(50):
                self.assertEqual(http.reader.response().status, 200)

    def test_who_hangs_up_before_the_answer_harms_nobody(self):
        def hang_up():
            for _ in range(30):
                with socket.create_connection(("127.0.0.1", self.daemon.port)) as link:
                    link.sendall(f"POST /api/v1/list.connections HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.keys['viewer']}\r\n"
                                 "Content-Length: 2\r\n\r\n{}".encode())
        threads = [threading.Thread(target=hang_up) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.call("ping", {}).status, 200)

    def test_a_daemon_that_stops_has_no_call_left(self):
        with Daemon(config="") as daemon:
            daemon.arguments += ["--set", f"auth.api-keys={self.path}"]
            daemon.stop()
            daemon.start()
            links = []
            for _ in range(200):
                links.append(Http(daemon.port))
                links[-1].send("POST", "/api/v1/ping", b"[{},{},{}]" if len(links) % 2 else b"{}", {"Authorization": f"Bearer {self.keys['viewer']}"})
            daemon.stop()
            self.assertEqual(daemon.process.returncode, 0)
            for link in links:
                link.close()
            daemon.start()


class LatestValues(ApiTest):
    config = 'groups: [{match: "latest.*", slow: latest}]\n'

    def test_of_a_group_of_latest_values_only_the_newest_waits(self):
        for key in (None, "key"):
            with self.subTest(key=key), Poller(self.daemon.port, wait=0, group=f"latest.{key}") as poller:
                queued = self.daemon.counter("messages_delivered")
                for number in range(50):
                    headers = {"Idempotency_Key": f"{key}-{number}"} if key else {}
                    self.assertEqual(self.call("publish", {"group": f"latest.{key}", "event": "n", "data": number}, **headers).status, 200)
                wait_until(lambda queued=queued: self.daemon.counter("messages_delivered") == queued + 50, "all to be queued")
                gap, newest = poller.poll()
                self.assertEqual((gap["eventName"], gap["data"]["lost"], newest["data"]), ("rtc.gap", 49, 49))


if __name__ == "__main__":
    unittest.main()
