/*
 * Carrier: from start() to the end, which link carries the connection, when another is tried, and when there is no more point.
 * What is carried is the conversation's; who hears of it is said by `events`.
 */
import { Alarm, now, within } from "./clocks.js";
import { CONTENT_TYPES } from "./codecs.js";
import { endpoint } from "./connection.js";
import { RtcError, asRtcError, isLost, plainUrl } from "./errors.js";
import { request } from "./http.js";
import { CHECK_MS, SHORT_POLL_MAX_MS } from "./limits.js";
import { Link } from "./link.js";
import { Negotiator } from "./negotiator.js";
import { PostingTransport, endConnection, receivedOf } from "./posting.js";
import { ReconnectPolicy } from "./reconnect_policy.js";
import { TRANSPORTS } from "./transports.js";

const STABLE_MS = 5000;                 // a link that lived so long was no failure
const OFFLINE_RETRY_MS = 30000;         // "offline" may be wrong, for a server on this machine for instance
const TAKEN_OVER = 4409;

export class Carrier {
    isOver = false;
    connection = null;          // the one that the conversation goes by
    link = null;                // what carries it
    #isSuspended = false;       // the page is in the back/forward cache
    #replacement = null;        // a connection that the server made instead
    #lastKind = null;           // the transport that carried last
    #failures = 0;              // links lost in a row without progress
    #opening = null;            // a link that is being opened for want of one
    #remains = null;            // settles when no request of an earlier link is under way
    #retry = new Alarm();
    #wake = () => {};
    #upgrade = null;            // the link of a better transport that is being tried
    #upgrading = new Alarm();
    #upgradeMs = 0;
    #decided = null;            // settles when it has worked or failed
    #lossMeanwhile = null;      // why the current link was lost while it was tried
    #movedAt = -Infinity;

    /* events: onMessage, onConnected(isResumed, unacknowledged), onReconnecting(error), onEnd(reason), onWritable, isOffline. */
    constructor(settings, conversation, events) {
        this.settings = settings;
        this.conversation = conversation;
        this.events = events;
        this.policy = new ReconnectPolicy(settings);
    }

    start() {
        this.#connect(null).catch((error) => this.end(asRtcError(error)));
    }

