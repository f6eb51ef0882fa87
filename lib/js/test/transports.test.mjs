/* What every transport does alike, with each protocol: events both ways, replies, groups, resuming, a new beginning. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Daemon, Relay, VARIANTS, builder, collect, keeper, numbers, until, watch } from "./harness.mjs";

let daemon;
before(async () => { daemon = await Daemon.start(); });
after(() => daemon.stop());

for (const [transport, protocol] of VARIANTS) {
    const name = `${transport}, ${protocol}`;

    test(`${name}: events, replies, groups`, async (t) => {
        const keep = keeper(t);
        const [one, two] = ["one", "two"].map((user) => keep(builder(daemon.url, transport, protocol).user(user).build()));
        const seen = watch(one);
        await Promise.all([one.start(), two.start()]);
        assert.deepEqual([one.state, one.transport, one.protocol, one.userId], ["connected", transport, protocol, "one"]);
        assert.deepEqual(seen.states, ["connecting", "connected"]);

        assert.deepEqual(await one.join("g"), { group: "g", recovered: false });
        await two.join("g");
        assert.deepEqual(one.groups, ["g"]);
        const toGroup = collect(two, "to-group"), toUser = collect(two, "to-user"), toMe = collect(one, "to-me");
        const infos = [];
        two.on("to-group", (data, info) => infos.push(info));
        one.sendTo({ group: "g", exceptSelf: true }, "to-group", { text: "grün", list: [1, null, true, 1.5], bytes: new Uint8Array([0, 255, 7]) });
        one.sendTo({ user: "two" }, "to-user", 1);
        assert.equal(await one.invoke("to-me", "x", { to: { connection: one.connectionId } }), null);
        await until(() => toUser.length && toMe.length);
        assert.deepEqual(toGroup, [{ text: "grün", list: [1, null, true, 1.5], bytes: new Uint8Array([0, 255, 7]) }]);
        assert.deepEqual(infos, [{ eventName: "to-group", group: "g" }]);
        assert.deepEqual([toUser, toMe], [[1], ["x"]]);

        await assert.rejects(one.invoke("nobody.handles"), { name: "RtcError", code: "no-handler" });
        await two.leave("g");
        assert.deepEqual(two.groups, []);
        await one.invoke("to-group", "not for two", { to: { group: "g" } });
        await two.invoke("to-user", 2, { to: { user: "two" } });
        await until(() => toUser.length === 2);
        assert.equal(toGroup.length, 1);

        await one.stop();
        assert.deepEqual([seen.states.at(-1), seen.closed.length, seen.closed[0].code], ["stopped", 1, "stopped"]);
        await until(async () => (await daemon.admin("list.connections")).rows.every((row) => !JSON.stringify(row).includes('"one"')),
            "the server to know of the end");
    });

    test(`${name}: two at once, cut again and again, each get 1 to 200 from both, once and in order`, async (t) => {
        const keep = keeper(t);
        const relay = keep(await Relay.start(daemon.port));
        const clients = [1, 2].map(() => keep(builder(relay.url, transport, protocol).build()));
        const seen = clients.map(watch), got = clients.map((client) => [collect(client, "from-0"), collect(client, "from-1")]);
        for (const client of clients) {
            await client.start();
            await client.join("cut");
        }
        const ids = clients.map((client) => client.connectionId);
        for (const number of numbers(200)) {
            clients.forEach((client, index) => client.sendTo({ group: "cut" }, `from-${index}`, number));
            if (number % 25 === 0) {
                await until(() => clients.every((client) => client.state === "connected"), "both to be back");
                relay.cut();
            }
            await new Promise(setImmediate);
        }
        await until(() => got.every((both) => both.every((list) => list.length >= 200)), "all of them");
        assert.deepEqual(got, [1, 2].map(() => [numbers(200), numbers(200)]));
        assert.deepEqual(clients.map((client) => client.connectionId), ids);
        assert.ok(seen.every(({ reconnected }) => reconnected.every(({ resumed, unacknowledged }) => resumed && unacknowledged === 0)));
        if (transport !== "shortpoll")      // which mostly is between two requests, and does not notice
            assert.ok(seen.every(({ reconnected }) => reconnected.length >= 1));
    });

    test(`${name}: a daemon that restarts`, async (t) => {
        const keep = keeper(t);
        const own = keep(await Daemon.start());
        const client = keep(builder(own.url, transport, protocol).build());
        const seen = watch(client), got = collect(client, "news"), rejoined = [];
        client.onRejoined = (group, joined, error) => rejoined.push([group, joined?.group, error]);
        await client.start();
        await client.join("g");
        const { connectionId } = client;
        await own.restart(transport === "websocket" ? "SIGKILL" : "SIGTERM");
        await until(() => seen.reconnected.length && rejoined.length, "the client to be back in its group");
        assert.deepEqual(seen.states.slice(2), ["reconnecting", "connected"]);
        assert.deepEqual(seen.reconnected, [{ resumed: false, unacknowledged: 0 }]);
        assert.deepEqual(rejoined, [["g", "g", null]]);
        assert.notEqual(client.connectionId, connectionId);
        await own.publish("news", "back", { group: "g" });
        await until(() => got.length);
        assert.deepEqual([got, client.groups, client.transport], [["back"], ["g"], transport]);
    });
}
