/* Servers that are not there, talk nonsense or refuse: one clear error, no endless loop. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { Daemon, Fake, Relay, WebSocket, answerJson, builder, freePort, keeper, until, watch } from "./harness.mjs";
import { Builder } from "../rtc.js";

/* start() rejects with this code, onClose says the same, and the client can be started again. */
async function refuses(t, client, code, sentence) {
    keeper(t)(client);
    const seen = watch(client);
    await assert.rejects(client.start(), (error) => {
        assert.deepEqual([error.name, error.code], ["RtcError", code], error.stack);
        assert.match(error.message, sentence);
        return true;
    });
    assert.deepEqual([seen.states, seen.closed.map((reason) => reason.code)], [["connecting", "stopped"], [code]]);
}

const offer = { connectionId: "6b2f1c1e-0000-4000-8000-000000000000", connectionToken: "t",
    transports: [["websocket", "/rtc/websocket"], ["sse", "/rtc/sse"], ["longpoll", "/rtc/poll"], ["shortpoll", "/rtc/poll"]].map(
        ([name, where]) => ({ name, path: where, protocols: ["json"] })), keepAlive: 15000, timeout: 30000, maxMessageSize: 65536 };

test("a closed port", async (t) => {
    const port = await freePort();
    await refuses(t, builder(`http://127.0.0.1:${port}`).build(), "network", /^POST http:\/\/127\.0\.0\.1:\d+\/rtc\/negotiate: .*ECONNREFUSED/);
});

test("no such host", async (t) => {
    await refuses(t, builder("http://nobody.invalid/rtc").build(), "network", /nobody\.invalid/);
});

for (const [what, type, body, sentence] of [
    ["a page", "text/html", "<html>hello</html>", /no JSON object; is this the address of rtcd/],
    ["a list", "application/json", "[1,2]", /no JSON object/],
    ["an object of another kind", "application/json", '{"ok":true}', /no connectionId and connectionToken/],
    ["transports that are no list", "application/json", JSON.stringify({ ...offer, transports: {} }), /no list of transports/],
    ["a transport on another host", "application/json", JSON.stringify({ ...offer, transports: [{ name: "sse", path: "//evil.example/" }] }),
        /a transport without a name and a path/],
    ["far too much", "application/json", `{"a":"${"x".repeat(2 << 20)}"}`, /more than 1048576 bytes/],
    ["a redirect to nowhere", "application/json", '{"url":"gopher://x"}', /no http or https URL/],
]) {
    test(`negotiation answers ${what}`, async (t) => {
        const fake = keeper(t)(await Fake.start((request, response) => {
            response.writeHead(200, { "Content-Type": type });
            response.end(body);
        }));
        await refuses(t, builder(fake.url).build(), "bad-answer", sentence);
        assert.equal(fake.requests.length, 1);
    });
}

test("a server that speaks no HTTP", async (t) => {
    const server = net.createServer((link) => link.on("error", () => {}).end("220 mail.example.org ESMTP\r\n"));
    const port = await freePort();
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    t.after(() => server.close());
    await refuses(t, builder(`http://127.0.0.1:${port}`).build(), "network", /negotiate: /);
});

test("a server that says nothing", async (t) => {
    const fake = keeper(t)(await Fake.start(() => {}));
    await refuses(t, builder(fake.url).timeout(100).build(), "network", /not answered within 100 ms/);
});

test("transports that answer nonsense", async (t) => {
    const fake = keeper(t)(await Fake.start((request, response) => {
        if (request.url.startsWith("/rtc/negotiate"))
            answerJson(response, 200, offer);
        else
            answerJson(response, 200, { hello: 1 });
    }));
    await refuses(t, builder(fake.url).build(), "no-transport",
        /WebSocket ws:.*status 200.*no event stream but "application\/json".*no "first" and "messages".*no "first" and "messages"/);
    assert.ok(fake.requests.length < 10, fake.requests);
});

test("an event stream that has no welcome, and one without an end", async (t) => {
    const fake = keeper(t)(await Fake.start((request, response) => {
        if (request.url.startsWith("/rtc/negotiate")) {
            answerJson(response, 200, { ...offer, transports: offer.transports.slice(1, 2) });
            return;
        }
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        if (fake.requests.length > 2)
            response.write(`data: ${"x".repeat(17 << 20)}`);
        else
            response.write('data: {"eventName":"x"}\n\n');
    }));
    await refuses(t, builder(fake.url).build(), "no-transport", /x came before rtc.welcome/);
    await refuses(t, builder(fake.url).build(), "no-transport", /an event has more than 16777216 bytes/);
});