    get #wasConnected() {
        return this.connection !== null;
    }

    flush() {
        if (this.link && !this.#remains)
            this.conversation.flush(this.link);
    }

    /* ---- What a link tells */

    log(level, text) {
        this.settings.log(level, text);
    }

    writable(link) {
        if (link === this.link)
            this.flush();
    }

    acknowledged(link, received) {
        const isKnown = this.conversation.acknowledge(link.connection, received);
        if (isKnown && link === this.link)
            this.events.onWritable();
        return isKnown;
    }

    message(link, message) {
        this.events.onMessage(message);
    }

    /* Why a link that was greeted cannot carry; null: it can. */
    refuses(link, welcome) {
        if (this.isOver)
            return new RtcError("stopped", "the client was stopped meanwhile");
        if (this.connection !== link.connection || !welcome || welcome.received <= this.conversation.lastSent)
            return null;
        this.connection.isGone = true;
        return new RtcError("bad-answer", `${link.name}: the server acknowledges what was never sent`);
    }

    /* A link has been greeted: from here on it carries. */
    opened(link, welcome) {
        const previous = this.link;
        const isSame = this.connection === link.connection;
        if (isSame && welcome)
            this.conversation.acknowledge(link.connection, welcome.received);
        this.#opening = this.#upgrade = this.#lossMeanwhile = this.#replacement = null;
        this.link = link;
        this.#lastKind = link.kind;
        this.conversation.codec = link.codec;
        this.log("info", `connected by ${link.name} with ${link.codec.name}${isSame ? ", resumed" : ""}`);
        const remains = previous ? previous.drain() : this.#remains;
        this.#remains = null;
        if (isSame)
            this.conversation.rewind();
        if (remains && isSame && !(link.transport instanceof PostingTransport))
            this.#remains = remains.then(() => this.#settleCount(link));
        const doubtful = isSame ? 0 : this.#begin(link.connection);
        this.events.onConnected(isSame, doubtful);
        if (this.link === link && link.isOpen)
            this.#planUpgrade();
        this.events.onWritable();
    }

    #begin(connection) {
        if (!this.#wasConnected)
            this.#failures = 0;
        this.connection = connection;
        connection.isOpened = true;
        return this.conversation.begin(connection);
    }

    /*
     * Requests of an earlier link have come to an end. Where envelopes are not numbered in the transport itself, we must know
     * how many the server has before the rest goes out, or some would come twice.
     */
    async #settleCount(link) {
        try {
            const { body, what } = await request(link.fetch, link.sendUrl, { method: "POST", timeout: CHECK_MS, body: "[]",
                headers: { ...link.headers, "Content-Type": CONTENT_TYPES.json } });
            link.acknowledged(receivedOf(body, what));
        } catch (error) {
            this.log("debug", `${error.message}; going on with what rtc.welcome said`);
        }
        if (this.isOver || link !== this.link)
            return;
        this.#remains = null;
        this.conversation.rewind();
        this.flush();
    }

    /* The link that carried the connection is gone. */
    lost(link, error) {
        if (this.isOver || link !== this.link)
            return;
        this.link = null;
        this.#remains = link.remains;
        this.#replacement = link.replacement ?? null;
        if (link.hasMadeProgress || now() - link.openedAt > STABLE_MS)
            this.#failures = 0;
        if (this.#upgrade)
            this.#lossMeanwhile = error;    // a better transport took over on the server's side, perhaps also on ours
        else
            this.#comeBack(error);
    }

    untilDecided(link) {
        return this.#upgrade && link === this.link ? within(this.#decided, SHORT_POLL_MAX_MS) : undefined;
    }

    /* ---- Connecting */

    #comeBack(error) {
        this.#upgrading.clear();
        const wasTakenOver = error.status === TAKEN_OVER && now() - this.#movedAt < STABLE_MS * 2;
        if (isLost(error))
            this.connection.isGone = true;
        if (error.isFinal && !wasTakenOver) {
            this.end(error);
            return;
        }
        this.events.onReconnecting(error);
        if (!this.isOver)
            this.#connect(error).catch((failure) => this.end(asRtcError(failure)));
    }

    /* Until a link carries or there is no more point in trying. */
    async #connect(why) {
        const began = now();
        let error = why;
        for (let attempt = this.#failures; !this.isOver; attempt++) {
            this.#failures = attempt + 1;
            const retry = { attempt, elapsedMs: Math.round(now() - began), isFirstConnect: !this.#wasConnected, error };
            if (error && !await this.#pauseFor(retry))
                return;
            try {
                await this.#attempt();
                return;
            } catch (failure) {
                error = asRtcError(failure);
            }
            if (this.isOver)
                return;
            this.log("info", `not connected: ${error.message}`);
            const isPutAway = this.#isSuspended || error.code === "stopped";
            if (!isPutAway && (error.isFinal || !(this.#wasConnected || this.settings.retryFirst))) {
                this.end(error);
                return;
            }
            if (isPutAway || this.events.isOffline())
                attempt--;      // that was no attempt
        }
    }

    /* Waits as the policy says; false: it is over. */
    async #pauseFor(retry) {
        const ms = this.#isSuspended ? 0 : this.policy.decide(retry);
        if (ms === null)
            this.end(new RtcError("gave-up", `gave up after ${retry.attempt} attempts: ${retry.error.message}`,
                { reason: retry.error.code, cause: retry.error }));
        else
            await this.#pause(Math.max(ms, retry.error.retryAfterMs ?? 0));
        return !this.isOver;
    }

    /* Ends early when the page comes back or goes online; while it is offline, attempts are few. */
    #pause(ms) {
        return new Promise((resolve) => {
            const began = now();
            const arm = (delay) => this.#retry.set(delay, () => {
                if (this.#isSuspended)
                    return;     // resume() wakes
                if (this.events.isOffline() && now() - began < OFFLINE_RETRY_MS)
                    arm(OFFLINE_RETRY_MS - (now() - began));
                else
                    resolve();
            });
            this.#wake = () => {
                this.#retry.clear();
                resolve();
            };
            arm(ms);
        });
    }

    /* Resumes, else begins anew. A token function is asked once more where its first token was refused. */
    async #attempt() {
        for (let hasAskedAgain = false; ; hasAskedAgain = true) {
            try {
                await this.#attemptOnce();
                return;
            } catch (error) {
                if (hasAskedAgain || typeof this.settings.accessToken !== "function" || error.status !== 401)
                    throw error;
            }
        }
    }

    async #attemptOnce() {
        let asked;
        const getToken = () => (asked ??= this.#token());
        const known = this.#replacement ?? this.connection;
        if (known && !known.isGone) {
            const accessToken = known.accessToken ?? await getToken();
            try {
                await this.#openAny(known, accessToken);
                return;
            } catch (error) {
                if (this.isOver || !(isLost(error) || await this.#isForgotten(known, accessToken, error)))
                    throw error;
                known.isGone = true;
                this.#replacement = null;
            }
        }
        const negotiator = new Negotiator(this.settings, this.settings.kinds, (level, text) => this.log(level, text));
        const connection = await negotiator.negotiate(getToken);
        if (!this.isOver)
            await this.#openAny(connection, connection.accessToken ?? await getToken());
    }

    async #token() {
        const { accessToken } = this.settings;
        if (typeof accessToken !== "function")
            return accessToken ?? null;
        try {
            return await accessToken() ?? null;
        } catch (error) {
            throw new RtcError("unauthorized", `the builder's accessToken function failed: ${error?.message ?? error}`,
                { cause: error });
        }
    }

    /* A page is not told why its WebSocket is refused: a request that changes nothing tells. Throws when that is final. */
    async #isForgotten(connection, accessToken, error) {
        if (error.code !== "no-transport" || !connection.isOpened)
            return false;
        if (isLost(error.cause ?? {}))
            return true;
        try {
            await request(this.settings.fetch, endpoint(connection.base, "send", { token: connection.token }), {
                method: "POST", body: "[]", timeout: this.settings.openTimeout,
                headers: { ...this.settings.headers, "Content-Type": CONTENT_TYPES.json,
                    ...accessToken ? { Authorization: `Bearer ${accessToken}` } : {} },
            });
            return false;
        } catch (answer) {
            if (answer.isFinal)
                throw answer;
            return answer.status !== 409 && isLost(answer);     // 409: some WebSocket has it
        }
    }

    /* What both sides can do, best first. */
    #candidates({ offers }) {
        const candidates = [];
        for (const kind of this.settings.kinds) {
            const offer = offers.get(kind.transportName);
            const fits = (codec) => (!codec.isBinary || kind.carriesBinary) && (!offer || offer.protocols.includes(codec.name));
            const codec = this.settings.codecs.find(fits);
            if (codec && (offer || !TRANSPORTS.includes(kind)))
                candidates.push({ kind, codec, path: offer?.path ?? "" });
        }
        return candidates;
    }

    /* The transport that carried last goes first; then as the builder says. */
    async #openAny(connection, accessToken) {
        const candidates = this.#candidates(connection);
        const last = candidates.findIndex(({ kind }) => connection.isOpened && kind === this.#lastKind);
        if (last > 0)
            candidates.unshift(...candidates.splice(last, 1));
        const reasons = [];
        let latest;
        for (const candidate of candidates) {
            const link = this.#opening = new Link(this, this.settings, connection, candidate, accessToken);
            try {
                await link.open(this.settings.openTimeout);
                return;
            } catch (error) {
                this.#opening = null;
                if (this.isOver || error.code === "stopped" || error.isFinal || isLost(error) || connection.isGone)
                    throw error;
                latest = error;
                reasons.push(error.message);
                this.log("warning", error.message);
            }
        }
        throw new RtcError("no-transport", reasons.length ? `no transport works: ${reasons.join("; ")}`
            : `the server at ${plainUrl(connection.base)} offers none of the transports and protocols that the builder names`,
        { cause: latest });
    }

    /* ---- Moving up */

    #planUpgrade() {
        const { upgrade } = this.settings;
        this.#upgrading.clear();
        if (!upgrade || !this.#better().length)
            return;
        this.#upgradeMs = upgrade;
        this.#upgrading.set(upgrade, () => this.#moveUp());
    }

    #better() {
        const candidates = this.#candidates(this.connection);
        return candidates.slice(0, candidates.findIndex(({ kind }) => kind === this.link?.kind));
    }

    async #moveUp() {
        if (this.isOver || !this.link?.isOpen)
            return;
        let decide;
        this.#decided = new Promise((resolve) => { decide = resolve; });
        const { accessToken, connection } = this.link;
        /* A server that has been told of more refuses to resume from less, and the new link may get there late. */
        connection.pinned = connection.received;
        const isMoved = await this.#openBetter(connection, accessToken);
        connection.pinned = null;
        decide();
        if (this.isOver || isMoved)
            return;
        const loss = this.#lossMeanwhile;
        this.#upgrade = this.#lossMeanwhile = null;
        if (loss) {
            this.#comeBack(loss);
            return;
        }
        this.#upgradeMs = Math.min(this.#upgradeMs * 2, this.settings.upgrade * 10);
        this.#upgrading.set(this.#upgradeMs, () => this.#moveUp());
    }

    async #openBetter(connection, accessToken) {
        for (const candidate of this.#better()) {
            const link = this.#upgrade = new Link(this, this.settings, connection, candidate, accessToken);
            try {
                this.#movedAt = now();
                await link.open(this.settings.openTimeout);
                return true;
            } catch (error) {
                this.log("debug", `not moved up: ${error.message}`);
                if (this.isOver || this.#lossMeanwhile)
                    return false;
            }
        }
        return false;
    }

    /* ---- The page */

    /* Into the back/forward cache, which takes no page with an open transport; the connection stays. */
    suspend() {
        this.#isSuspended = true;
        this.#failures = 0;
        this.#upgrade?.close(false);
        this.#opening?.close(false);
        this.link?.failed(new RtcError("network", "the page was put away"));
    }

    resume() {
        this.#isSuspended = false;
        this.#failures = 0;
        this.look();
    }

    /* Time may have passed unseen. */
    look() {
        if (this.#isSuspended)
            return;
        if (this.link)
            this.link.check();
        else if (!this.events.isOffline())
            this.#wake();
    }

    /* ---- The end */

    /* Tells the server that the connection is over. */
    takeLeave() {
        if (this.link)
            return this.link.close(true);
        if (!this.connection || this.connection.isGone)
            return undefined;
        return endConnection({ fetch: this.settings.fetch, headers: this.settings.headers,
            endUrl: endpoint(this.connection.base, "connection", { token: this.connection.token }) });
    }

    end(reason) {
        if (this.isOver)
            return;
        this.isOver = true;
        this.#upgrading.clear();
        this.link?.close(false);
        this.#opening?.close(false);
        this.#upgrade?.close(false);
        this.link = this.#opening = null;
        this.#wake();
        this.events.onEnd(reason);
    }
}
