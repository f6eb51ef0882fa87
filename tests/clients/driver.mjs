/*
 * The driver of rtc.js: see rig.py for what it takes and says. Usage: node driver.mjs NODE_MODULES
 */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { Builder, msgpackCodec } from "../../lib/js/rtc.js";

const require = createRequire(`${process.argv[2]}/`);
const msgpack = msgpackCodec(require("@msgpack/msgpack"));
const { WebSocket } = require("ws");

const clients = new Map();

/* ---- What is said ---- */

let lines = [];

/* All that is said in one turn leaves in one write. */
function say(thing) {
    if (lines.length === 0)
        setImmediate(() => {
            const text = lines.join("");
            lines = [];
            process.stdout.write(text);
        });
    lines.push(`${JSON.stringify(thing)}\n`);
}

function errorOf(error) {
    if (typeof error?.code !== "string")
        console.error(error);
    return { code: error?.code ?? "none", message: String(error?.message ?? error) };
}

/* Bytes become {"$binary": BASE64}, and back. */
function toPlain(value) {
    if (value instanceof Uint8Array)
        return { $binary: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
    if (Array.isArray(value))
        return value.map(toPlain);
    if (value !== null && typeof value === "object")
        return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toPlain(member)]));
    return value;
}

function fromPlain(value) {
    if (Array.isArray(value))
        return value.map(fromPlain);
    if (value === null || typeof value !== "object")
        return value;
    const members = Object.entries(value);
    if (members.length === 1 && members[0][0] === "$binary")
        return new Uint8Array(Buffer.from(members[0][1], "base64"));
    return Object.fromEntries(members.map(([key, member]) => [key, fromPlain(member)]));
}

/* ---- What is done ---- */

/* Items one after the other, the last again and again. */
function inTurn(items, say) {
    let next = 0;
    return (argument) => {
        say(argument);
        return items[Math.min(next++, items.length - 1)];
    };
}

function build(id, command) {
    const tell = (saw, fields) => say({ saw, client: id, ...fields });
    const builder = new Builder().webSocket(WebSocket).logger((level, text) => console.error(`${id}: ${level}: ${text}`), "info");
    if (command.protocols)
        builder.protocols(...command.protocols.map((name) => name === "msgpack" ? msgpack : name));
    if (command.transports)
        builder.transports(...command.transports);
    if (Array.isArray(command.accessToken))
        builder.accessToken(inTurn(command.accessToken, () => tell("token")));
    else if (command.accessToken)
        builder.accessToken(command.accessToken);
    if (command.reconnectPolicy)
        builder.reconnectPolicy(inTurn(command.reconnectPolicy, ({ attempt, isFirstConnect, error }) =>
            tell("policy", { attempt, isFirstConnect, code: error.code })));
    for (const word of ["url", "user", "headers", "reconnectDelays", "reconnectJitter", "retryFirst", "keepAlive", "timeout", "openTimeout",
        "upgrade", "queue"])
        if (command[word] !== undefined)
            builder[word](command[word]);
    const client = builder.build();
    const entry = { client, id, tell, handlers: [] };
    client.onClose = (why) => tell("close", errorOf(why));
    client.onReconnected = (how) => {
        entry.resumed = (entry.resumed ?? 0) + how.resumed;
        if (!command.quiet)
            tell("reconnected", { resumed: how.resumed, unacknowledged: how.unacknowledged });
    };
    if (!command.quiet) {
        client.onStateChange = (from, to) => tell("state", { from, to });
        client.onReconnecting = (why) => tell("reconnecting", errorOf(why));
    }
    clients.set(id, entry);
}

/* A promise of the client becomes a reply. */
function reply(entry, command, promise) {
    promise.then((data) => entry.tell("reply", { id: command.id, data: toPlain(data) ?? null }),
        (error) => entry.tell("reply", { id: command.id, error: errorOf(error) }));
}

function count(entry, { group, to, window }) {
    const numbers = entry.numbers = [];
    let sent = 0;
    const sendMore = () => {
        if (numbers.length < sent)
            return;
        for (let i = 0; i < window && sent < to; i++)
            entry.client.sendTo({ group }, "number", ++sent);
        if (numbers.at(-1) === to)
            entry.client.sendTo({ group }, "number", ++sent);
    };
    entry.client.on("number", (number) => {
        numbers.push(number);
        if (number === to + 1)
            entry.tell("counted", { numbers, resumed: entry.resumed ?? 0 });
        else
            sendMore();
    });
    entry.client.join(group).then(sendMore, (error) => entry.tell("refused", { do: "count", ...errorOf(error) }));
}

const words = {
    start: (entry) => {
        /* Why a connect failed is seen as `close`. */
        const wasStopped = entry.client.state === "stopped";
        return entry.client.start().catch((error) => wasStopped || entry.tell("refused", { do: "start", ...errorOf(error) }));
    },
    stop: (entry) => entry.client.stop().then(() => entry.tell("stopped")),
    free: (entry) => clients.delete(entry.id),
    on(entry, { event, handler }) {
        const fn = (data, info) => entry.tell("event", { event: info.eventName, data: toPlain(data) ?? null, handler, group: info.group,
            offset: info.offset, key: info.key, from: info.from });
        entry.handlers.push({ event, handler, fn });
        entry.client.on(event, fn);
    },
    off(entry, { event, handler }) {
        if (handler === undefined)
            entry.client.off(event);
        else
            entry.client.off(event, entry.handlers.find((one) => one.event === event && one.handler === handler).fn);
    },
    send: (entry, { event, data }) => entry.client.send(event, fromPlain(data)),
    sendTo: (entry, { to, event, data, key }) => entry.client.sendTo(to, event, fromPlain(data), { key }),
    invoke: (entry, command) => reply(entry, command, entry.client.invoke(command.event, fromPlain(command.data),
        { to: command.to, timeout: command.timeout })),
    join: (entry, command) => reply(entry, command, entry.client.join(command.group, { since: command.since, last: command.last })),
    leave: (entry, command) => reply(entry, command, entry.client.leave(command.group)),
    ask: (entry, { id }) => {
        const { state, connectionId, userId, transport, protocol } = entry.client;
        entry.tell("answer", { id, state, connectionId, userId, transport, protocol, back: entry.numbers?.length });
    },
    count,
};

function take(command) {
    const id = command.client;
    try {
        if (command.do === "build")
            build(id, command);
        else
            words[command.do](clients.get(id), command);
    } catch (error) {
        say({ saw: "refused", client: id, do: command.do, ...errorOf(error) });
    }
}

createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (line) => take(JSON.parse(line))).on("close", async () => {
    await Promise.allSettled([...clients.values()].map(({ client }) => client.stop()));
    process.exit(0);
});
process.on("unhandledRejection", (error) => {
    console.error("nobody handles", error);
    process.exit(70);
});
