// Node's ws against an echo server: node ws_client.cjs URL [deflate]. With "deflate", the server compresses. One line for each case, "ok NAME" or "not ok NAME: WHY".
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

async function talkCompressed(perMessageDeflate) {
    const ws = await connect({ perMessageDeflate: { threshold: 0, ...perMessageDeflate } });
    assert.match(ws.extensions, /permessage-deflate/);
    for (const length of [0, 1, 126, 1024, 65536, MAX]) {
        await echo(ws, randomBytes(length));
        await echo(ws, "all work and no play ".repeat(length / 21 + 1).slice(0, length));
    }
    const before = [ws._socket.bytesWritten, ws._socket.bytesRead];
    await echo(ws, "x".repeat(MAX));
    assert.ok(ws._socket.bytesWritten - before[0] < MAX / 100);
    const allowed = perMessageDeflate.serverMaxWindowBits ?? 15;
    assert.strictEqual(ws._socket.bytesRead - before[1] < MAX / 100, allowed === 15);   // a message longer than the window goes out as it is
    for (const isText of [true, false]) {
        const pieces = isText ? ["\u20ac ", "", "two"] : [Buffer.of(0, 255), Buffer.of(), randomBytes(70000)];
        pieces.forEach((piece, index) => ws.send(piece, { fin: index === 2, binary: !isText }));
        const [back] = await once(ws, "message");
        assert.ok(back.equals(isText ? Buffer.from(pieces.join("")) : Buffer.concat(pieces)));
    }
    const got = [], done = new Promise((resolve) => ws.on("message", (data) => got.push(`${data}`) === 2000 && resolve()));
    for (let number = 0; number < 2000; number++)
        ws.send(`${number}`.repeat(100), { compress: number % 3 !== 0 });
    await done;
    assert.deepStrictEqual(got, Array.from({ length: 2000 }, (_, number) => `${number}`.repeat(100)));
    assert.deepStrictEqual(await close(ws, 1000, "done"), [1000, "done"]);
}

const deflateCases = {
    async "whatever ws offers by itself"() { await talkCompressed({}); },
    async "no context takeover"() { await talkCompressed({ serverNoContextTakeover: true, clientNoContextTakeover: true }); },
    async "a window for the client"() { await talkCompressed({ clientMaxWindowBits: 9 }); },
    async "too large once it is taken apart"() {
        const ws = await connect({ perMessageDeflate: { threshold: 0 } });
        ws.on("error", () => {});
        ws.send("x".repeat(MAX + 1));
        const [code] = await once(ws, "close");
        assert.strictEqual(code, 1009);
    },
};
for (let bits = 8; bits <= 15; bits++)
    deflateCases[`a window of ${bits} bits for the server`] = () => talkCompressed({ serverMaxWindowBits: bits });

(async () => {
    for (const [name, run] of Object.entries(process.argv[3] === "deflate" ? deflateCases : cases))
        await run().then(() => console.log(`ok ${name}`), (error) => console.log(`not ok ${name}: ${error.stack}`));
    process.exit(0);
})();
