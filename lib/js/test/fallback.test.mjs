/* One transport gives way to the next where it does not get through, and to a better one when that does. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Builder } from "../rtc.js";
import { Daemon, Relay, builder, collect, keeper, numbers, until, watch } from "./harness.mjs";

let daemon;
/* Nothing is to be forgotten while a transport is mute, however much the tests send meanwhile. */
before(async () => { daemon = await Daemon.start({ "resume.envelopes": 100000, "resume.bytes": "64MiB" }); });
after(() => daemon.stop());

const isWebSocket = (text) => /^GET \/rtc\/websocket/.test(text);
const isSse = (text) => /^GET \/rtc\/sse/.test(text);
const isLongPoll = (text) => /^GET \/rtc\/poll.*wait=[1-9]/.test(text);

/* A relay on which these requests are not answered. */
async function muteRelay(keep, ...kinds) {
    const relay = keep(await Relay.start(daemon.port));
    relay.isMute = (text) => kinds.some((kind) => kind(text));
    return relay;
}

for (const [muted, transport] of [[[], "websocket"], [[isWebSocket], "sse"], [[isWebSocket, isSse], "longpoll"],
    [[isWebSocket, isSse, isLongPoll], "shortpoll"]]) {
    test(`${muted.length} transports stay mute: ${transport} carries`, async (t) => {
        const keep = keeper(t);
        const relay = await muteRelay(keep, ...muted);
        const client = keep(builder(relay.url).openTimeout(300).build());
        const seen = watch(client), got = collect(client, "x");
        await client.start();
        assert.deepEqual([client.transport, seen.states], [transport, ["connecting", "connected"]]);
        await client.join("g");
        client.sendTo({ group: "g" }, "x", 1);
        await until(() => got.length);
        assert.equal((await daemon.admin("list.connections")).rows.length, 1, "all tries were for one connection");
    });
}

test("all transports stay mute", async (t) => {
    const keep = keeper(t);
    const relay = await muteRelay(keep, isWebSocket, isSse, (text) => /^GET \/rtc\/poll/.test(text));
    const client = keep(builder(relay.url).openTimeout(50).build());
    await assert.rejects(client.start(), { code: "no-transport" });
});

test("a client without a WebSocket says so and goes on", async (t) => {
    const said = [];
    const client = keeper(t)(new Builder().url(daemon.url).webSocket(null).logger((level, text) => said.push([level, text])).build());
    await client.start();
    assert.equal(client.transport, "sse");
    assert.match(said[0][1], /no WebSocket/);
});

test("a server that offers only some", async (t) => {
    const keep = keeper(t);
    const own = keep(await Daemon.start({ "transports.websocket": false, "transports.sse": false, "transports.shortpoll": false }));
    const client = keep(builder(own.url).build());
    await client.start();
    assert.equal(client.transport, "longpoll");
    const picky = keep(builder(own.url).transports("websocket", "sse").build());
    await assert.rejects(picky.start(), { code: "unsupported", status: 406 });
});

for (const transport of ["sse", "longpoll", "shortpoll"]) {
    test(`from ${transport} up to websocket, with envelopes under way in both directions`, async (t) => {
        const keep = keeper(t);
        const relay = await muteRelay(keep, isWebSocket);
        const client = keep(builder(relay.url).transports("websocket", transport).openTimeout(100).upgrade(20).build());
        const seen = watch(client), mirrored = collect(client, "up"), came = collect(client, "down");
        await client.start();
        assert.equal(client.transport, transport);
        await client.join("g");
        const { connectionId } = client;
        let sent = 0;
        const traffic = (async () => {
            while (client.transport !== "websocket" || sent % 100) {
                sent++;
                client.sendTo({ group: "g" }, "up", sent);
                await daemon.publish("down", sent, { group: "g" });
            }
        })();
        await until(() => sent > 50);
        relay.isMute = () => false;
        await traffic;
        await until(() => mirrored.length >= sent && came.length >= sent, "everything");
        assert.deepEqual([mirrored, came], [numbers(sent), numbers(sent)]);
        assert.deepEqual([client.connectionId, seen.states.at(-1)], [connectionId, "connected"]);
        assert.ok(seen.reconnected.every(({ resumed }) => resumed));
    });

    test(`moving up from ${transport} that fails again and again loses nothing`, async (t) => {
        const keep = keeper(t);
        const relay = await muteRelay(keep, isWebSocket);
        const client = keep(builder(relay.url).transports("websocket", transport).openTimeout(60).upgrade(10).build());
        const mirrored = collect(client, "up"), came = collect(client, "down");
        await client.start();
        await client.join("g");
        for (const number of numbers(300)) {
            client.sendTo({ group: "g" }, "up", number);
            await daemon.publish("down", number, { group: "g" });
        }
        await until(() => mirrored.length >= 300 && came.length >= 300, "everything");
        assert.deepEqual([mirrored, came], [numbers(300), numbers(300)]);
        assert.ok(relay.accepted > 3);
    });
}

