/*
 * The transports longpoll and shortpoll: one request after the other, each of which acknowledges.
 */
import { now } from "./clocks.js";
import { CONTENT_TYPES, decodePoll } from "./codecs.js";
import { RtcError } from "./errors.js";
import { request } from "./http.js";
import { CHECK_MS, MESSAGE_BYTES_MAX, POLL_WAIT_MS, SHORT_POLL_MAX_MS, UNNUMBERED } from "./limits.js";
import { PostingTransport } from "./posting.js";

const SHORT_POLL_MIN_MS = 100;

const CHECK = new RtcError("network", "looking whether the server is there");

class PollingTransport extends PostingTransport {
    static carriesBinary = true;
    static isPolling = true;

    constructor(context, wait) {
        super(context);
        this.wait = wait;
        this.wake = () => {};       // from the pause between two polls
        this.isChecking = false;
        this.highest = 0;           // number of an envelope that came
    }

    open() {
        this.#pollForever();
    }

    /* The first poll returns at once: the transport is to show that it works, and a poll that resumes has no welcome. */
    async #pollForever() {
        try {
            let wait = Math.min(this.wait, 1);
            while (!this.isClosed) {
                const began = now(), before = this.highest;
                await this.#poll(wait);
                const isEmpty = this.highest === before;
                await this.context.untilDecided();
                if (!this.isClosed)
                    await this.pause(isEmpty, now() - began < wait / 2);
                /* A better transport may have been tried since: a poll would take the connection back from it. */
                await this.context.untilDecided();
                wait = this.wait;
            }
        } catch (error) {
            if (!this.isClosed)
                this.context.failed(error);
        }
    }

    async #poll(wait) {
        const { context } = this;
        const abort = new AbortController();
        const onEnd = () => abort.abort();
        this.abort.signal.addEventListener("abort", onEnd);
        this.recheck = () => abort.abort(CHECK);
        try {
            const answer = await request(context.fetch, `${context.url}&wait=${wait}`, {
                timeout: (this.isChecking ? Math.min(context.timeout, CHECK_MS) : context.timeout) + wait, bytesMax: MESSAGE_BYTES_MAX,
                abort, headers: { ...context.headers, Accept: CONTENT_TYPES[context.codec.name] },
            });
            this.isChecking = false;
            context.heard();
            if (answer.status === 204)
                context.opened();
            else
                this.#take(answer);
        } catch (error) {
            if (abort.signal.reason !== CHECK || this.isClosed)
                throw error;
            this.isChecking = true;
            await this.#poll(Math.min(this.wait, 1));
        } finally {
            this.abort.signal.removeEventListener("abort", onEnd);
        }
    }

    #take({ body, what }) {
        const { context } = this;
        const answer = decodePoll(context.codec, body, what);
        if (answer.messages[0]?.eventName !== "rtc.welcome")
            context.opened();
        let number = answer.first;
        this.highest = Math.max(this.highest, number + answer.messages.length - 1);
        for (const message of answer.messages)
            context.deliver(message, UNNUMBERED.has(message?.eventName) ? undefined : number++);
    }

    /* A server that does not wait as it should must not make us poll without end. */
    pause(isEmpty, isEarly) {
        this.earlyCount = isEmpty && isEarly ? (this.earlyCount ?? 0) + 1 : 0;
        return this.earlyCount > 2 ? this.rest(Math.min(this.earlyCount * SHORT_POLL_MIN_MS, SHORT_POLL_MAX_MS)) : undefined;
    }

    /* Who is away for longer than the resume window is forgotten. */
    rest(ms) {
        return new Promise((resolve) => {
            const timer = setTimeout(resolve, Math.min(ms, this.context.resumeWindow / 3));
            this.wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }

    /* Is the other side there? A poll that must be answered soon shows it. */
    check() {
        this.recheck?.();
        this.wake();
    }

    drain() {
        this.wake();
        return super.drain();
    }

    close(onPurpose) {
        this.wake();
        return super.close(onPurpose);
    }
}

export class LongPollTransport extends PollingTransport {
    static transportName = "longpoll";

    constructor(context) {
        super(context, Math.max(1, Math.min(POLL_WAIT_MS, context.pollWait)));
    }
}

export class ShortPollTransport extends PollingTransport {
    static transportName = "shortpoll";

    constructor(context) {
        super(context, 0);
        this.pauseMs = SHORT_POLL_MIN_MS;
    }

    /* Often while something happens, seldom while nothing does. */
    pause(isEmpty) {
        this.pauseMs = isEmpty ? Math.min(this.pauseMs * 2, SHORT_POLL_MAX_MS) : SHORT_POLL_MIN_MS;
        return this.rest(this.pauseMs);
    }

    /* An answer is likely soon. */
    send(first, envelopes) {
        super.send(first, envelopes);
        this.posting?.then(() => {
            this.pauseMs = SHORT_POLL_MIN_MS / 2;
            this.wake();
        });
    }
}
