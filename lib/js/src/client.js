/*
 * Client: what a program sees: its state, its handlers and callbacks, and what it can ask for. What is said and answered is in
 * conversation.js, what carries it in carrier.js.
 */
import { Carrier } from "./carrier.js";
import { Conversation, REPLY_MS } from "./conversation.js";
import { RtcError, asRtcError } from "./errors.js";
import { PageLife } from "./page.js";
import { checkText, checkedKey, checkedTarget } from "./values.js";

const INVOKABLE = new Set(["rtc.history", "rtc.presence", "rtc.refresh"]);

export class Client {
    onStateChange = null;
    onReconnecting = null;
    onReconnected = null;
    onRejoined = null;
    onClose = null;
    #settings;
    #conversation;
    #page;
    #state = "stopped";
    #carrier = null;            // from start() to the end
    #started = null;            // how start() is answered; null: it was
    #handlers = new Map();
    #isFlushing = false;

    constructor(settings) {
        this.#settings = settings;
        this.#conversation = new Conversation(settings, {
            onPush: () => this.#flushSoon(),
            onRejoined: (...values) => this.#call("onRejoined", this.onRejoined, ...values),
        });
        this.#page = new PageLife({
            onSuspend: () => this.#carrier.suspend(),
            onResume: () => this.#carrier.resume(),
            onLook: () => this.#carrier.look(),
        });
    }

    get state() {
        return this.#state;
    }

    get connectionId() {
        return this.#carrier?.connection?.id ?? null;
    }

    get userId() {
        return this.#carrier?.connection?.userId ?? null;
    }

    get transport() {
        return this.#carrier?.link?.name ?? null;
    }

    get protocol() {
        return this.#carrier?.link?.codec.name ?? null;
    }

    get groups() {
        return this.#conversation.groups;
    }

    start() {
        if (this.#state !== "stopped")
            return Promise.reject(new RtcError("bad-argument", `start(): the client is ${this.#state} already`));
        const started = new Promise((resolve, reject) => { this.#started = { resolve, reject }; });
        this.#carrier = this.#makeCarrier();
        this.#page.attach();
        this.#enter("connecting");
        this.#carrier?.start();
        return started;
    }

    async stop() {
        const carrier = this.#carrier;
        if (!carrier)
            return;
        carrier.flush();
        const told = carrier.takeLeave();
        carrier.end(new RtcError("stopped", "stop() ended the connection"));
        await told;
    }

    on(eventName, handler) {
        if (typeof handler !== "function")
            throw new RtcError("bad-argument", `on(${eventName}): the handler is no function`);
        this.#handlers.set(eventName, [...this.#handlers.get(eventName) ?? [], handler]);
        return this;
    }

    off(eventName, handler) {
        const kept = handler ? (this.#handlers.get(eventName) ?? []).filter((known) => known !== handler) : [];
        if (kept.length)
            this.#handlers.set(eventName, kept);
        else
            this.#handlers.delete(eventName);
        return this;
    }

    send(eventName, data) {
        this.#check(eventName);
        this.#conversation.push({ eventName, data });
    }

    sendTo(target, eventName, data, { key } = {}) {
        this.#check(eventName);
        this.#conversation.push({ eventName, data, to: checkedTarget(target), ...checkedKey(key) });
    }

    async invoke(eventName, data, { to, key, timeout = REPLY_MS } = {}) {
        this.#check(eventName, INVOKABLE);
        return this.#conversation.ask({ eventName, data, ...to ? { to: checkedTarget(to) } : {}, ...checkedKey(key) }, timeout);
    }

    async join(group, { since, last } = {}) {
        checkText("the group's name", group, 255);
        this.#checkStarted("rtc.join");
        return this.#conversation.join(group, { since, last });
    }

    async leave(group) {
        checkText("the group's name", group, 255);
        this.#checkStarted("rtc.leave");
        return this.#conversation.leave(group);
    }

    #check(eventName, allowed) {
        checkText("the event's name", eventName, 128);
        if (eventName.startsWith("rtc.") && !allowed?.has(eventName))
            throw new RtcError("bad-argument", `the event's name is "${eventName}", but names that begin with rtc. belong to the protocol`);
        this.#checkStarted(eventName);
    }

    #checkStarted(eventName) {
        if (this.#state === "stopped")
            throw new RtcError("not-started", `${eventName}: the client is stopped; call start() first`);
    }

    /* What is sent in one go leaves together. */
    #flushSoon() {
        if (this.#isFlushing)
            return;
        this.#isFlushing = true;
        queueMicrotask(() => {
            this.#isFlushing = false;
            this.#carrier?.flush();
        });
    }

    /* ---- What the carrier tells */

    #makeCarrier() {
        return new Carrier(this.#settings, this.#conversation, {
            onMessage: (message) => this.#take(message),
            onConnected: (isResumed, unacknowledged) => this.#showConnected(isResumed, unacknowledged),
            onReconnecting: (error) => this.#showReconnecting(error),
            onEnd: (reason) => this.#showEnd(reason),
            onWritable: () => this.#flushSoon(),
            isOffline: () => this.#page.isOffline,
        });
    }

    #take({ eventName, data = null, id, error, group, offset, key, from }) {
        if (eventName === "rtc.reply") {
            this.#conversation.answer(id, data, error
                ? new RtcError(String(error.code ?? "internal"), String(error.message ?? "the server gave no sentence")) : null);
            return;
        }
        if (eventName === "rtc.error")
            this.#settings.log("warning", `rtc.error, ${data?.code}: ${data?.message}`);
        if (group !== undefined)
            this.#conversation.noteOffset(group, offset);
        else if (eventName === "rtc.left")
            this.#conversation.noteLeft(data?.group);
        const info = { eventName };
        for (const [name, value] of Object.entries({ group, offset, key, from }))
            if (value !== undefined)
                info[name] = value;
        for (const handler of this.#handlers.get(eventName) ?? this.#handlers.get("*") ?? [])
            this.#call(`the handler of ${eventName}`, handler, data, info);
    }

    /* Somebody else's code: what it throws is logged and harms nobody else. */
    #call(what, handler, ...values) {
        const complain = (error) => this.#settings.log("error", `${what} failed: ${error?.stack ?? error}`);
        try {
            const result = handler?.(...values);
            if (typeof result?.then === "function")
                result.then(undefined, complain);
        } catch (error) {
            complain(error);
        }
    }

    #enter(state) {
        const from = this.#state;
        if (from === state)
            return;
        this.#state = state;
        this.#call("onStateChange", this.onStateChange, from, state);
    }

    #showConnected(isResumed, unacknowledged) {
        const carrier = this.#carrier;
        if (this.#state === "connected" && !isResumed)
            this.#showReconnecting(new RtcError("connection-lost", "the server does not know the connection any more"));
        if (carrier.isOver || this.#state === "connected")
            return;         // stopped by a callback; or another transport, that is all
        const started = this.#started;
        this.#started = null;
        this.#enter("connected");
        if (started)
            started.resolve();
        else if (!carrier.isOver)
            this.#call("onReconnected", this.onReconnected, { resumed: isResumed, unacknowledged });
    }

    #showReconnecting(error) {
        this.#settings.log("info", `reconnecting: ${error.message}`);
        this.#enter("reconnecting");
        this.#call("onReconnecting", this.onReconnecting, error);
    }

    #showEnd(error) {
        const reason = asRtcError(error);
        const started = this.#started;
        this.#carrier = this.#started = null;
        this.#page.detach();
        this.#conversation.end(reason);
        this.#enter("stopped");
        started?.reject(reason);
        this.#call("onClose", this.onClose, reason);
    }
}
