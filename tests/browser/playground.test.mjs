/* The playground by each transport and protocol, and what happens when its line, its network or its daemon goes away. */
import assert from "node:assert";
import { after, before, test } from "node:test";

import { Daemon, VARIANTS, until } from "../../lib/js/test/harness.mjs";
import { Playground, startDaemon, makeContext } from "./browser.mjs";

const NAMES = { websocket: "WebSocket", sse: "server-sent events", longpoll: "long polling", shortpoll: "short polling",
    json: "JSON", msgpack: "MessagePack" };

let daemon;
before(async () => { daemon = await Daemon.start({ "http.playground": true }); });
after(() => daemon.stop());

for (const [transport, protocol] of VARIANTS) {
    test(`${transport}, ${protocol}: connect, join, send, see it arrive; cut the line and resume`, async (t) => {
        const playground = await Playground.open(t, daemon, { query: { user: "ada" } });
        const { page } = playground;
        await page.getByLabel("Transport", { exact: true }).selectOption(transport);
        await page.getByLabel("Protocol", { exact: true }).selectOption(protocol);
        await playground.button("Connect").click();
        await playground.state("connected");
        assert.deepStrictEqual([await playground.fact("transport"), await playground.fact("protocol"), await playground.fact("user")],
            [NAMES[transport], NAMES[protocol], "ada"]);
        const id = await playground.fact("connection");
        const rows = (await daemon.admin("list.connections")).rows;
        assert.ok(rows.some((row) => row.includes(id) && row.includes("ada") && row.includes(protocol)), JSON.stringify(rows));

        await playground.button("Join").click();
        await playground.isIn("news");
        await playground.send({ text: "hello" });
        await playground.result("Answered after");
        await playground.row('{"text":"hello"}').waitFor();
        await daemon.publish("headline", { list: [1, -2.5, null, "é"] }, { group: "news" });
        await playground.row('{"list":[1,-2.5,null,"é"]}').waitFor();

        await playground.button("Numbered stream").click();
        await until(async () => (await playground.stream()).arrived > 5, "the stream to flow");
        await playground.button("Cut the line").click();
        await playground.happened("resumed by");
        const { sent } = await playground.stream();
        await until(async () => (await playground.stream()).arrived > sent + 5, "the stream to flow again");
        await playground.button("Numbered stream").click();
        const { missing, doubled } = await playground.stream();
        assert.deepStrictEqual([missing, doubled], [0, 0]);
        assert.strictEqual(await playground.fact("connection"), id);

        await playground.button("Stop").click();
        await playground.state("stopped");
        await until(async () => !(await daemon.admin("list.connections")).rows.some((row) => row.includes(id)), "the connection's end");
    });
}

test("where server-sent events cannot carry MessagePack, JSON takes its place and the page says so", async (t) => {
    const playground = await Playground.openConnected(t, daemon, { query: { transport: "sse", protocol: "msgpack" } });
    assert.deepStrictEqual([await playground.fact("transport"), await playground.fact("protocol")], ["server-sent events", "JSON"]);
});

test("two tabs of one user: what goes to the user arrives in both, and each may leave out itself", async (t) => {
    const context = await makeContext(t);
    const first = await Playground.openConnected(t, daemon, { context, query: { user: "eve", transport: "websocket" } });
    const second = await Playground.openConnected(t, daemon, { context, query: { user: "eve", transport: "longpoll", protocol: "msgpack" } });
    assert.notStrictEqual(await first.fact("connection"), await second.fact("connection"));
    await first.send({ to: "both" }, { to: "user" });
    await first.row('{"to":"both"}').waitFor();
    await second.row('{"to":"both"}').waitFor();
    await first.page.getByLabel("not to me").check();
    await first.send({ to: "other" });
    await second.row('{"to":"other"}').waitFor();
    await first.page.getByLabel("not to me").uncheck();
    await first.send({ to: "one" }, { to: "connection", target: await second.fact("connection") });
    await second.row('{"to":"one"}').waitFor();
    assert.deepStrictEqual(await first.arrived(), ['{"to":"both"}']);
    assert.deepStrictEqual(await second.arrived(), ['{"to":"both"}', '{"to":"other"}', '{"to":"one"}']);
});

test("the link to another tab takes the settings along", async (t) => {
    const playground = await Playground.open(t, daemon, { query: { user: "o'neil & <co>", transport: "longpoll", protocol: "msgpack" } });
    const [page] = await Promise.all([playground.page.waitForEvent("popup"), playground.page.getByRole("link", { name: "Another tab" }).click()]);
    const second = new Playground(page, daemon);
    await second.isIn("news");
    assert.deepStrictEqual([await second.fact("user"), await second.fact("transport"), await second.fact("protocol")],
        ["o'neil & <co>", "long polling", "MessagePack"]);
});

