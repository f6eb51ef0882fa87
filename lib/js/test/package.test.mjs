/* What others get: the npm package, its types, and words that agree with the daemon's. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { CLOSE_CODES } from "../rtc.js";
import { Daemon, PACKAGES, ROOT, WebSocket, keeper, msgpack } from "./harness.mjs";

const SOURCE = path.join(ROOT, "lib/js");

function folder(t) {
    const directory = mkdtempSync(path.join(os.tmpdir(), "rtcd-test-"));
    t.after(() => rmSync(directory, { recursive: true }));
    return directory;
}

/* A failure shows what the program said. */
function run(command, values, options) {
    try {
        return execFileSync(command, values, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });
    } catch (error) {
        throw new Error(`${command} ${values.join(" ")}: ${error.stdout}${error.stderr}`);
    }
}

test("npm pack, install, import", (t) => {
    const directory = folder(t);
    run("npm", ["pack", "--silent", "--pack-destination", directory], { cwd: SOURCE });
    const [archive] = readdirSync(directory).filter((name) => name.endsWith(".tgz"));
    assert.equal(archive, "rtcd-client-0.1.0.tgz");
    writeFileSync(path.join(directory, "package.json"), '{"private":true,"type":"module"}');
    run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", `./${archive}`], { cwd: directory });
    assert.deepEqual(readdirSync(path.join(directory, "node_modules")).filter((name) => !name.startsWith(".")), ["rtcd-client"],
        "it depends on nothing");
    assert.deepEqual(readdirSync(path.join(directory, "node_modules/rtcd-client")).sort(), ["README.md", "package.json", "rtc.d.ts", "rtc.js", "src"]);
    writeFileSync(path.join(directory, "program.js"), `
        import { Builder, Client, RtcError, jsonCodec, msgpackCodec } from "rtcd-client";
        const client = new Builder().url("http://localhost:1").transports("sse").build();
        console.log(client instanceof Client, client.state, RtcError.name, jsonCodec.name, typeof msgpackCodec);
    `);
    assert.equal(run(process.execPath, ["program.js"], { cwd: directory }), "true stopped RtcError json function\n");
});

test("a program that uses everything compiles with --strict", (t) => {
    const directory = folder(t);
    symlinkSync(path.join(PACKAGES, "node_modules"), path.join(directory, "node_modules"));
    writeFileSync(path.join(directory, "package.json"), '{"type":"module"}');
    const sample = readFileSync(path.join(SOURCE, "test/sample.ts"), "utf8");
    writeFileSync(path.join(directory, "sample.ts"), sample.replaceAll('"rtcd-client"', JSON.stringify(path.join(SOURCE, "rtc.js"))));
    const compile = (...more) => run(process.execPath, [path.join(PACKAGES, "node_modules/typescript/bin/tsc"), "--strict", "--noEmit",
        "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext", "--moduleResolution",
        "nodenext", "--lib", "es2023,dom", "--typeRoots", path.join(directory, "none"), ...more], { cwd: directory });
    compile("sample.ts");
    const wrong = ["client.send(1);", 'client.sendTo({ nobody: "x" }, "e");', 'client.state = "stopped";', "new Client();",
        'new Builder().transport(class { open() {} });', "new Builder().url(7);", 'client.join("g", { since: 3 });'];
    writeFileSync(path.join(directory, "wrong.ts"), [`import { Builder, Client } from ${JSON.stringify(path.join(SOURCE, "rtc.js"))};`,
        "const client = new Builder().build();", ...wrong.flatMap((line) => ["// @ts-expect-error", line])].join("\n"));
    compile("wrong.ts");
});

test("one file of all, for pages", async (t) => {
    const directory = folder(t), file = path.join(directory, "client.mjs");
    run("python3", [path.join(SOURCE, "bundle.py"), file]);
    assert.equal(run("python3", [path.join(SOURCE, "bundle.py")]), readFileSync(file, "utf8"));
    assert.doesNotMatch(readFileSync(file, "utf8"), /^import /m);
    const [bundle, whole] = [await import(file), await import("../rtc.js")];
    assert.deepEqual(Object.keys(bundle), Object.keys(whole));
    const daemon = keeper(t)(await Daemon.start());
    for (const transport of ["websocket", "sse", "longpoll", "shortpoll"]) {
        const client = keeper(t)(new bundle.Builder().url(daemon.url).webSocket(WebSocket).transports(transport)
            .protocols(bundle.msgpackCodec(msgpack), "json").build());
        await client.start();
        assert.equal((await client.join("g")).group, "g");
        await assert.rejects(client.invoke("nobody"), (error) => error instanceof bundle.RtcError && error.code === "no-handler");
    }
});

test("every export is typed, and every member of the client", async () => {
    const types = readFileSync(path.join(SOURCE, "rtc.d.ts"), "utf8");
    const module = await import("../rtc.js");
    const typed = [...types.matchAll(/^export (?:class|const|function) (\w+)/gm)].map(([, name]) => name);
    assert.deepEqual(Object.keys(module).sort(), typed.sort());
    for (const name of ["Builder", "Client"]) {
        const body = types.slice(types.indexOf(`export class ${name} `)).split("\n}\n")[0];
        for (const member of Object.getOwnPropertyNames(module[name].prototype))
            if (member !== "constructor")
                assert.match(body, new RegExp(`\\b${member}\\b`), `${name}.${member}`);
    }
});

test("close codes mean what lib/faults.def says", () => {
    const faults = readFileSync(path.join(ROOT, "lib/faults.def"), "utf8");
    const rows = [...faults.matchAll(/^FAULT\(\w+,\s*"([\w-]+)",\s*"([\w-]+)",\s*(\d+),\s*\d+,\s*(true|false)/gm)];
    assert.ok(rows.length > 30);
    const known = new Map();
    for (const [, , code, close, reconnect] of rows)
        known.set(close, [...known.get(close) ?? [], [code, reconnect === "true"]]);
    for (const [close, meaning] of Object.entries(CLOSE_CODES))
        assert.ok(known.get(close)?.some((row) => row.join() === meaning.join()), `${close} is ${known.get(close)?.join(" or ")}`);
    for (const close of known.keys())
        assert.ok(close in CLOSE_CODES || ["1000", "1006"].includes(close), `${close} is missing`);
});