test("a wrong token", async (t) => {
    const daemon = keeper(t)(await Daemon.start());
    await refuses(t, builder(daemon.url).accessToken("wrong").retryFirst().build(), "unauthorized", /status 401: .*no keys to check access tokens/);
    const asked = [];
    await refuses(t, builder(daemon.url).accessToken(async () => `wrong-${asked.push(1)}`).retryFirst().build(), "unauthorized", /401/);
    assert.equal(asked.length, 2, "a function is asked once more");
    await refuses(t, builder(daemon.url).accessToken(() => { throw new Error("no luck"); }).build(), "unauthorized", /no luck/);
    const client = keeper(t)(builder(daemon.url).accessToken(async () => null).build());
    await client.start();
});

test("credentials that are refused while reconnecting end it", async (t) => {
    const daemon = keeper(t)(await Daemon.start());
    for (const transport of ["websocket", "longpoll"]) {
        daemon.arguments.push("--set", "connection.anonymous=true");
        await daemon.restart();
        const client = keeper(t)(builder(daemon.url, transport).build());
        const seen = watch(client);
        await client.start();
        daemon.arguments.push("--set", "connection.anonymous=false");
        await daemon.restart();
        await until(() => seen.closed.length);
        assert.deepEqual([seen.closed[0].code, seen.closed[0].status], ["unauthorized", 401]);
        assert.deepEqual(seen.states, ["connecting", "connected", "reconnecting", "stopped"]);
    }
});

test("an operator ends the connection", async (t) => {
    const daemon = keeper(t)(await Daemon.start());
    /* Not shortpoll: between two of its polls there is nobody to tell. */
    for (const transport of ["websocket", "sse", "longpoll"]) {
        const client = keeper(t)(builder(daemon.url, transport).build());
        const seen = watch(client);
        await client.start();
        await client.join("g");
        await daemon.admin("disconnect", { connection: client.connectionId, reason: "go away" });
        await until(() => seen.closed.length, `${transport} to be told`);
        assert.deepEqual([seen.closed[0].isFinal, seen.closed[0].reason, client.state], [true, "go away", "stopped"]);
        assert.deepEqual(seen.states, ["connecting", "connected", "stopped"]);
    }
});

test("redirects", async (t) => {
    const keep = keeper(t);
    const daemon = keep(await Daemon.start());
    const tokens = [];
    const far = keep(await Fake.start((request, response) => {
        tokens.push(request.headers.authorization);
        answerJson(response, 200, { url: `${daemon.url}/` });
    }));
    const near = keep(await Fake.start((request, response) => {
        tokens.push(request.headers.authorization);
        answerJson(response, 200, { url: far.url, accessToken: "for-far" });
    }));
    const client = keep(builder(near.url).transports("longpoll").accessToken(() => "for-near").build());
    /* The daemon has no keys: it would refuse a token that was for another hop. */
    await client.start();
    assert.deepEqual([client.state, ...tokens], ["connected", "Bearer for-near", "Bearer for-far"]);
});

test("redirects in a circle", async (t) => {
    const fake = keeper(t)(await Fake.start((request, response) => answerJson(response, 200, { url: fake.url })));
    await refuses(t, builder(fake.url).build(), "too-many-redirects", /more than 100 times/);
    assert.equal(fake.requests.length, 101);
});

test("the first connect is tried again where asked for, and given up by the policy", async (t) => {
    const keep = keeper(t);
    const daemon = keep(await Daemon.start());
    await daemon.kill();
    const retries = [];
    const client = keep(builder(daemon.url).retryFirst().reconnectPolicy((retry) => {
        retries.push(retry);
        return retry.attempt < 3 ? 5 : null;
    }).build());
    await assert.rejects(client.start(), { code: "gave-up", reason: "network" });
    assert.deepEqual(retries.map(({ attempt, isFirstConnect, error }) => [attempt, isFirstConnect, error.code]),
        [1, 2, 3].map((attempt) => [attempt, true, "network"]));
    const patient = keep(builder(daemon.url).retryFirst().build());
    const started = patient.start();
    await daemon.run();
    await started;
    assert.equal(patient.state, "connected");
});