for (const transport of ["websocket", "sse", "longpoll"]) {
    test(`${transport}: offline by the page's own button: what is sent meanwhile waits, what is published comes, once`, async (t) => {
        const playground = await Playground.openConnected(t, daemon, { query: { transport } });
        await playground.button("Go offline").click();
        await playground.state("reconnecting");
        await playground.page.getByLabel("wait for the reply").uncheck();
        for (const number of [1, 2, 3])
            await playground.send({ mine: number });
        await playground.result("Waits until the connection is back.");
        for (const number of [1, 2, 3])
            await daemon.publish("theirs", { theirs: number }, { group: "news" });
        await playground.button("Go offline").click();
        await playground.happened("resumed by");
        await playground.row('{"mine":3}').waitFor();
        await playground.row('{"theirs":3}').waitFor();
        assert.deepStrictEqual(await playground.arrived("theirs"), [1, 2, 3].map((number) => `{"theirs":${number}}`));
        assert.deepStrictEqual(await playground.arrived("chat.message"), [1, 2, 3].map((number) => `{"mine":${number}}`));
    });

    test(`${transport}: the browser's network goes away and comes back`, async (t) => {
        const playground = await Playground.openConnected(t, daemon, { query: { transport }, expected: /ERR_INTERNET_DISCONNECTED/ });
        const context = playground.page.context();
        await context.setOffline(true);
        await daemon.publish("theirs", { number: 1 }, { group: "news" });
        await until(() => playground.page.evaluate(() => !navigator.onLine), "the page to be offline");
        await context.setOffline(false);
        await daemon.publish("theirs", { number: 2 }, { group: "news" });
        await playground.row('{"number":2}').waitFor();
        await playground.state("connected");
        assert.deepStrictEqual(await playground.arrived("theirs"), ['{"number":1}', '{"number":2}']);
    });
}

test("the daemon is started anew: a new connection, in the same group", async (t) => {
    const other = await startDaemon(t);
    const playground = await Playground.openConnected(t, other, { expected: /ERR_CONNECTION_|WebSocket connection to|404/ });
    const id = await playground.fact("connection");
    await other.restart();
    await playground.happened("a new connection by");
    await playground.happened("news: joined again");
    await playground.state("connected");
    assert.notStrictEqual(await playground.fact("connection"), id);
    await other.publish("headline", { back: true }, { group: "news" });
    await playground.row('{"back":true}').waitFor();
});

for (const [transport, protocol] of VARIANTS) {
    test(`${transport}, ${protocol}: what browsers compress by themselves, both ways`, async (t) => {
        const other = await startDaemon(t, { "compression.websocket": true, "compression.polls": true, "compression.min-bytes": 64 });
        const playground = await Playground.openConnected(t, other, { query: { transport, protocol } });
        const text = "again and ".repeat(300);
        const codings = [];
        playground.page.on("response", (response) => codings.push(response.headers()["content-encoding"]));
        await playground.send({ text });
        await playground.result("Answered after");
        await other.publish("theirs", { text }, { group: "news" });
        await until(async () => (await playground.arrived("theirs")).length, "the envelope");
        assert.deepStrictEqual(await playground.arrived("theirs"), [JSON.stringify({ text })]);
        const { counters } = await other.admin("status");
        const isWebSocket = transport === "websocket";
        assert.deepStrictEqual([counters.messages_packed > 0, counters.messages_unpacked > 0], [isWebSocket, isWebSocket]);
        assert.strictEqual(codings.includes("gzip"), transport.endsWith("poll"));
    });
}

test("a daemon with another base path", async (t) => {
    const other = await startDaemon(t, { "http.base-path": "/live/rtc" });
    const playground = await Playground.openConnected(t, other);
    await playground.send({ text: "hello" });
    await playground.row('{"text":"hello"}').waitFor();
});

for (const transport of ["websocket", "sse", "longpoll"]) {
    test(`${transport}: frozen, as browsers do with tabs in the background, and woken`, async (t) => {
        const playground = await Playground.openConnected(t, daemon, { query: { transport } });
        const session = await playground.page.context().newCDPSession(playground.page);
        await session.send("Page.setWebLifecycleState", { state: "frozen" });
        for (const number of [1, 2, 3])
            await daemon.publish("theirs", { number }, { group: "news" });
        await session.send("Page.setWebLifecycleState", { state: "active" });
        await playground.row('{"number":3}').waitFor();
        await playground.state("connected");
        assert.deepStrictEqual(await playground.arrived("theirs"), [1, 2, 3].map((number) => `{"number":${number}}`));
    });

    test(`${transport}: away to another page and back`, async (t) => {
        const playground = await Playground.openConnected(t, daemon, { query: { transport }, expected: /favicon\.ico/ });
        const { page } = playground;
        await page.evaluate(() => addEventListener("pageshow", (event) => { document.title = `back, persisted: ${event.persisted}`; }));
        await page.goto(`http://localhost:${daemon.port}/playground.css`);
        await daemon.publish("theirs", { number: 1 }, { group: "news" });
        await page.goBack({ waitUntil: "commit" });
        await playground.state("connected");
        await playground.isIn("news");
        await daemon.publish("theirs", { number: 2 }, { group: "news" });
        await playground.row('{"number":2}').waitFor();
        /* The page kept by the browser goes on where it was; a page loaded anew has not seen what came meanwhile. */
        const isKept = await page.title() === "back, persisted: true";
        t.diagnostic(isKept ? "kept by the browser" : "loaded anew");
        assert.deepStrictEqual(await playground.arrived("theirs"), isKept ? ['{"number":1}', '{"number":2}'] : ['{"number":2}']);
    });
}
