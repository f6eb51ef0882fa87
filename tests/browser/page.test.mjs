/* The playground as a page: for eyes, keyboards and screen readers, with wrong input and too much of it, and trusting nobody. */
import assert from "node:assert";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { Daemon, until } from "../../lib/js/test/harness.mjs";
import { msgpack } from "../../daemon/page/playground-msgpack.js";
import { Playground, startDaemon, makeContext, makePage, require } from "./browser.mjs";

const LOOKS = { light: { colorScheme: "light" }, dark: { colorScheme: "dark" } };
const SIZES = { desktop: { viewport: { width: 1280, height: 900 } }, phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true,
    deviceScaleFactor: 2 } };

let daemon;
before(async () => { daemon = await Daemon.start({ "http.playground": true }); });
after(() => daemon.stop());

/* What axe-core, which knows WCAG 2.2 and its own best practices, finds wrong. The page's policy would not let a script in. */
async function problems(page) {
    await page.evaluate(require("fs").readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
    const { violations } = await page.evaluate(() => globalThis.axe.run(document));
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`).join("; ")}`);
}

for (const [look, colours] of Object.entries(LOOKS)) {
    for (const [size, screen] of Object.entries(SIZES)) {
        test(`${look}, ${size}: nothing for axe to find, before, while and after; nothing wider than the screen`, async (t) => {
            const playground = await Playground.open(t, daemon, { options: { ...colours, ...screen }, query: { user: "ada" } });
            const { page } = playground;
            assert.deepStrictEqual(await problems(page), []);
            await playground.picture(`${look}-${size}-stopped`);
            await playground.button("Connect").click();
            await playground.state("connected");
            await playground.button("Join").click();
            await playground.isIn("news");
            await playground.button("Numbered stream").click();
            await daemon.publish("headline", { title: "Nothing is lost", tags: ["a", "b"] }, { group: "news" });
            await daemon.publish("weather", { city: "Tromsø", celsius: -3.5, text: "long ".repeat(60) }, { group: "news" });
            await playground.send({ text: "hello" });
            await playground.row("hello").waitFor();
            await until(async () => (await playground.stream()).arrived > 60, "the stream to flow");
            await playground.button("Cut the line").click();
            await playground.happened("resumed by");
            await until(async () => (await playground.stream()).arrived > 80, "the stream to flow again");
            assert.deepStrictEqual(await problems(page), []);
            await playground.picture(`${look}-${size}-connected`);
            await playground.button("Go offline").click();
            await playground.state("reconnecting");
            await page.getByLabel("Data (JSON)").fill("{text: 1}");
            assert.deepStrictEqual(await problems(page), []);
            await playground.picture(`${look}-${size}-offline`);
            assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the screen");
        });
    }
}