test("delays grow while nothing gets through, also when each link opens", async (t) => {
    const keep = keeper(t);
    const daemon = keep(await Daemon.start());
    const relay = keep(await Relay.start(daemon.port));
    const client = keep(builder(relay.url, "websocket").reconnectDelays([0, 10, 20]).build());
    const seen = watch(client);
    const attempts = [];
    const policy = client.onReconnecting;
    client.onReconnecting = (why) => {
        attempts.push(performance.now());
        policy(why);
    };
    client.onReconnected = () => setImmediate(() => relay.cut());
    await client.start();
    relay.cut();
    await until(() => attempts.length === 12);
    assert.ok(attempts[11] - attempts[0] > 100, `${attempts[11] - attempts[0]} ms for eleven attempts`);
    client.onReconnected = null;
    assert.equal(seen.closed.length, 0);
});

test("a certificate that is not trusted, and one for another name", async (t) => {
    const directory = mkdtempSync(path.join(os.tmpdir(), "rtcd-test-"));
    t.after(() => rmSync(directory, { recursive: true }));
    const [key, certificate] = ["key", "certificate"].map((name) => path.join(directory, name));
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
        "-subj", "/CN=other.example", "-addext", "subjectAltName=DNS:other.example"], { stdio: "ignore" });
    const server = https.createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) => response.end());
    const port = await freePort();
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    t.after(() => server.close());
    await refuses(t, builder(`https://127.0.0.1:${port}`).build(), "tls", /certificate/);
    /* Trusted, but not for this name: as node:https sees it, handed in as a fetch of one's own. */
    const fetchTrusting = (url) => new Promise((resolve, reject) => {
        https.get(url, { ca: readFileSync(certificate) }, resolve).on("error", reject);
    });
    await refuses(t, builder(`https://127.0.0.1:${port}`).fetch(fetchTrusting).build(), "tls", /127\.0\.0\.1/);
});

test("what the builder refuses", () => {
    const bad = (make, sentence) => assert.throws(make, (error) => {
        assert.deepEqual([error.name, error.code], ["RtcError", "bad-argument"]);
        assert.match(error.message, sentence);
        return true;
    });
    const make = () => new Builder().url("http://localhost").webSocket(WebSocket).logger(null);
    bad(() => new Builder().build(), /url is missing/);
    bad(() => make().url("nowhere").build(), /"nowhere" is no URL/);
    bad(() => make().url("ftp://x").build(), /http:, https:, ws:, wss:/);
    bad(() => make().url("http://a:b@x").build(), /password/);
    bad(() => make().transports("pigeon").build(), /no "pigeon"; there are websocket, sse, longpoll, shortpoll/);
    bad(() => make().webSocket(null).transports("websocket").build(), /websocket needs a constructor/);
    bad(() => make().protocols("msgpack").build(), /msgpack needs a library/);
    bad(() => make().protocols("xml").build(), /there is no "xml"/);
    bad(() => make().protocols().build(), /at least one/);
    bad(() => make().protocols({ name: "json", isBinary: true, encode() {}, decode() {} }).build(), /isBinary/);
    bad(() => make().transport({}).build(), /transportName/);
    bad(() => make().reconnectDelays(5).build(), /list of milliseconds/);
    bad(() => make().reconnectDelays([-1]).build(), /reconnectDelays/);
    bad(() => make().reconnectJitter(101).build(), /reconnectJitter/);
    bad(() => make().timeout("long").build(), /timeout must be a number/);
    bad(() => make().queue({ envelopes: 0 }).build(), /queue.envelopes/);
    bad(() => make().accessToken(7).build(), /accessToken/);
    bad(() => make().headers({ x: "a\r\nb: c" }).build(), /headers/);
    bad(() => make().user("\n").build(), /user must have/);
    bad(() => make().logger(null, "loud").build(), /level is one of/);
    assert.equal(make().url("wss://example.org").build().state, "stopped");
});

test("what comes twice is dropped; after a gap it is asked for again", async (t) => {
    const asked = [];
    const fake = keeper(t)(await Fake.start((request, response) => {
        const url = new URL(request.url, "http://x");
        if (url.pathname === "/rtc/negotiate") {
            answerJson(response, 200, { ...offer, transports: offer.transports.slice(1, 2) });
            return;
        }
        if (url.pathname !== "/rtc/sse") {
            answerJson(response, 200, { received: 0 });
            return;
        }
        asked.push(url.searchParams.get("received"));
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write(`data: ${JSON.stringify({ eventName: "rtc.welcome", data: { ...offer, received: 0, resumed: asked.length > 1 } })}\r\n\r\n`);
        for (const number of asked.length === 1 ? [1, 2, 2, 1, 3, 5] : [3, 4, 5])
            response.write(`: a comment\nid: ${number}\rdata: {"eventName":"x",\rdata: "data":${number}}\n\n`);
    }));
    const client = keeper(t)(builder(fake.url, "sse").build());
    const seen = watch(client), got = [];
    client.on("x", (data) => got.push(data));
    await client.start();
    await until(() => got.length >= 5);
    assert.deepEqual([got, asked], [[1, 2, 3, 4, 5], ["0", "3"]]);
    assert.deepEqual(seen.reconnecting.map(({ code, message }) => [code, message]), [["bad-answer", "sse: envelope 5 came after 3"]]);
});