test("without upgrade it stays where it is", async (t) => {
    const keep = keeper(t);
    const relay = await muteRelay(keep, isWebSocket);
    const client = keep(builder(relay.url).transports("websocket", "longpoll").openTimeout(50).upgrade(0).build());
    await client.start();
    relay.isMute = () => false;
    await client.join("g");
    await client.leave("g");
    assert.equal(client.transport, "longpoll");
});

/* As much of an EventSource as a browser's. */
class FakeEventSource {
    constructor(url) {
        this.abort = new AbortController();
        this.#read(url).catch(() => this.onerror?.(new Event("error")));
    }

    async #read(url) {
        const response = await fetch(url, { signal: this.abort.signal });
        let text = "";
        for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
            text += piece;
            for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2))
                this.onmessage?.({ data: /^data: (.*)$/m.exec(text.slice(0, end))[1] });
        }
        throw new Error("ended");
    }

    close() {
        this.onmessage = this.onerror = null;
        this.abort.abort();
    }
}

test("server-sent events by an EventSource, where fetch cannot stream", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    const { ReadableStream } = globalThis;
    const define = (get) => Object.defineProperty(globalThis, "ReadableStream", { get, configurable: true });
    t.after(() => {
        define(() => ReadableStream);
        delete globalThis.EventSource;
    });
    /* Node's own fetch cannot do without it. */
    define(() => (new Error().stack.split("\n")[2].includes("rtc.js") ? undefined : ReadableStream));
    globalThis.EventSource = FakeEventSource;
    const client = keep(builder(relay.url, "sse").build());
    const seen = watch(client), got = collect(client, "x");
    await client.start();
    await client.join("g");
    for (const number of numbers(20)) {
        client.sendTo({ group: "g" }, "x", number);
        if (number === 10)
            relay.cut();
    }
    await until(() => got.length >= 20);
    assert.deepEqual([got, seen.reconnected.map(({ resumed }) => resumed)], [numbers(20), [true]]);
});

test("moving up by a handshake that is slow on its way resumes, however much came meanwhile", async (t) => {
    const keep = keeper(t);
    const relay = await muteRelay(keep, isWebSocket);
    const client = keep(builder(relay.url).transports("websocket", "sse").openTimeout(1500).upgrade(50).build());
    const seen = watch(client), came = collect(client, "down");
    await client.start();
    await client.join("g");
    const { connectionId } = client;
    relay.isMute = () => false;
    let isHeld = false;
    relay.holdsUp = (text) => {
        isHeld ||= isWebSocket(text);
        return isWebSocket(text) ? 400 : 0;
    };
    await until(() => isHeld);
    for (const number of numbers(200))      // enough for several acknowledgements
        await daemon.publish("down", number, { group: "g" });
    await until(() => client.transport === "websocket" && came.length >= 200);
    assert.deepEqual([came, client.connectionId, seen.states], [numbers(200), connectionId, ["connecting", "connected"]]);
});

test("while a better transport is tried no short poll is sent, which would take the connection back", async (t) => {
    const keep = keeper(t);
    const relay = await muteRelay(keep, isWebSocket);
    const client = keep(builder(relay.url).transports("websocket", "shortpoll").openTimeout(1500).upgrade(50).build());
    const seen = watch(client);
    await client.start();
    relay.isMute = () => false;
    let isHeld = false, polls = 0;
    relay.holdsUp = (text) => {
        isHeld ||= isWebSocket(text);
        polls += isHeld && /^GET \/rtc\/poll/.test(text);
        return isWebSocket(text) ? 600 : 0;
    };
    await until(() => client.transport === "websocket");
    assert.deepEqual([polls, seen.states], [0, ["connecting", "connected"]]);
});
