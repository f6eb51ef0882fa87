// Node's ws against an echo server: node ws_client.cjs URL. One line for each case, "ok NAME" or "not ok NAME: WHY".
"use strict";
const assert = require("node:assert");
const { once } = require("node:events");
const { randomBytes } = require("node:crypto");
const WebSocket = require("ws");

const url = process.argv[2];
const MAX = 256 * 1024;

async function connect(options) {
    const ws = new WebSocket(url, options);
    await once(ws, "open");
    return ws;
}

async function echo(ws, data) {
    ws.send(data);
    const [back, isBinary] = await once(ws, "message");
    assert.strictEqual(isBinary, typeof data !== "string");
    assert.ok(typeof data === "string" ? back.toString() === data : back.equals(data), "the message changed");
}

async function close(ws, code, reason) {
    ws.close(code, reason);
    const [gotCode, gotReason] = await once(ws, "close");
    return [gotCode, gotReason.toString()];
}

const cases = {
    async "lengths"() {
        const ws = await connect();
        for (const length of [0, 1, 125, 126, 127, 65535, 65536, 65537, MAX]) {
            await echo(ws, randomBytes(length));
            await echo(ws, "x".repeat(length));
        }
        assert.deepStrictEqual(await close(ws, 1000, "done"), [1000, "done"]);
    },
    async "many at once, in order"() {
        const ws = await connect(), got = [];
        const done = new Promise((resolve) => ws.on("message", (data) => got.push(data.toString()) === 5000 && resolve()));
        for (let number = 0; number < 5000; number++)
            ws.send(`${number}`);
        await done;
        assert.deepStrictEqual(got, Array.from({ length: 5000 }, (_, number) => `${number}`));
        await close(ws, 1000);
    },
    async "more than the sockets hold"() {
        const ws = await connect();
        const payload = randomBytes(MAX);
        let count = 0;
        const done = new Promise((resolve) => ws.on("message", (data) => {
            assert.ok(data.equals(payload));
            if (++count === 100)
                resolve();
        }));
        for (let number = 0; number < 100; number++)
            ws.send(payload);
        await done;
        await close(ws, 1000);
    },
    async "fragments"() {
        const ws = await connect();
        for (const isText of [true, false]) {
            const pieces = isText ? ["\u20ac ", "", "two"] : [Buffer.of(0, 255), Buffer.of(), randomBytes(70000)];
            pieces.forEach((piece, index) => ws.send(piece, { fin: index === 2, binary: !isText }));
            const [back, isBinary] = await once(ws, "message");
            assert.strictEqual(isBinary, !isText);
            assert.ok(back.equals(isText ? Buffer.from(pieces.join("")) : Buffer.concat(pieces)));
        }
        await close(ws, 1000);
    },
    async "pings"() {
        const ws = await connect();
        for (const payload of ["", "x", "x".repeat(125)]) {
            ws.ping(payload);
            const [back] = await once(ws, "pong");
            assert.strictEqual(back.toString(), payload);
        }
        await close(ws, 1000);
    },
    async "close codes"() {
        for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
            assert.deepStrictEqual(await close(await connect(), code, "why"), [code, "why"]);
        assert.deepStrictEqual(await close(await connect()), [1005, ""]);
    },
    async "compression is not taken up"() {
        const ws = await connect({ perMessageDeflate: true });
        assert.strictEqual(ws.extensions, "");
        await echo(ws, "x".repeat(10000));
        await close(ws, 1000);
    },
    async "too large"() {
        const ws = await connect();
        ws.on("error", () => {});
        ws.send(randomBytes(MAX + 1));
        const [code] = await once(ws, "close");
        assert.strictEqual(code, 1009);
    },
    async "text that is none"() {
        const ws = await connect();
        ws.on("error", () => {});
        ws.send(Buffer.of(0x61, 0xff), { binary: false });
        const [code] = await once(ws, "close");
        assert.strictEqual(code, 1007);
    },
};

(async () => {
    for (const [name, run] of Object.entries(cases))
        await run().then(() => console.log(`ok ${name}`), (error) => console.log(`not ok ${name}: ${error.stack}`));
    process.exit(0);
})();