test("a server that acknowledges what was never sent", async (t) => {
    const fake = keeper(t)(await Fake.start((request, response) => {
        if (request.url.startsWith("/rtc/negotiate"))
            answerJson(response, 200, { ...offer, transports: offer.transports.slice(2, 3) });
        else if (request.url.startsWith("/rtc/send"))
            answerJson(response, 200, { received: 99 });
        else if (fake.requests.length < 3)
            answerJson(response, 200, { first: 1, messages: [{ eventName: "rtc.welcome", data: { ...offer, received: 0 } }] });
        else
            setTimeout(() => response.writeHead(204).end(), 50);
    }));
    const client = keeper(t)(builder(fake.url, "longpoll").build());
    const seen = watch(client);
    await client.start();
    client.send("x");
    await until(() => seen.reconnecting.length);
    assert.deepEqual([seen.reconnecting[0].code, /acknowledges what was never sent/.test(seen.reconnecting[0].message)], ["bad-answer", true]);
});

test("a long poll that is answered at once, again and again, makes no busy loop", async (t) => {
    const fake = keeper(t)(await Fake.start((request, response) => {
        if (request.url.startsWith("/rtc/negotiate"))
            answerJson(response, 200, { ...offer, transports: offer.transports.slice(2, 3) });
        else if (fake.requests.length < 3)
            answerJson(response, 200, { first: 1, messages: [{ eventName: "rtc.welcome", data: { ...offer, received: 0 } }] });
        else
            response.writeHead(204).end();
    }));
    const client = keeper(t)(builder(fake.url, "longpoll").build());
    await client.start();
    const before = fake.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.ok(fake.requests.length - before < 10, `${fake.requests.length - before} polls in a second`);
});

test("polls that have no welcome", async (t) => {
    let polls = 0;
    const fake = keeper(t)(await Fake.start((request, response) => {
        if (request.url.startsWith("/rtc/negotiate"))
            answerJson(response, 200, { ...offer, transports: offer.transports.slice(2) });
        else
            answerJson(response, 200, { first: 1, messages: polls++ ? [{ eventName: "x" }] : [] });
    }));
    await refuses(t, builder(fake.url).build(), "no-transport", /longpoll: the first answer has no rtc.welcome; shortpoll: the first answer/);
    assert.equal(polls, 2);
});

test("a proxy that refuses a transport in its own words is no reason to give up", async (t) => {
    const keep = keeper(t);
    const daemon = keep(await Daemon.start());
    const refusing = keep(await Fake.start((request, response) => response.writeHead(403).end("no")));
    const fetchPast = (url, options) => fetch(String(url).includes("/rtc/sse") ? url.replace(`:${daemon.port}`, `:${refusing.port}`) : url, options);
    const client = keep(builder(daemon.url).transports("sse", "longpoll").fetch(fetchPast).build());
    await client.start();
    assert.equal(client.transport, "longpoll");
});

test("an operator ends the connection, and wants it back", async (t) => {
    const keep = keeper(t);
    const daemon = keep(await Daemon.start());
    const client = keep(builder(daemon.url, "websocket").build());
    const seen = watch(client);
    await client.start();
    await daemon.admin("disconnect", { connection: client.connectionId, reason: "moved", reconnect: true });
    await until(() => seen.reconnected.length);
    assert.deepEqual([seen.reconnecting[0].reason, seen.reconnected[0].resumed], ["moved", false]);
});

/* As in a page: nobody is told why a handshake is refused. */
class Opaque extends WebSocket {
    on(name, ...more) {
        return name === "unexpected-response" ? this : super.on(name, ...more);
    }

    set onerror(handler) {
        super.onerror = handler && (() => handler({}));
    }
}

test("a page whose WebSocket is refused finds out why by another request", async (t) => {
    const keep = keeper(t);
    const daemon = keep(await Daemon.start());
    const client = keep(builder(daemon.url, "websocket").webSocket(Opaque).build());
    const seen = watch(client);
    await client.start();
    daemon.arguments.push("--set", "connection.anonymous=false");
    await daemon.restart();
    await until(() => seen.closed.length);
    assert.deepEqual([seen.closed[0].code, seen.closed[0].status], ["unauthorized", 401]);
});
