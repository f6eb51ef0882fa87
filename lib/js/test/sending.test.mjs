/* What is sent, queued, refused, lost or never doubled; what handlers are told. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { jsonCodec } from "../rtc.js";
import { Daemon, Relay, WebSocket, builder, collect, complaints, keeper, numbers, until, watch } from "./harness.mjs";

let daemon;
before(async () => { daemon = await Daemon.start(); });
after(() => daemon.stop());

const started = async (keep, made = builder(daemon.url, "websocket")) => {
    const client = keep(made.build());
    await client.start();
    return client;
};

test("what is refused is not sent", async (t) => {
    const keep = keeper(t);
    const client = keep(builder(daemon.url, "websocket").build());
    assert.throws(() => client.send("x"), { code: "not-started" });
    await assert.rejects(client.invoke("x"), { code: "not-started" });
    await assert.rejects(client.join("g"), { code: "not-started" });
    await client.start();
    await assert.rejects(client.start(), { code: "bad-argument" });
    const circle = {};
    circle.self = circle;
    for (const bad of [() => client.send(""), () => client.send("a\nb"), () => client.send("x".repeat(129)), () => client.send("rtc.join", {}),
        () => client.send("x", circle), () => client.send("x", 1n), () => client.sendTo({}, "x"), () => client.sendTo({ group: "" }, "x"), () => client.sendTo({ group: "g" }, "x", 1, { key: "" }),
        () => client.sendTo({ group: "g", user: "u" }, "x"), () => client.on("x", null)])
        assert.throws(bad, { code: "bad-argument" }, String(bad));
    assert.throws(() => client.send("x", "y".repeat(65536)), { code: "too-large" });
    await assert.rejects(client.join(""), { code: "bad-argument" });
    await assert.rejects(client.invoke("rtc.presence", { group: "g" }), { code: "forbidden" });
    assert.equal(client.state, "connected");
});

test("the queue has a bound, beyond which nothing is queued", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    const client = await started(keep, builder(relay.url, "websocket").queue({ envelopes: 10 }).keepAlive(5000));
    const got = collect(client, "x");
    await client.join("g");
    relay.isRefusing = true;
    relay.cut();
    await until(() => client.state === "reconnecting");
    const room = 10 - 1;        // the join is not acknowledged yet: an rtc.ack comes for 64 envelopes, or after 10 s
    for (const number of numbers(room))
        client.sendTo({ group: "g" }, "x", number);
    assert.throws(() => client.sendTo({ group: "g" }, "x", "too much"), { code: "queue-full" });
    await assert.rejects(client.invoke("x"), { code: "queue-full" });
    relay.isRefusing = false;
    await until(() => got.length >= room);
    assert.deepEqual(got, numbers(room));
    const small = await started(keep, builder(daemon.url, "websocket").queue({ bytes: 1000 }));
    assert.throws(() => small.send("x", "y".repeat(1000)), { code: "queue-full" });
});

test("what was queued before the server's limit was known and passes it is dropped, and said", async (t) => {
    const client = keeper(t)(builder(daemon.url, "websocket").build());
    const starting = client.start();
    const reply = assert.rejects(client.invoke("x", "y".repeat(70000)), { code: "too-large" });
    await starting;
    await reply;
    assert.match(complaints.splice(0).join(), /too|bytes was queued/);
    await client.join("g");
});

for (const transport of ["websocket", "sse", "longpoll"]) {
    test(`${transport}: a new connection: what was sent is reported and not sent again, what was not goes out after the joins`, async (t) => {
        const keep = keeper(t);
        const own = keep(await Daemon.start());
        const relay = keep(await Relay.start(own.port));
        const client = await started(keep, builder(relay.url, transport).keepAlive(60000).timeout(60000));
        const seen = watch(client), got = collect(client, "x");
        await client.join("g");
        relay.isStalled = true;             // what is sent from here on is on its way for ever
        for (const number of [1, 2, 3])
            client.sendTo({ group: "g" }, "x", number);
        const lost = assert.rejects(client.invoke("x", 4, { to: { group: "g" } }), { code: "connection-lost" });
        const joined = client.join("h");
        await new Promise(setImmediate);
        await own.restart("SIGKILL");
        relay.isRefusing = true;
        relay.isStalled = false;
        relay.cut();
        await until(() => client.state === "reconnecting");
        client.sendTo({ group: "g" }, "x", 5);
        client.sendTo({ group: "h" }, "x", 6);
        relay.isRefusing = false;
        await until(() => got.length >= 2);
        await lost;
        assert.deepEqual([got, (await joined).group, client.groups], [[5, 6], "h", ["g", "h"]]);
        /* On websocket the first join is not acknowledged either, but joins are made again. */
        assert.deepEqual(seen.reconnected, [{ resumed: false, unacknowledged: 4 }]);
    });
}

