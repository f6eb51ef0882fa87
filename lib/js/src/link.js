/*
 * Link: one attempt of one transport to carry a connection. It counts what comes, acknowledges it, and watches over silence.
 * What comes of it is told to `owner`: refuses, opened, message, acknowledged, writable, lost. To its transport it is the context.
 */
import { Alarm, now, within } from "./clocks.js";
import { endpoint } from "./connection.js";
import { asRtcError, farewell, RtcError } from "./errors.js";
import { CHECK_MS, POLL_WAIT_MS, UNNUMBERED } from "./limits.js";
import { PostingTransport } from "./posting.js";
import { isObject, isWhole } from "./values.js";

const ACK_EVERY_ENVELOPES = 64, ACK_WITHIN_MS = 10000;

export class Link {
    isOpen = false;
    isClosed = false;
    isDraining = false;
    heardAt = now();
    openedAt = 0;
    hasMadeProgress = false;        // a numbered envelope went through, either way
    #askedAt = -1;
    #lostAt = 0;
    #awaited = null;                // what the rtc.pong must say that shows that the server is there
    #lastLook = 0;
    #lateChecks = 0;
    #ended = false;
    #settle = null;
    #opening = new Alarm();
    #watching = new Alarm();
    #acking = new Alarm();

    constructor(owner, settings, connection, candidate, accessToken) {
        this.owner = owner;
        this.settings = settings;
        this.connection = connection;
        this.kind = candidate.kind;
        this.path = candidate.path;
        this.codec = candidate.codec;
        this.accessToken = accessToken;
        this.count = connection.received;       // number of the last envelope that came here
        this.transport = new candidate.kind(this);
    }

    get name() {
        return this.kind.transportName;
    }

