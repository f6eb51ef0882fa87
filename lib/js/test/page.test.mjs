/* The life of a page, played by the events that browsers send: tests/browser has the real ones. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Daemon, Relay, builder, collect, keeper, until, watch } from "./harness.mjs";

let daemon;
const window_ = new EventTarget(), document_ = new EventTarget(), navigator_ = { onLine: true };
before(async () => {
    daemon = await Daemon.start();
    globalThis.addEventListener = window_.addEventListener.bind(window_);
    globalThis.removeEventListener = window_.removeEventListener.bind(window_);
    globalThis.document = document_;
    document_.visibilityState = "visible";
    Object.defineProperty(globalThis, "navigator", { value: navigator_, configurable: true });
});
after(() => daemon.stop());

const happens = (name, more = {}) => window_.dispatchEvent(Object.assign(new Event(name), more));

for (const transport of ["websocket", "sse", "longpoll", "shortpoll"]) {
    test(`${transport}: into the back/forward cache and back`, async (t) => {
        const keep = keeper(t);
        const relay = keep(await Relay.start(daemon.port));
        const client = keep(builder(relay.url, transport).build());
        const seen = watch(client), got = collect(client, "x");
        await client.start();
        await client.join("g");
        const { connectionId } = client;
        happens("pagehide", { persisted: true });
        assert.equal(client.state, "reconnecting");
        await until(() => daemon.admin("show.connection", { connection: connectionId }).then(({ state }) => state === "parked", () => false)
            .catch(() => false), "the server to hold the connection");
        const tries = relay.accepted;
        await daemon.publish("x", 1, { group: "g" });
        client.sendTo({ group: "g" }, "x", 2);
        await new Promise((resolve) => setTimeout(resolve, 200));       // longer than any delay of this client
        assert.equal(relay.accepted, tries, "a page that is put away opens nothing");
        happens("pageshow", { persisted: true });
        await until(() => got.length >= 2);
        assert.deepEqual([got, client.connectionId, seen.reconnected], [[1, 2], connectionId, [{ resumed: true, unacknowledged: 0 }]]);
    });
}

test("into the cache while connecting for the first time", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    relay.isMute = (text) => text.startsWith("GET");
    const client = keep(builder(relay.url, "longpoll").build());
    const seen = watch(client);
    const starting = client.start();
    await until(() => relay.links.size && [...relay.links].some(({ isMute }) => isMute));
    happens("pagehide", { persisted: true });
    relay.isMute = () => false;
    happens("pageshow", { persisted: true });
    await starting;
    assert.deepEqual(seen.states, ["connecting", "connected"]);
});

test("a page that goes for good leaves the connection to the server", async (t) => {
    const client = keeper(t)(builder(daemon.url, "websocket").build());
    await client.start();
    happens("pagehide", { persisted: false });
    assert.equal(client.state, "connected");
});

test("offline: no attempt is burnt; online: at once", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    const attempts = [];
    const client = keep(builder(relay.url, "websocket").reconnectPolicy(({ attempt }) => {
        attempts.push(attempt);
        return attempt < 2 ? 10 : null;
    }).build());
    const seen = watch(client);
    await client.start();
    await client.join("g");
    relay.isRefusing = true;
    navigator_.onLine = false;
    happens("offline");
    relay.cut();
    await until(() => seen.reconnecting.length);
    const tries = relay.accepted;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(relay.accepted, tries);
    relay.isRefusing = false;
    navigator_.onLine = true;
    happens("online");
    await until(() => seen.reconnected.length);
    assert.deepEqual([attempts, seen.reconnected[0].resumed], [[0], true]);
});

test("online: the wait for the next attempt is over", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    const client = keep(builder(relay.url, "websocket").reconnectDelays([3600000]).build());
    const seen = watch(client);
    await client.start();
    relay.cut();
    await until(() => seen.reconnecting.length);
    happens("online");
    await until(() => seen.reconnected.length);
});

for (const transport of ["websocket", "sse", "longpoll"]) {
    test(`${transport}: a page that is seen again looks at once whether the server is there`, async (t) => {
        const keep = keeper(t);
        const relay = keep(await Relay.start(daemon.port));
        /* By itself it would not notice within the patience of this test. */
        const client = keep(builder(relay.url, transport).keepAlive(3600000).timeout(7200000).openTimeout(500).build());
        const seen = watch(client);
        await client.start();
        const upwards = () => [...relay.links].reduce((sum, { up }) => sum + up, 0);
        const before = upwards();
        document_.dispatchEvent(new Event("visibilitychange"));
        await until(() => upwards() > before, "a question");
        relay.isStalled = true;
        document_.dispatchEvent(new Event("resume"));
        await until(() => seen.reconnecting.length, "the silence to be noticed");
        relay.isStalled = false;
        await until(() => seen.reconnected.length);
        assert.equal(seen.reconnected[0].resumed, true);
    });
}

test("listeners go when the client stops", async (t) => {
    let count = 0;
    const { addEventListener, removeEventListener } = window_;
    globalThis.addEventListener = (...values) => (count++, addEventListener.apply(window_, values));
    globalThis.removeEventListener = (...values) => (count--, removeEventListener.apply(window_, values));
    const client = keeper(t)(builder(daemon.url, "longpoll").build());
    await client.start();
    assert.ok(count > 0);
    await client.stop();
    assert.equal(count, 0);
    happens("pagehide", { persisted: true });
    happens("online");
});
