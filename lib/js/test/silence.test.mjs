/* A peer that is gone without a word, and clocks that lie. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Daemon, Relay, WebSocket, builder, collect, keeper, until, watch } from "./harness.mjs";

let daemon;
before(async () => { daemon = await Daemon.start(); });
after(() => daemon.stop());

for (const transport of ["websocket", "sse", "longpoll", "shortpoll"]) {
    test(`${transport}: silence is noticed, and resumed after`, async (t) => {
        const keep = keeper(t);
        const relay = keep(await Relay.start(daemon.port));
        const client = keep(builder(relay.url, transport).keepAlive(100).timeout(300).openTimeout(200).build());
        const seen = watch(client), got = collect(client, "x");
        await client.start();
        await client.join("g");
        relay.isStalled = true;
        client.sendTo({ group: "g" }, "x", 1);
        await until(() => seen.reconnecting.length, "the silence to be noticed");
        assert.equal(seen.reconnecting[0].code, "network");
        relay.isStalled = false;
        await until(() => got.length);
        assert.deepEqual([got, seen.reconnected, client.groups], [[1], [{ resumed: true, unacknowledged: 0 }], ["g"]]);
    });

    test(`${transport}: quiet is no silence`, async (t) => {
        const client = keeper(t)(builder(daemon.url, transport).keepAlive(100).timeout(300).build());
        const seen = watch(client);
        await client.start();
        /* Waiting is what this is about: several times the timeout. */
        await new Promise((resolve) => setTimeout(resolve, 1200));
        assert.deepEqual(seen.states, ["connecting", "connected"]);
    });

    test(`${transport}: a process that slept looks before it judges`, async (t) => {
        const keep = keeper(t);
        const relay = keep(await Relay.start(daemon.port));
        const client = keep(builder(relay.url, transport).keepAlive(100).timeout(300).build());
        const seen = watch(client);
        await client.start();
        await client.join("g");
        for (let time = 0; time < (transport === "websocket" ? 2 : 1); time++) {
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1600);
            await client.invoke("x", null, { to: { group: "g" } });
            await new Promise((resolve) => setTimeout(resolve, 600));
        }
        assert.deepEqual(seen.states, ["connecting", "connected"]);
    });
}

test("a process that slept still finds out that the peer is gone", async (t) => {
    const keep = keeper(t);
    const relay = keep(await Relay.start(daemon.port));
    const client = keep(builder(relay.url, "websocket").keepAlive(100).timeout(300).build());
    const seen = watch(client);
    await client.start();
    relay.isStalled = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1600);
    await until(() => seen.reconnecting.length);
    relay.isStalled = false;
    await until(() => seen.reconnected.length);
});

test("an answer that waits to be read when the process wakes counts", async (t) => {
    let naps = 0;
    /* Falls asleep right after it has asked whether the server is there, which answers only meanwhile. */
    class Sleepy extends WebSocket {
        send(data, ...more) {
            if (!String(data).includes("rtc.ping") || naps++ > 0) {
                super.send(data, ...more);
                return;
            }
            daemon.process.kill("SIGSTOP");
            super.send(data, ...more);
            setImmediate(() => {
                daemon.process.kill("SIGCONT");
                Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1600);
            });
        }
    }
    const client = keeper(t)(builder(daemon.url, "websocket").webSocket(Sleepy).keepAlive(100).timeout(300).build());
    const seen = watch(client);
    await client.start();
    await until(() => naps > 3);
    assert.deepEqual(seen.states, ["connecting", "connected"]);
});