    /* Resolves when the server has greeted; the owner has been told by then. */
    open(timeoutMs) {
        return new Promise((resolve, reject) => {
            this.#settle = { resolve, reject };
            this.#opening.setPatient(timeoutMs, () => this.failed(new RtcError("network",
                `${this.name}: no greeting within ${timeoutMs} ms; is there a proxy that holds answers back?`)));
            try {
                this.transport.open();
            } catch (error) {
                this.failed(asRtcError(error));
            }
        });
    }

    send(first, envelopes) {
        this.transport.send(first, envelopes);
    }

    #sendUnnumbered(eventName, data) {
        this.transport.send(0, [this.codec.encode({ eventName, data })]);
    }

    /* Lets go of it. onPurpose: the server is told that the connection is over. */
    close(onPurpose) {
        if (this.#ended)
            return Promise.resolve();
        this.#ended = true;
        this.#release();
        this.#settle?.reject(new RtcError("stopped", `${this.name}: given up`));
        return Promise.resolve(this.transport.close(onPurpose)).catch(() => {});
    }

    /* Lets go of what comes; resolves when what goes up is settled, so that the server's count is certain. */
    drain() {
        if (this.#ended || !this.transport.posting || !this.transport.drain) {
            this.close(false);
            return null;
        }
        this.#ended = this.isDraining = true;
        this.#release();
        return within(this.transport.drain(), CHECK_MS).then(() => {
            this.isDraining = false;
            this.transport.close(false);
        });
    }

    #release() {
        this.isClosed = true;
        this.isOpen = false;
        for (const alarm of [this.#opening, this.#watching, this.#acking])
            alarm.clear();
    }

    /* ---- What transports ask */

    get url() {
        const { user } = this.settings;
        return endpoint(this.connection.base, this.path, { token: this.connection.token, received: this.received, user });
    }

    get sendUrl() {
        return endpoint(this.connection.base, "send", { token: this.connection.token });
    }

    get endUrl() {
        return endpoint(this.connection.base, "connection", { token: this.connection.token });
    }

    get headers() {
        return this.accessToken ? { ...this.settings.headers, Authorization: `Bearer ${this.accessToken}` } : { ...this.settings.headers };
    }

    get received() {
        return this.connection.pinned ?? this.connection.received;
    }

    get timeout() {
        return this.settings.timeout || this.connection.timeout;
    }

    get keepAlive() {
        return Math.min(this.settings.keepAlive || this.connection.keepAlive, this.timeout / 2);
    }

    /* Who wants to notice silence early must not sleep in a poll. */
    get pollWait() {
        return this.settings.keepAlive || POLL_WAIT_MS;
    }

    get maxMessageSize() {
        return this.connection.maxMessageSize;
    }

    get resumeWindow() {
        return this.connection.resumeWindow;
    }

    get fetch() {
        return this.settings.fetch;
    }

    get WebSocket() {
        return this.settings.webSocket;
    }

    untilDecided() {
        return this.owner.untilDecided(this);
    }

    log(level, text) {
        this.owner.log(level, text);
    }

    /* ---- What transports tell */

    heard() {
        this.heardAt = now();
        this.#lateChecks = 0;
    }

    opened() {
        if (this.isOpen || this.isClosed)
            return;
        if (this.connection.wasGreeted)
            this.#greeted(null);
        else
            this.failed(new RtcError("bad-answer", `${this.name}: the first answer has no rtc.welcome`));
    }

    writable() {
        if (this.isOpen)
            this.owner.writable(this);
    }

    acknowledged(received) {
        if (!this.isOpen && !this.isDraining)
            return;
        this.hasMadeProgress = true;
        if (!isWhole(received) || !this.owner.acknowledged(this, received))
            this.failed(new RtcError("bad-answer", `${this.name}: the server acknowledges what was never sent`));
    }

    /* It is over. Whether coming back makes sense is for the owner to say. */
    failed(error) {
        if (this.isClosed)
            return;
        const wasOpen = this.isOpen;
        const settle = this.#settle;
        this.#settle = null;
        const reason = asRtcError(error);
        this.remains = this.transport.posting ?? null;      // it is aborted: this is when nothing more comes of it
        this.close(false);
        if (!wasOpen && this.kind.isPolling && reason.code === "network")
            this.connection.wasGreeted = true;      // perhaps it was, by an answer that got lost; polls are greeted once
        if (wasOpen)
            this.owner.lost(this, reason);
        else
            settle?.reject(reason);
    }

    deliver(encoded, number) {
        if (this.isClosed)
            return;
        this.heard();
        let message;
        try {
            message = typeof encoded === "string" || encoded instanceof Uint8Array ? this.codec.decode(encoded) : encoded;
        } catch (error) {
            this.#passOver(error, number);
            return;
        }
        if (!isObject(message) || typeof message.eventName !== "string") {
            this.failed(new RtcError("bad-answer", `${this.name}: what came is no envelope in ${this.codec.name}`));
        } else if (UNNUMBERED.has(message.eventName)) {
            this.#takeUnnumbered(message.eventName, message.data);
        } else if (!this.isOpen) {
            this.failed(new RtcError("bad-answer", `${this.name}: ${message.eventName} came before rtc.welcome`));
        } else {
            this.#takeNumbered(message, number ?? this.count + 1);
        }
    }

    /* The server sent it to others as well: what cannot be read must not cost the connection, or come again and again. */
    #passOver(error, number = this.count + 1) {
        const word = `what came cannot be read as ${this.codec.name}, and is passed over: ${error.message}`;
        if (!this.isOpen) {
            this.failed(new RtcError("bad-answer", `${this.name}: ${word}`));
            return;
        }
        this.log("error", `${this.name}: ${word}`);
        this.#takeNumbered({ eventName: "rtc.error", data: { code: "bad-envelope", message: word } }, number);
    }

    #takeNumbered(message, number) {
        const { connection } = this;
        this.count = number;
        if (number <= connection.received)
            return;         // an older link brought it
        if (number !== connection.received + 1) {
            this.failed(new RtcError("bad-answer", `${this.name}: envelope ${number} came after ${connection.received}`));
            return;
        }
        connection.received = number;
        this.hasMadeProgress = true;
        if (!this.kind.isPolling) {
            if (connection.received - connection.told >= ACK_EVERY_ENVELOPES)
                this.#acknowledge();
            else if (!this.#acking.isSet)
                this.#acking.set(ACK_WITHIN_MS, () => this.#acknowledge());
        }
        this.owner.message(this, message);
    }

    #takeUnnumbered(eventName, data) {
        if (eventName === "rtc.welcome")
            this.#takeWelcome(data);
        else if (eventName === "rtc.ack")
            this.acknowledged(data?.received);
        else if (eventName === "rtc.pong" && data === this.#awaited)
            this.#awaited = null;
        else if (eventName === "rtc.close")
            this.failed(farewell(this.name, data));
        else if (eventName === "rtc.ping" && this.isOpen && !(this.transport instanceof PostingTransport))
            this.#sendUnnumbered("rtc.pong", data);
    }

    #takeWelcome(data) {
        if (!isObject(data) || typeof data.connectionId !== "string" || typeof data.connectionToken !== "string"
            || !isWhole(data.received)) {
            this.failed(new RtcError("bad-answer", `${this.name}: rtc.welcome says no connectionId, connectionToken and received`));
        } else if (data.connectionId === this.connection.id) {
            this.connection.update(data);
            this.connection.wasGreeted = true;
            if (this.isOpen)
                this.acknowledged(data.received);
            else
                this.#greeted(data);
        } else if (this.isOpen) {
            /* Between two polls the server has forgotten us; what it made instead is taken up by a link of its own. */
            this.replacement = this.connection.renewed(data);
            this.failed(new RtcError("connection-lost", `${this.name}: the server does not know the connection any more`));
        } else {
            this.connection = this.connection.renewed(data);
            this.count = 0;
            this.#greeted(data);
        }
    }

    #greeted(welcome) {
        const problem = this.owner.refuses(this, welcome);
        if (problem) {
            this.failed(problem);
            return;
        }
        this.#opening.clear();
        this.isOpen = true;
        this.openedAt = now();
        const settle = this.#settle;
        this.#settle = null;
        this.heard();
        this.#watch();
        this.owner.opened(this, welcome);
        settle?.resolve();
    }

    #acknowledge() {
        this.#acking.clear();
        if (!this.isOpen || this.connection.pinned !== null || this.connection.told === this.connection.received)
            return;
        this.connection.told = this.connection.received;
        this.#sendUnnumbered("rtc.ack", { received: this.connection.received });
    }

    /* ---- Silence */

    /* Looks at once whether the other side is there. */
    check() {
        if (!this.isOpen)
            return;
        if (this.transport.check) {
            this.transport.check();
            return;
        }
        if (this.kind.isPolling)
            return;
        this.#look();
        this.#watch();
    }

    #ask(patienceMs, data) {
        this.#askedAt = now();
        this.#lostAt = this.#askedAt + patienceMs;
        this.#sendUnnumbered("rtc.ping", data);
    }

    /* Asks in a way that only its own answer answers: what came earlier may still wait to be read. */
    #look() {
        this.#awaited = ++this.#lastLook;
        this.#ask(Math.min(CHECK_MS, this.timeout), this.#awaited);
    }

    /*
     * Silence is not judged before the server was asked. An alarm that comes late tells of our own sleep, not of the server's:
     * then it is asked once more, since what has come meanwhile is read only after this.
     */
    #watch(isLate = false) {
        if (!this.isOpen || this.kind.isPolling)
            return;
        const { timeout, keepAlive } = this;
        const isAsked = () => this.#awaited !== null || this.#askedAt > this.heardAt;
        const lostAt = () => (this.#awaited === null ? this.#lostAt : Math.max(this.#lostAt, this.heardAt + Math.min(CHECK_MS, timeout)));
        const silence = now() - this.heardAt;
        if (isAsked() && now() >= lostAt() && isLate && this.#lateChecks++ < 2)
            this.#look();
        else if (!isAsked() && silence >= keepAlive)
            this.#ask(Math.max(timeout - silence, Math.min(CHECK_MS, timeout - keepAlive)), null);
        if (isAsked() && now() >= lostAt()) {
            this.failed(new RtcError("network", `${this.name}: nothing was heard for ${Math.round(silence)} ms`));
            return;
        }
        const next = isAsked() ? Math.min(lostAt(), now() + keepAlive) : this.heardAt + keepAlive;
        this.#watching.set(next - now() + 1, (late) => this.#watch(late));
    }
}
