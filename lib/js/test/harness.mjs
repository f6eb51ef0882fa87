/*
 * What the tests of rtc.js stand on: a real rtcd, a TCP relay that breaks things, a server that answers whatever a test wants,
 * and clients that are stopped at the end. BUILD names the build directory, as for the other tests; npm's packages are in
 * build-js, where tests/runner.py puts them.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { Builder, msgpackCodec } from "../rtc.js";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
export const BUILD = path.resolve(ROOT, process.env.BUILD ?? "build");
export const PACKAGES = path.join(ROOT, "build-js");
export const PATIENCE_MS = 20000;       // how long a condition may take to come true; only what is broken takes that long

const require = createRequire(path.join(PACKAGES, "package.json"));
export const WebSocket = require("ws");
export const msgpack = require("@msgpack/msgpack");

export const VARIANTS = [["websocket", "json"], ["websocket", "msgpack"], ["sse", "json"], ["longpoll", "json"], ["longpoll", "msgpack"],
    ["shortpoll", "json"], ["shortpoll", "msgpack"]];

/* Asks until the answer is true, and returns it. */
export async function until(condition, what = String(condition)) {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
        const answer = await condition();
        if (answer)
            return answer;
        if (performance.now() > deadline)
            throw new Error(`waited ${PATIENCE_MS} ms in vain for: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

const reserved = [];

const listen = (server, ...where) => new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(...where, () => resolve(server.address()));
});

/* A port that no other test gets meanwhile, by the same reservation as in tests/integration/harness.py. */
export async function freePort() {
    for (;;) {
        const port = 12000 + Math.floor(Math.random() * 20000);
        const reservation = net.createServer(), probe = net.createServer();
        try {
            await listen(reservation, `\0rtcd-test-port-${port}`);
            await listen(probe, port, "127.0.0.1");
        } catch {
            reservation.close();
            continue;
        }
        await new Promise((resolve) => probe.close(resolve));
        reservation.unref();
        reserved.push(reservation);
        return port;
    }
}

/* rtcd with anonymous connections and two workers; options replace or add. */
export class Daemon {
    static async start(options = {}) {
        const daemon = new Daemon();
        daemon.directory = mkdtempSync(path.join(os.tmpdir(), "rtcd-test-"));
        daemon.port = await freePort();
        daemon.adminPath = path.join(daemon.directory, "admin.sock");
        const settings = { "listen": `127.0.0.1:${daemon.port}`, "admin.listen": daemon.adminPath, "workers": 2,
            "connection.anonymous": true, "connection.claimed-users": true, "publish.to-group": "members", "publish.to-user": true, "publish.to-connection": true,
            "log.core": "info", ...options };
        daemon.arguments = ["--no-config", ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`])];
        await daemon.run();
        return daemon;
    }

    get url() {
        return `http://127.0.0.1:${this.port}/rtc`;
    }

    async run() {
        const log = openSync(path.join(this.directory, "log"), "a");
        this.process = spawn(path.join(BUILD, "daemon/rtcd"), this.arguments, { stdio: ["ignore", "ignore", log] });
        closeSync(log);
        this.ended = new Promise((resolve, reject) => {
            this.process.once("exit", (code, signal) => resolve(code ?? signal));
            this.process.once("error", reject);
        });
        await until(() => {
            if (this.process.exitCode !== null)
                throw new Error(`rtcd ended with ${this.process.exitCode}: ${this.log()}`);
            return this.admin("status").catch(() => null);
        }, "rtcd to start");
    }

    log() {
        return readFileSync(path.join(this.directory, "log"), "utf8");
    }

    /* The data of a reply. */
    admin(command, data = {}) {
        return new Promise((resolve, reject) => {
            const socket = net.connect(this.adminPath, () => socket.write(`${JSON.stringify({ eventName: command, data, id: 1 })}\n`));
            let text = "";
            socket.on("error", reject);
            socket.on("close", () => reject(new Error(`${command}: no answer`)));
            socket.on("data", (piece) => {
                text += piece;
                if (!text.includes("\n"))
                    return;
                const reply = JSON.parse(text.split("\n")[0]);
                socket.destroy();
                if (reply.error)
                    reject(new Error(`${command}: ${reply.error.message}`));
                else
                    resolve(reply.data);
            });
        });
    }

    publish(event, data, to) {
        return this.admin("publish", { event, data, ...to });
    }

    /* The daemon stands still until what `begin` starts has been sent to it; it then takes it all in at once. */
    async paused(begin) {
        this.process.kill("SIGSTOP");
        const begun = begin();
        await new Promise((resolve) => setTimeout(resolve, 50));
        this.process.kill("SIGCONT");
        return begun;
    }

    async kill(signal = "SIGTERM") {
        this.process.kill(signal);
        return this.ended;
    }

    async restart(signal = "SIGTERM") {
        await this.kill(signal);
        await this.run();
    }

    async stop() {
        const status = this.process.exitCode === null && this.process.signalCode === null ? await this.kill() : this.process.exitCode;
        const log = this.log();
        rmSync(this.directory, { recursive: true });
        if (status !== 0 || /Sanitizer|runtime error:/.test(log))
            throw new Error(`rtcd ended with ${status}: ${log}`);
    }
}