test("by the keyboard alone: connect, join, leave, send", async (t) => {
    const playground = await Playground.open(t, daemon);
    const { page } = playground;
    const focused = () => page.evaluate(() => document.activeElement.id);
    const tabTo = async (id) => {
        for (let presses = 0; await focused() !== id; presses++) {
            assert.ok(presses < 40, `${id} is not reached by Tab`);
            await page.keyboard.press("Tab");
        }
        assert.notStrictEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none", `${id} shows no focus`);
    };
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.strictEqual(await focused(), "envelopes");
    await page.reload();
    await tabTo("user");
    await page.keyboard.type("kim");
    await page.keyboard.press("Enter");
    await playground.state("connected");
    assert.strictEqual(await playground.fact("user"), "kim");
    await tabTo("group");
    await page.keyboard.press("Enter");
    await playground.isIn("news");
    await tabTo("data");
    await page.keyboard.press("Control+A");
    await page.keyboard.type('{"by":"keyboard"}');
    await page.keyboard.press("Control+Enter");
    await playground.row('{"by":"keyboard"}').waitFor();
    await page.getByRole("button", { name: "Leave news" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("Left news.").waitFor();
    assert.strictEqual(await focused(), "group");
    assert.strictEqual(await page.getByRole("button", { name: "Leave news" }).count(), 0);
});

test("what screen readers are told: the state, results and mistakes; not every envelope", async (t) => {
    const playground = await Playground.openConnected(t, daemon);
    const { page } = playground;
    for (const [role, words] of [["status", /^connected: WebSocket, JSON$/], ["status", /^Joined news\.$/]])
        await page.getByRole(role).filter({ hasText: words }).waitFor();
    await page.getByLabel("Data (JSON)").fill("{");
    await page.getByRole("alert").filter({ hasText: "not JSON" }).waitFor();
    assert.match(await page.getByRole("img", { name: /^Round-trip time/ }).getAttribute("aria-label"), /state/);
    assert.strictEqual(await page.locator("#rows").evaluate((rows) => rows.closest("[aria-live], [role=log], [role=status]")), null);
    assert.strictEqual(await playground.button("Go offline").getAttribute("aria-pressed"), "false");
});

test("data that is no JSON is told at once, and not sent", async (t) => {
    const playground = await Playground.openConnected(t, daemon);
    const { page } = playground;
    const data = page.getByLabel("Data (JSON)");
    await data.fill('{"a": 1,}');
    await page.getByText(/^This is not JSON: .*position/).waitFor();
    assert.strictEqual(await data.getAttribute("aria-invalid"), "true");
    await playground.button("Send").click();
    assert.strictEqual(await page.evaluate(() => document.activeElement.id), "data");
    await data.fill('{"a": 1}');
    assert.strictEqual(await page.locator("#data-error").textContent(), "");
    await playground.button("Send").click();
    await playground.row('{"a":1}').waitFor();
    assert.deepStrictEqual(await playground.arrived(), ['{"a":1}']);
});

test("what is refused is said, with its code", async (t) => {
    const playground = await Playground.openConnected(t, daemon);
    await playground.send({}, { to: "all" });
    await playground.result(/^forbidden: /);
    await playground.send({}, { to: "" });
    await playground.result(/^no-handler: /);
    await playground.send({}, { to: "group", event: "rtc.join" });
    await playground.result(/rtc\./);
    await playground.button("Stop").click();
    await playground.state("stopped");
    await playground.send({}, { event: "a" });
    await playground.result("Connect first.");
});

test("who is not let in reads why, beside the button, and can try again", async (t) => {
    const other = await startDaemon(t, { "connection.claimed-users": false });
    const playground = await Playground.open(t, other, { query: { user: "ada" }, expected: /403/ });
    const { page } = playground;
    await playground.button("Connect").click();
    await page.getByRole("alert").filter({ hasText: /^forbidden: .*connection\.claimed-users/ }).waitFor();
    await playground.state("stopped");
    await page.getByLabel("User name").fill("");
    await playground.button("Connect").click();
    await playground.state("connected");
    assert.strictEqual(await page.locator("#connect-result").textContent(), "");
});

test("a daemon that lets nobody in", async (t) => {
    const other = await startDaemon(t, { "connection.anonymous": false });
    const playground = await Playground.open(t, other, { expected: /401/ });
    await playground.button("Connect").click();
    await playground.page.getByRole("alert").filter({ hasText: /^unauthorized: / }).waitFor();
    await playground.state("stopped");
});

test("what others send is shown and never run, and is bounded however much it is", async (t) => {
    const playground = await Playground.openConnected(t, daemon);
    const { page } = playground;
    const evil = "<img src=x onerror=alert(1)><script>alert(2)</script>";
    await daemon.publish(evil, { [evil]: evil }, { group: "news" });
    await playground.row(evil).first().waitFor();
    assert.strictEqual(await page.locator("#rows img, #rows script").count(), 0);

    await daemon.publish("large", { text: "x".repeat(50000) }, { group: "news" });
    await playground.row(/ … \d+ more/).waitFor();
    for (let number = 1; number <= 1000; number++)
        await daemon.publish("many", { number }, { group: "news" });
    await playground.row('{"number":1000}').waitFor();
    assert.strictEqual(await page.locator("#rows tr").count(), 200);
    assert.strictEqual(await page.locator("#count").textContent(), "1002");
    assert.deepStrictEqual((await playground.arrived()).map((data) => JSON.parse(data).number), Array.from({ length: 200 }, (_, i) => 801 + i));
});

test("pause, filter and clear", async (t) => {
    const playground = await Playground.openConnected(t, daemon);
    const { page } = playground;
    for (const number of [1, 2])
        await daemon.publish(`event.${number}`, { number }, { group: "news" });
    await playground.row('{"number":2}').waitFor();
    await page.getByLabel("Filter envelopes").fill("EVENT.1");
    assert.deepStrictEqual(await page.locator("#rows tr:visible td:nth-child(2)").allTextContents(), ["event.1"]);
    await page.getByLabel("Filter envelopes").fill("");
    await playground.button("Pause").click();
    await daemon.publish("event.3", { number: 3 }, { group: "news" });
    await page.getByText("3, 1 waiting").waitFor();
    assert.strictEqual(await playground.row('{"number":3}').count(), 0);
    await playground.button("Pause").click();
    await playground.row('{"number":3}').waitFor();
    await playground.button("Clear").click();
    assert.deepStrictEqual([await page.locator("#rows tr").count(), await page.locator("#count").textContent()], [0, "0"]);
});

test("round-trip time and rates are measured", async (t) => {
    const playground = await Playground.openConnected(t, daemon);
    const { page } = playground;
    await until(async () => Number(await page.locator("#figure-rtt").textContent()) > 0, "a round trip");
    await playground.button("Numbered stream").click();
    await until(async () => Number(await page.locator("#figure-in").textContent()) >= 15, "about 20 a second");
    await until(() => page.locator("#plot path.rtt").count(), "a line");
    assert.ok(await page.locator("#plot rect.rate-in").count() > 0);
    assert.ok(await page.locator("#plot rect.connected").count() > 0);
});

test("who wants no motion gets none", async (t) => {
    const playground = await Playground.open(t, daemon, { options: { reducedMotion: "reduce" } });
    await playground.page.evaluate(() => { document.getElementById("status").dataset.state = "reconnecting"; });
    assert.strictEqual(await playground.page.evaluate(() => getComputedStyle(document.getElementById("status"), "::before").animationName), "none");
});

test("nothing is asked of anybody but the daemon, and the policy keeps scripts out", async (t) => {
    const context = await makeContext(t);
    const asked = new Set();
    context.on("request", (request) => asked.add(new URL(request.url()).host));
    const playground = await Playground.openConnected(t, daemon, { context, expected: /Content Security Policy|TrustedHTML|TrustedScript/ });
    assert.deepStrictEqual([...asked], [`127.0.0.1:${daemon.port}`]);
    assert.strictEqual(await playground.page.evaluate(() => {
        const script = document.createElement("script");
        try {
            script.text = "globalThis.ranInline = true";
        } catch { /* Trusted Types */ }
        document.body.append(script);
        return globalThis.ranInline;
    }), undefined);
});

test("a page from another origin imports the client and connects, if its origin is allowed", async (t) => {
    const server = createServer((request, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>x</title>"));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => { server.closeAllConnections(); server.close(); });
    const origin = `http://127.0.0.1:${server.address().port}`;
    const other = await startDaemon(t, { "http.origins": origin });
    const greet = async (url) => {
        const { Builder } = await import(`${url}/client.js`);
        const client = new Builder().url(url).build();
        await client.start();
        const { transport } = client;
        await client.stop();
        return transport;
    };
    const page = await makePage(t, await makeContext(t), /CORS policy|ERR_FAILED|403|favicon/);
    await page.goto(origin);
    assert.strictEqual(await page.evaluate(greet, other.url), "websocket");
    await assert.rejects(page.evaluate(greet, daemon.url), /dynamically imported module/);
});

test("the playground's MessagePack says the same as the package that everybody uses", () => {
    const { encode, decode } = require("@msgpack/msgpack");
    const values = [null, true, false, 0, 1, -1, -32, -33, 127, 128, 255, 256, 65535, 65536, -128, -129, -32769, 2 ** 31 - 1, 2 ** 31, -(2 ** 31),
        -(2 ** 31) - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53) + 1, 0.5, 1e300, NaN, Infinity, "", "é".repeat(16), "x".repeat(31), "x".repeat(32),
        "x".repeat(255), "x".repeat(256), "x".repeat(65536), [], Array(15).fill(1), Array(16).fill("a"), Array(65536).fill(null), {},
        Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`key ${i}`, i])), new Uint8Array(0), new Uint8Array(255).fill(7),
        new Uint8Array(256), new Uint8Array(65536), { eventName: "a", data: { nested: [{ deep: [[]] }] }, to: { group: "news" }, id: 7 }];
    for (const value of values) {
        assert.deepStrictEqual(decode(msgpack.encode(value)), value);
        assert.deepStrictEqual(msgpack.decode(encode(value)), value);
        assert.deepStrictEqual(msgpack.decode(msgpack.encode(value)), value);
        const whole = encode(value);
        for (let length = 0; length < Math.min(whole.length, 40); length++)
            assert.throws(() => msgpack.decode(whole.slice(0, length)), RangeError);
    }
    assert.strictEqual(msgpack.decode(new Uint8Array([0xca, 0x3f, 0x00, 0, 0])), 0.5);
    assert.strictEqual(msgpack.decode(new Uint8Array([0xcf, 255, 255, 255, 255, 255, 255, 255, 255])), 2n ** 64n - 1n);
    assert.throws(() => msgpack.decode(new Uint8Array([0xdd, 255, 255, 255, 255])), RangeError);
    assert.throws(() => msgpack.decode(new Uint8Array([0xc1])), RangeError);
});
