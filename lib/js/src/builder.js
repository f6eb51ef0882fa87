/*
 * Builder: every property of a client, checked as a whole.
 */
import { Client } from "./client.js";
import { CONTENT_TYPES, jsonCodec } from "./codecs.js";
import { RtcError } from "./errors.js";
import { MIB } from "./limits.js";
import { TRANSPORTS } from "./transports.js";
import { checkText, isObject } from "./values.js";
import { WebSocketTransport } from "./websocket.js";

const LEVELS = ["off", "error", "warning", "info", "debug"];

export class Builder {
    #given = {};
    #custom = [];

    url(url) { return this.#set("url", url); }
    transports(...names) { return this.#set("transports", names.flat()); }
    protocols(...protocols) { return this.#set("protocols", protocols.flat()); }
    accessToken(token) { return this.#set("accessToken", token); }
    user(user) { return this.#set("user", user); }
    headers(headers) { return this.#set("headers", headers); }
    reconnectDelays(delays) { return this.#set("reconnectDelays", delays); }
    reconnectJitter(percent) { return this.#set("reconnectJitter", percent); }
    reconnectPolicy(policy) { return this.#set("reconnectPolicy", policy); }
    retryFirst(isOn = true) { return this.#set("retryFirst", isOn); }
    keepAlive(ms) { return this.#set("keepAlive", ms); }
    timeout(ms) { return this.#set("timeout", ms); }
    openTimeout(ms) { return this.#set("openTimeout", ms); }
    upgrade(ms) { return this.#set("upgrade", ms); }
    queue(limits) { return this.#set("queue", limits); }
    logger(logger, level = "warning") { return this.#set("logger", logger).#set("level", level); }
    fetch(fetch) { return this.#set("fetch", fetch); }
    webSocket(constructor) { return this.#set("webSocket", constructor); }

    transport(transport) {
        this.#custom.push(transport);
        return this;
    }

    #set(name, value) {
        this.#given[name] = value;
        return this;
    }

    build() {
        const given = this.#given;
        const log = makeLog(given.logger === undefined ? console : given.logger, given.level ?? "warning");
        const webSocket = given.webSocket === undefined ? globalThis.WebSocket : given.webSocket;
        const settings = {
            log, webSocket,
            url: checkedUrl(given.url),
            codecs: checkedCodecs(given.protocols ?? ["json"]),
            accessToken: given.accessToken,
            user: given.user,
            headers: { ...given.headers },
            reconnectDelays: checkedDelays(given.reconnectDelays ?? [0, 2000, 10000, 30000]),
            reconnectJitter: checkedNumber("reconnectJitter", given.reconnectJitter ?? 25, 0, 100),
            reconnectPolicy: checkedFunction("reconnectPolicy", given.reconnectPolicy),
            retryFirst: Boolean(given.retryFirst),
            keepAlive: checkedNumber("keepAlive", given.keepAlive ?? 0, 0),
            timeout: checkedNumber("timeout", given.timeout ?? 0, 0),
            openTimeout: checkedNumber("openTimeout", given.openTimeout ?? 5000, 1),
            upgrade: checkedNumber("upgrade", given.upgrade ?? 30000, 0),
            queue: {
                envelopes: checkedNumber("queue.envelopes", given.queue?.envelopes ?? 1024, 1),
                bytes: checkedNumber("queue.bytes", given.queue?.bytes ?? MIB, 1),
            },
            fetch: checkedFunction("fetch", given.fetch) ?? ((...values) => globalThis.fetch(...values)),
        };
        checkHeaders(settings.headers);
        if (given.user !== undefined)
            checkText("user", given.user, 255);
        if (!["undefined", "string", "function"].includes(typeof (given.accessToken ?? undefined)))
            throw new RtcError("bad-argument", "accessToken must be a string or a function");
        settings.kinds = this.#kinds(given.transports, webSocket, log);
        return new Client(settings);
    }

    #kinds(names, webSocket, log) {
        const known = new Map(TRANSPORTS.map((kind) => [kind.transportName, kind]));
        for (const kind of this.#custom) {
            if (typeof kind !== "function" || typeof kind.transportName !== "string")
                throw new RtcError("bad-argument", "transport() takes a class with a static transportName");
            known.set(kind.transportName, kind);
        }
        const unnamed = this.#custom.map((kind) => kind.transportName).filter((name) => !names?.includes(name));
        const wanted = [...new Set([...unnamed, ...names ?? TRANSPORTS.map((kind) => kind.transportName)])];
        for (const name of wanted)
            if (!known.has(name))
                throw new RtcError("bad-argument", `transports: no "${name}"; there are ${[...known.keys()].join(", ")}`);
        let kinds = wanted.map((name) => known.get(name));
        if (kinds.includes(WebSocketTransport) && typeof webSocket !== "function") {
            log("warning", "this platform has no WebSocket, so other transports are used; hand one to the builder: webSocket()");
            kinds = kinds.filter((kind) => kind !== WebSocketTransport);
        }
        if (kinds.length === 0)
            throw new RtcError("bad-argument",
                "transports: none is left; websocket needs a constructor where the platform has none: webSocket()");
        return kinds;
    }
}

function checkedUrl(given) {
    let url;
    const { location } = globalThis;
    try {
        url = new URL(given ?? "/rtc", location?.href);
    } catch {
        throw new RtcError("bad-argument", given === undefined ? "url is missing" : `url: "${given}" is no URL`);
    }
    if (/^wss?:$/.test(url.protocol))
        url = new URL(url.href.replace(/^ws/, "http"));
    if (!/^https?:$/.test(url.protocol))
        throw new RtcError("bad-argument", `url: "${given}" begins with none of http:, https:, ws:, wss:`);
    if (url.username || url.password)
        throw new RtcError("bad-argument", "url: a name and a password are not taken here; use accessToken() or headers()");
    url.hash = "";
    url.pathname = url.pathname.replace(/\/+$/, "") || "/rtc";
    return url.href;
}

function checkedCodecs(protocols) {
    const codecs = protocols.map((protocol) => (protocol === "json" ? jsonCodec : protocol));
    for (const codec of codecs) {
        if (codec === "msgpack")
            throw new RtcError("bad-argument", 'protocols: msgpack needs a library: msgpackCodec(@msgpack/msgpack)');
        if (!isObject(codec) || !(codec.name in CONTENT_TYPES)
            || typeof codec.encode !== "function" || typeof codec.decode !== "function")
            throw new RtcError("bad-argument", `protocols: ${typeof codec === "string" ? `there is no "${codec}"`
                : "a codec has name (json or msgpack), isBinary, encode and decode"}`);
        if (Boolean(codec.isBinary) !== (codec.name === "msgpack"))
            throw new RtcError("bad-argument", `protocols: isBinary of ${codec.name} must be ${codec.name === "msgpack"}`);
    }
    if (codecs.length === 0)
        throw new RtcError("bad-argument", "protocols: at least one is needed");
    return codecs;
}

function checkedNumber(name, value, min, max = Infinity) {
    if (typeof value !== "number" || !(value >= min && value <= max))
        throw new RtcError("bad-argument", `${name} must be a number from ${min}${max === Infinity ? " on" : ` to ${max}`}`);
    return value;
}

function checkHeaders(headers) {
    try {
        new Headers(headers);
    } catch (error) {
        throw new RtcError("bad-argument", `headers: ${error.message}`);
    }
}

function checkedDelays(delays) {
    if (!Array.isArray(delays))
        throw new RtcError("bad-argument", "reconnectDelays must be a list of milliseconds");
    return delays.map((delay) => checkedNumber("each of reconnectDelays", delay, 0));
}

function checkedFunction(name, value) {
    if (value !== undefined && typeof value !== "function")
        throw new RtcError("bad-argument", `${name} must be a function`);
    return value;
}

/* A function (level, text) that says what `level` asks for. */
function makeLog(logger, level) {
    if (!LEVELS.includes(level))
        throw new RtcError("bad-argument", `logger: the level is one of ${LEVELS.join(", ")}`);
    const methods = { error: "error", warning: "warn", info: "info", debug: "debug" };
    return (of, text) => {
        if (!logger || LEVELS.indexOf(of) > LEVELS.indexOf(level))
            return;
        try {
            if (typeof logger === "function")
                logger(of, text);
            else
                logger[methods[of]](`rtc: ${text}`);
        } catch { /* a broken logger must not break the connection */ }
    };
}