/* Between clients and a daemon: passes bytes on until a test has it do something else. */
export class Relay {
    static async start(port) {
        const relay = new Relay();
        relay.target = port;
        relay.links = new Set();
        relay.accepted = 0;
        relay.isRefusing = false;           // new connections are cut
        relay.isMute = () => false;         // (request's first bytes) -> what the server says on this link is held back
        relay.holdsUp = () => 0;            // (request's first bytes) -> ms for which what the client says is held back
        relay.server = net.createServer((link) => relay.#accept(link));
        relay.port = await freePort();
        await listen(relay.server, relay.port, "127.0.0.1");
        return relay;
    }

    get url() {
        return `http://127.0.0.1:${this.port}/rtc`;
    }

    #accept(link) {
        this.accepted++;
        if (this.isRefusing) {
            link.destroy();
            return;
        }
        const far = net.connect(this.target, "127.0.0.1");
        const pair = { link, far, up: 0, down: 0, isMute: false };
        this.links.add(pair);
        for (const [from, to, way] of [[link, far, "up"], [far, link, "down"]]) {
            from.on("data", (bytes) => this.#pass(pair, to, way, bytes));
            from.on("end", () => to.end());
            from.on("error", () => this.#cut(pair));
            from.on("close", () => this.#cut(pair));
        }
    }

    #pass(pair, to, way, bytes) {
        if (way === "up" && this.isMute(bytes.toString("latin1")))
            pair.isMute = true;
        if (this.isStalled || (way === "down" && pair.isMute))
            return;
        pair[way] += bytes.length;
        const ms = way === "up" ? this.holdsUp(bytes.toString("latin1")) : 0;
        if (ms)
            setTimeout(() => to.write(bytes), ms);
        else
            to.write(bytes);
    }

    #cut(pair) {
        pair.link.destroy();
        pair.far.destroy();
        this.links.delete(pair);
    }

    cut() {
        for (const pair of [...this.links])
            this.#cut(pair);
    }

    async stop() {
        this.server.close();
        this.cut();
    }
}

/* An HTTP server whose answers are a function (request, response, body). */
export class Fake {
    static async start(answer) {
        const fake = new Fake();
        fake.requests = [];
        fake.server = http.createServer(async (request, response) => {
            let body = "";
            for await (const piece of request)
                body += piece;
            fake.requests.push(`${request.method} ${request.url}`);
            answer(request, response, body);
        });
        fake.port = await freePort();
        await listen(fake.server, fake.port, "127.0.0.1");
        return fake;
    }

    get url() {
        return `http://127.0.0.1:${this.port}/rtc`;
    }

    async stop() {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

export const answerJson = (response, status, value, type = "application/json") => {
    response.writeHead(status, { "Content-Type": type });
    response.end(JSON.stringify(value));
};

/* Whatever a test starts is stopped after it, in the reverse order. */
export function keeper(t) {
    const kept = [];
    t.after(async () => {
        for (const thing of kept.reverse())
            await thing.stop();
        const said = complaints.splice(0);
        if (said.length)
            throw new Error(`the client logged errors: ${said.join("; ")}`);
    });
    return (thing) => {
        kept.push(thing);
        return thing;
    };
}

export const protocolOf = (name) => (name === "msgpack" ? msgpackCodec(msgpack) : name);

/* A builder for one transport and protocol that says nothing but errors. */
export function builder(url, transport, protocol = "json") {
    const made = new Builder().url(url).webSocket(WebSocket).protocols(protocolOf(protocol)).logger(quiet, "debug")
        .reconnectDelays([0, 20, 50, 100]);
    return transport ? made.transports(transport) : made;
}

/* Errors that the client logs are mistakes, unless a test takes them out of here. RTC_LOG=1 shows all that it says. */
export const complaints = [];
export const quiet = (level, text) => {
    if (process.env.RTC_LOG)
        console.error(Math.round(performance.now()), level, text);
    if (level === "error")
        complaints.push(text);
};

/* What happens to a client, in order. */
export function watch(client) {
    const seen = { states: [], reconnecting: [], reconnected: [], closed: [] };
    client.onStateChange = (from, to) => seen.states.push(to);
    client.onReconnecting = (why) => seen.reconnecting.push(why);
    client.onReconnected = (how) => seen.reconnected.push(how);
    client.onClose = (reason) => seen.closed.push(reason);
    return seen;
}

/* What comes of one event. */
export function collect(client, eventName) {
    const got = [];
    client.on(eventName, (data) => got.push(data));
    return got;
}

export const numbers = (count) => Array.from({ length: count }, (_, index) => index + 1);
