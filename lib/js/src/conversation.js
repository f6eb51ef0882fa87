/*
 * Conversation: what this client says and is answered: the queue of envelopes, who waits for replies, the groups it is in. It
 * outlives connections, and knows of links only that one takes envelopes.
 */
import { Alarm } from "./clocks.js";
import { RtcError } from "./errors.js";
import { MESSAGE_BYTES_MAX } from "./limits.js";
import { Outgoing, SentQueue } from "./sent_queue.js";
import { isObject, isWhole } from "./values.js";

export const REPLY_MS = 30000;
const SEND_ENVELOPES_MAX = 256;

export class Conversation {
    #queue = new SentQueue();
    #groups = new Map();        // name -> {epoch, offset}: from where on it would have to be joined again
    #replies = new Map();       // id -> who waits
    #lastId = 0;
    #connection = null;         // whose numbers the queue follows

    /* onPush: there is something to send. onRejoined(group, joined, error). */
    constructor(settings, { onPush, onRejoined }) {
        this.settings = settings;
        this.codec = settings.codecs[0];
        this.onPush = onPush;
        this.onRejoined = onRejoined;
    }

    get groups() {
        return [...this.#groups.keys()];
    }

    get lastSent() {
        return this.#queue.lastSent;
    }

    /* ---- Saying */

    /* Into the queue, or throws: then nothing is sent. */
    push(envelope, id = 0, membership = null) {
        const entry = this.#encode(envelope, id, membership);
        const limit = this.#connection?.maxMessageSize ?? MESSAGE_BYTES_MAX;
        if (entry.size > limit)
            throw new RtcError("too-large",
                `${envelope.eventName}: the envelope has ${entry.size} bytes, of which the server takes ${limit}`);
        const { envelopes, bytes } = this.settings.queue;
        if (this.#queue.length + 1 > envelopes || this.#queue.bytes + entry.size > bytes)
            throw new RtcError("queue-full", `${envelope.eventName}: ${this.#queue.length} envelopes (${this.#queue.bytes} bytes) wait ` +
                "to be sent or acknowledged, which is as much as the builder's queue allows; send it again later");
        this.#queue.push(entry);
        this.onPush();
        return entry;
    }

    #encode(envelope, id, membership) {
        const { data = null, ...headers } = envelope;
        try {
            return new Outgoing(this.codec, this.codec.encode({ ...headers, data, ...id ? { id } : {} }), id, membership);
        } catch (error) {
            throw new RtcError("bad-argument",
                `${envelope.eventName}: the data cannot be written as ${this.codec.name}: ${error.message}`, { cause: error });
        }
    }

    ask(envelope, timeout, membership = null) {
        const id = ++this.#lastId;
        const entry = this.push(envelope, id, membership?.kind);
        return new Promise((resolve, reject) => this.#await(id, envelope.eventName, timeout, { resolve, reject, entry, membership,
            connection: this.#connection }));
    }

    #await(id, eventName, timeout, waiting) {
        const alarm = new Alarm();
        this.#replies.set(id, { ...waiting, alarm });
        alarm.setPatient(timeout, () => this.answer(id, null,
            new RtcError("timeout", `${eventName}: no reply within ${timeout} ms`)));
    }

    join(group, { since, last }) {
        const joined = this.ask({ eventName: "rtc.join", data: joinData(group, since, last) }, REPLY_MS,
            { kind: "join", group, since, last });
        if (!this.#groups.has(group))
            this.#groups.set(group, { epoch: since?.epoch, offset: since?.offset });
        return joined;
    }

    async leave(group) {
        const left = this.ask({ eventName: "rtc.leave", data: { group } }, REPLY_MS, { kind: "leave", group });
        this.#groups.delete(group);
        await left;
    }

    /* Hands to the link what it takes now. */
    flush(link) {
        while (link.isOpen && this.#queue.hasUnsent && link.transport.isWritable) {
            const { first, entries } = this.#queue.take(SEND_ENVELOPES_MAX, link.maxMessageSize);
            link.send(first, entries.map((entry) => entry.encodedFor(link.codec)));
        }
    }

    /* false: what was never sent cannot be acknowledged. */
    acknowledge(connection, received) {
        return connection !== this.#connection || this.#queue.acknowledge(received);
    }

    rewind() {
        this.#queue.rewind();
    }

    /* ---- Being answered */

    answer(id, data, error) {
        const waiting = this.#replies.get(id);
        if (!waiting)
            return;
        this.#replies.delete(id);
        waiting.alarm.clear();
        const { membership } = waiting;
        let refused = error;
        if (membership?.kind === "join" && error && error.code !== "timeout" && error.code !== "connection-lost")
            this.#groups.delete(membership.group);
        if (membership?.kind === "join" && !error)
            this.#noteJoined(membership, data);
        if (membership?.kind === "leave" && error?.code === "not-found" && waiting.connection !== this.#connection)
            refused = null;         // the new connection never was in it
        if (refused)
            waiting.reject(refused);
        else
            waiting.resolve(data);
    }

    /* What the reply promises has not come yet. */
    #noteJoined({ group, since }, reply) {
        const place = this.#groups.get(group);
        if (!place || !isObject(reply) || typeof reply.epoch !== "string" || !isWhole(reply.offset))
            return;
        const before = isWhole(reply.first) ? Math.max(0, reply.first - 1) : reply.offset;
        const promised = reply.recovered && since ? since.offset : before;
        place.offset = place.epoch === reply.epoch ? Math.max(place.offset ?? 0, promised) : promised;
        place.epoch = reply.epoch;
    }

    noteOffset(group, offset) {
        const place = this.#groups.get(group);
        if (place && isWhole(offset))
            place.offset = offset;
    }

    /* The server took the client out of it. A join that is under way is a newer wish. */
    noteLeft(group) {
        const isAsked = [...this.#replies.values()].some(({ membership }) => membership?.kind === "join" && membership.group === group);
        if (!isAsked)
            this.#groups.delete(group);
    }

    /* ---- Connections */

    /*
     * A connection begins. What was on its way on an older one may have arrived, so it is not sent again, and who waits for its
     * reply is told so; but the groups are joined again. How many envelopes are in doubt.
     */
    begin(connection) {
        const isFirst = this.#connection === null;
        this.#connection = connection;
        let doubtful = 0;
        if (!isFirst) {
            doubtful = this.#queue.restart().filter((entry) => !entry.membership).length;
            const rejoins = this.#rejoin();
            this.#giveUpReplies(connection);
            this.#queue.insert(rejoins);
        }
        this.#dropTooLarge(connection);
        return doubtful;
    }

    #giveUpReplies(connection) {
        for (const [id, { entry, membership, connection: asked }] of [...this.#replies]) {
            if (asked === connection || this.#queue.includes(entry))
                continue;
            if (membership?.kind === "leave")
                this.answer(id, null, null);
            else
                this.answer(id, null, new RtcError("connection-lost",
                    "the connection could not be resumed; whether the server got this is not known"));
        }
    }

    /* Envelopes that bring the new connection into the old one's groups. */
    #rejoin() {
        const entries = [];
        for (const [group, { epoch, offset }] of this.#groups) {
            const waiting = [...this.#replies].filter(([, { membership }]) =>
                membership?.kind === "join" && membership.group === group);
            if (waiting.some(([, { entry }]) => this.#queue.includes(entry)))
                continue;
            const since = epoch === undefined ? undefined : { epoch, offset };
            const last = since ? undefined : waiting[0]?.[1].membership.last;
            const id = ++this.#lastId;
            const entry = this.#encode({ eventName: "rtc.join", data: joinData(group, since, last) }, id, "join");
            this.#await(id, "rtc.join", REPLY_MS, { entry, connection: this.#connection,
                membership: { kind: "join", group, since, last }, ...this.#takeWaiting(group, waiting) });
            entries.push(entry);
        }
        return entries;
    }

    /* Who waited for a join on the old connection goes on waiting for the one on the new. */
    #takeWaiting(group, waiting) {
        for (const [id, { alarm }] of waiting) {
            alarm.clear();
            this.#replies.delete(id);
        }
        return {
            resolve: (joined) => {
                waiting.forEach(([, { resolve }]) => resolve(joined));
                this.onRejoined(group, joined, null);
            },
            reject: (error) => {
                waiting.forEach(([, { reject }]) => reject(error));
                this.settings.log("warning", `${group} could not be joined again: ${error.message}`);
                this.onRejoined(group, null, error);
            },
        };
    }

    /* What was queued before the server's limit was known. */
    #dropTooLarge({ maxMessageSize }) {
        for (const { size, id } of this.#queue.removeUnsent((entry) => entry.size <= maxMessageSize)) {
            const error = new RtcError("too-large",
                `an envelope of ${size} bytes was queued, of which the server takes ${maxMessageSize}`);
            this.settings.log("error", error.message);
            this.answer(id, null, error);
        }
    }

    /* All is over: who still waits is told, everything is forgotten. */
    end(reason) {
        this.#queue = new SentQueue();
        this.#groups.clear();
        this.#connection = null;
        for (const id of [...this.#replies.keys()])
            this.answer(id, null, reason.code === "stopped" ? reason
                : new RtcError("connection-lost", `the connection ended: ${reason.message}`, { cause: reason }));
    }
}

function joinData(group, since, last) {
    return { group, ...since ? { since } : {}, ...last ? { last } : {} };
}
