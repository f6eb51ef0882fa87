/*
 * What the tests in a browser stand on: one Chromium for each file, pages whose every complaint fails the test, and the
 * playground's parts by name. Packages are in build-browser, where tests/runner.py puts them; pictures go there too.
 */
import assert from "node:assert";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after } from "node:test";

import { Daemon, PATIENCE_MS, ROOT } from "../../lib/js/test/harness.mjs";

export const PACKAGES = path.join(ROOT, "build-browser");
export const PICTURES = path.join(PACKAGES, "pictures");
export const require = createRequire(path.join(PACKAGES, "package.json"));

const { chromium } = require("playwright-core");

mkdirSync(PICTURES, { recursive: true });
const isRoot = process.getuid() === 0;
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...isRoot ? ["--no-sandbox"] : [], "--enable-features=BackForwardCache"],
    /* Playwright switches it off. */
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
});
after(() => browser.close());

const cleanups = new WeakMap();

/* As t.after(), but the last comes first: a page goes before its daemon does. */
function cleanUp(t, action) {
    if (!cleanups.has(t)) {
        cleanups.set(t, []);
        t.after(async () => {
            const errors = [];      // a complaint must not leave a daemon behind
            for (const each of cleanups.get(t).reverse())
                await Promise.resolve().then(each).catch((error) => errors.push(error));
            if (errors.length)
                throw errors[0];
        });
    }
    cleanups.get(t).push(action);
}

/* A daemon of the test's own. */
export async function startDaemon(t, options = {}) {
    const daemon = await Daemon.start({ "http.playground": true, ...options });
    cleanUp(t, () => daemon.stop());
    return daemon;
}

/* A browser of its own: nothing is shared with another one but by makePage() from the same. */
export async function makeContext(t, options = {}) {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(PATIENCE_MS);
    cleanUp(t, () => context.close());
    return context;
}

/* A page. What it complains of, and what it wants from elsewhere, fails the test. `expected` may be complained of. */
export async function makePage(t, context, expected = /(?!)/) {
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => {
        const complaint = `${message.type()}: ${message.text()} (${message.location().url})`;
        if (["error", "warning"].includes(message.type()) && !expected.test(complaint))
            complaints.push(complaint);
    });
    page.on("pageerror", (error) => complaints.push(error.stack));
    cleanUp(t, () => assert.deepStrictEqual(complaints, []));
    return page;
}

/* The playground in a page: what a person sees and does. */
export class Playground {
    static async open(t, daemon, { query = {}, context, options, expected } = {}) {
        const page = await makePage(t, context ?? await makeContext(t, options), expected);
        await page.goto(`http://127.0.0.1:${daemon.port}/?${new URLSearchParams(query)}`);
        return new Playground(page, daemon);
    }

    /* Connected, and in the group `news`. */
    static async openConnected(t, daemon, { query, ...more } = {}) {
        const playground = await Playground.open(t, daemon, { query: { connect: "", group: "news", ...query }, ...more });
        await playground.isIn("news");
        return playground;
    }

    constructor(page, daemon) {
        this.page = page;
        this.daemon = daemon;
    }

    state(state) {
        return this.page.waitForSelector(`#status[data-state="${state}"]`);
    }

    isIn(group) {
        return this.page.getByRole("button", { name: `Leave ${group}` }).waitFor();
    }

    button(name) {
        return this.page.getByRole("button", { name, exact: true });
    }

    happened(words) {
        return this.page.locator("#history li").filter({ hasText: words }).first().waitFor();
    }

    async send(data, { to, target, event } = {}) {
        const { page } = this;
        if (to !== undefined)
            await page.getByLabel("To", { exact: true }).selectOption(to);
        if (target !== undefined)
            await page.locator("#target").fill(target);
        if (event !== undefined)
            await page.getByLabel("Event name").fill(event);
        await page.getByLabel("Data (JSON)").fill(typeof data === "string" ? data : JSON.stringify(data));
        await this.button("Send").click();
    }

    result(words) {
        return this.page.locator("#send-result").filter({ hasText: words }).waitFor();
    }

    /* The data of what arrived, oldest first. */
    async arrived(event) {
        const rows = await this.page.locator("#rows tr").evaluateAll((all) => all.map((row) =>
            [row.children[1].textContent, row.children[4].textContent]));
        return rows.reverse().filter(([name]) => !event || name === event).map(([, data]) => data);
    }

    row(words) {
        return this.page.locator("#rows tr").filter({ hasText: words });
    }

    fact(name) {
        return this.page.locator(`#fact-${name}`).textContent();
    }

    /* The figures of the numbered stream: {sent, arrived, missing, doubled}. */
    async stream() {
        const text = await this.page.locator("#stream-report").textContent();
        return Object.fromEntries([...text.matchAll(/(\d+) (sent|arrived|missing|doubled)/g)].map(([, count, name]) => [name, Number(count)]));
    }

    picture(name) {
        return this.page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
    }
}