test("replies: a timeout, a late one, the end", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    const client = await started(keep, builder(relay.url, "websocket").keepAlive(60000).timeout(60000));
    relay.isStalled = true;
    await assert.rejects(client.invoke("x", 1, { to: { group: "g" }, timeout: 50 }), { code: "timeout" });
    const waiting = assert.rejects(client.invoke("x", 2), { code: "stopped" });
    const stopped = client.stop();
    await waiting;
    assert.equal(client.state, "stopped");
    await stopped;
    await client.stop();
    relay.isStalled = false;
    await client.start();
    await client.join("again");
    assert.deepEqual(client.groups, ["again"]);
});

test("stop() in the midst of connecting", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    relay.isStalled = true;
    const client = keep(builder(relay.url).build());
    const seen = watch(client);
    const rejected = assert.rejects(client.start(), { code: "stopped" });
    await until(() => relay.accepted);
    await client.stop();
    await rejected;
    assert.deepEqual([seen.states, seen.closed.length], [["connecting", "stopped"], 1]);
});

test("a join that is refused is forgotten", async (t) => {
    const own = keeper(t)(await Daemon.start({ "connection.groups": 1 }));
    const client = await started(keeper(t), builder(own.url, "websocket"));
    await client.join("one");
    await assert.rejects(client.join("two"), { code: "forbidden" });
    assert.deepEqual(client.groups, ["one"]);
    await assert.rejects(client.leave("two"), { code: "not-found" });
});

test("handlers: several, taken away, of all the rest, and such as throw", async (t) => {
    const client = await started(keeper(t));
    const told = [];
    const first = (data) => told.push(["first", data]);
    client.on("x", () => { throw new Error("broken handler"); }).on("x", async () => { throw new Error("broken later"); })
        .on("x", first).on("x", (data) => told.push(["second", data])).on("*", (data, { eventName }) => told.push([eventName, data]));
    client.onStateChange = () => { throw new Error("broken callback"); };
    const say = async (event, data) => {
        await client.invoke(event, data, { to: { connection: client.connectionId } });
        await until(() => told.some(([, value]) => value === data));
    };
    await say("x", 1);
    await say("y", 2);
    client.off("x", first);
    await say("x", 3);
    client.off("x");
    await say("x", 4);
    client.off("*");
    await client.invoke("x", 5, { to: { connection: client.connectionId } });
    client.on("rtc.error", ({ code }) => told.push(["rtc.error", code]));
    client.send("nobody");
    await until(() => told.at(-1)[0] === "rtc.error");
    assert.deepEqual(told, [["first", 1], ["second", 1], ["y", 2], ["second", 3], ["x", 4], ["rtc.error", "no-handler"]]);
    await client.stop();
    const said = complaints.splice(0).join("\n");
    assert.match(said, /handler of x failed: .*broken handler/);
    assert.match(said, /handler of x failed: .*broken later/);
    assert.match(said, /onStateChange failed: .*broken callback/);
});

test("what the caller does with its data after send() is all the same", async (t) => {
    const client = await started(keeper(t));
    const got = collect(client, "x");
    const data = { list: [1] };
    client.sendTo({ connection: client.connectionId }, "x", data);
    data.list.push(2);
    await until(() => got.length);
    assert.deepEqual(got, [{ list: [1] }]);
});

test("binary data in JSON, and what only looks like it", () => {
    const data = { bytes: new Uint8Array([1, 2, 3]), view: new DataView(new ArrayBuffer(2)), buffer: Buffer.from("hi"), fake: { $binary: "!" },
        more: { $binary: "AQ==", other: 1 }, big: new Uint8Array(100000).fill(7) };
    const text = jsonCodec.encode(data);
    assert.match(text, /"bytes":\{"\$binary":"AQID"\}.*"buffer":\{"\$binary":"aGk="\}/);
    assert.deepEqual(jsonCodec.decode(text), { bytes: new Uint8Array([1, 2, 3]), view: new Uint8Array(2), buffer: new Uint8Array([104, 105]),
        fake: { $binary: "!" }, more: { $binary: "AQ==", other: 1 }, big: data.big });
});

test("a codec of one's own", async (t) => {
    let count = 0;
    const codec = { name: "json", isBinary: false, encode: (value) => (count++, JSON.stringify(value)), decode: (text) => (count++,
        JSON.parse(typeof text === "string" ? text : new TextDecoder().decode(text))) };
    for (const transport of ["websocket", "longpoll"]) {
        const before = count;
        const client = await started(keeper(t), builder(daemon.url, transport).protocols(codec));
        await client.join("g");
        assert.ok(count >= before + 3);
    }
});

/* Carries by the daemon's WebSocket, as a proxy of another kind might. */
class Tunnel {
    static transportName = "tunnel";
    static carriesBinary = true;

    constructor(context) {
        this.context = context;
    }

    open() {
        const url = new URL(this.context.url);
        url.pathname += "/websocket";
        this.socket = new WebSocket(url.href.replace("http", "ws"), `rtc.v1.${this.context.codec.name}`);
        this.socket.binaryType = "arraybuffer";
        this.socket.onmessage = ({ data }) => this.context.deliver(typeof data === "string" ? data : new Uint8Array(data));
        this.socket.onclose = () => this.context.failed(new Error("the tunnel collapsed"));
        this.socket.onerror = () => {};
    }

    get isWritable() {
        return true;
    }

    send(first, envelopes) {
        envelopes.forEach((envelope) => this.socket.send(envelope));
    }

    close(onPurpose) {
        this.socket.onclose = null;
        this.socket.close(onPurpose ? 1000 : 4000);
    }
}

test("a transport of one's own, best where it is not named", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    for (const protocol of ["json", "msgpack"]) {
        const client = await started(keep, builder(relay.url, null, protocol).transport(Tunnel));
        const seen = watch(client), got = collect(client, "x");
        assert.deepEqual([client.transport, client.protocol], ["tunnel", protocol]);
        await client.join("g");
        relay.cut();
        client.sendTo({ group: "g" }, "x", 1);
        await until(() => got.length);
        assert.deepEqual([got, seen.reconnected.map(({ resumed }) => resumed), client.transport], [[1], [true], "tunnel"]);
    }
    const client = await started(keep, builder(relay.url).transport(Tunnel).transports("longpoll", "tunnel").upgrade(0));
    assert.equal(client.transport, "longpoll");
});

test("callbacks may stop the client, and start it again", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    const client = await started(keep, builder(relay.url, "websocket"));
    const states = [];
    client.onStateChange = (from, to) => {
        states.push(to);
        if (to === "connected")
            client.stop();
    };
    client.onReconnected = () => states.push("told after the end");
    const closed = new Promise((resolve) => { client.onClose = resolve; });
    relay.cut();
    assert.equal((await closed).code, "stopped");
    assert.deepEqual(states, ["reconnecting", "connected", "stopped"]);
    client.onStateChange = null;
    const again = new Promise((resolve) => { client.onClose = () => resolve(client.start()); });
    await client.start();
    await client.stop();
    client.onClose = null;
    await again;
    await until(() => client.state === "connected");
});

for (const transport of ["websocket", "longpoll"]) {
    test(`${transport}: an envelope that the codec refuses is passed over, and costs no other`, async (t) => {
        const client = await started(keeper(t), builder(daemon.url, transport, "msgpack"));
        const seen = watch(client), got = collect(client, "x"), errors = collect(client, "rtc.error");
        await client.join("g");
        const values = [1, "refused", [-1, -100, 2 ** 40, 1.5, "é".repeat(40), { a: [null, true] }, new Array(20).fill(0)], "x".repeat(70000), 4];
        client.sendTo({ group: "g" }, "x", new Uint8Array(300));        // bin
        await until(() => got.length);
        await daemon.paused(() => Promise.all(values.map((value) =>
            daemon.publish("x", value === "refused" ? JSON.parse('{"__proto__":1}') : value, { group: "g" }))));
        await until(() => got.length >= values.length);
        assert.deepEqual(got.slice(1), values.filter((value) => value !== "refused"));
        assert.deepEqual([errors.map(({ code }) => code), seen.reconnecting], [["bad-envelope"], []]);
        assert.match(complaints.splice(0).join(), /passed over: .*__proto__/);
    });
}
