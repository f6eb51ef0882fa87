/*
 * What sse and polling share: envelopes go up by POST.
 */
import { now, sleep, within } from "./clocks.js";
import { CONTENT_TYPES, joinEnvelopes } from "./codecs.js";
import { RtcError } from "./errors.js";
import { request } from "./http.js";
import { CHECK_MS, FAREWELL_MS } from "./limits.js";
import { isWhole } from "./values.js";

const POST_RETRY_MS = [100, 300, 1000];

/* What sse and polling share: envelopes go up by POST, one request at a time. */
export class PostingTransport {
    constructor(context) {
        this.context = context;
        this.abort = new AbortController();     // of what comes down
        this.batch = null;                      // numbered envelopes under way
        this.extras = [];                       // unnumbered ones
        this.posting = null;                    // settles when nothing is under way
        this.isClosed = false;
    }

    get isWritable() {
        return this.posting === null;
    }

    send(first, envelopes) {
        if (first === 0)
            this.extras.push(...envelopes);
        else
            this.batch = { first, envelopes };
        this.posting ??= this.#postAll();
    }

    async #postAll() {
        try {
            while (!this.isClosed && (this.batch || this.extras.length)) {
                const { batch, extras } = this;
                this.extras = [];
                await this.#postWhileItFails(batch, extras);
                this.batch = null;
            }
        } catch (error) {
            this.context.failed(error);
        } finally {
            this.posting = null;
        }
        this.context.writable();
    }

    /* The same `first` is not taken twice, so a request may be tried again. 409: a WebSocket that is being tried has the connection,
     * and brings what was not taken; or it fails, and gives the connection back. */
    async #postWhileItFails(batch, extras) {
        const { context } = this;
        const until = now() + context.timeout;
        for (let failures = 0; ; failures++) {
            try {
                context.acknowledged(await this.#post(batch, extras));
                return;
            } catch (error) {
                const isOvertaken = error.status === 409;
                if (isOvertaken)
                    await context.untilDecided();
                const isBusy = error.status === 429 || error.status === 503 || isOvertaken;
                const pause = isBusy && !isOvertaken ? error.retryAfterMs ?? 1000 : POST_RETRY_MS[failures];
                if (this.isClosed || (error.code !== "network" && !isBusy) || pause === undefined || now() + pause > until)
                    throw isOvertaken ? new RtcError("network", error.message) : error;     // to be resumed, not lost
                context.log("debug", `${error.message}; trying again`);
                await sleep(pause);
                if (this.isClosed)
                    throw error;
            }
        }
    }

    async #post(batch, extras) {
        const { context } = this;
        const url = batch ? `${context.sendUrl}&first=${batch.first}` : context.sendUrl;
        const { body, what } = await request(context.fetch, url, {
            method: "POST", timeout: Math.min(context.timeout, CHECK_MS * 2), abort: this.postAbort = new AbortController(),
            headers: { ...context.headers, "Content-Type": CONTENT_TYPES[context.codec.name] },
            body: joinEnvelopes(context.codec, [...batch?.envelopes ?? [], ...extras]),
        });
        context.heard();
        return receivedOf(body, what);
    }

    /* Ends what comes down, and what goes up once the request that is under way is over. */
    async drain() {
        this.isClosed = true;
        this.abort.abort();
        await this.posting;
    }

    async close(onPurpose) {
        this.isClosed = true;
        this.abort.abort();
        if (!onPurpose) {
            this.postAbort?.abort();
            return;
        }
        if (this.posting)
            await within(this.posting, FAREWELL_MS);
        await endConnection(this.context);
    }
}

/* The M of {"received":M}. */
export function receivedOf(body, what) {
    try {
        const { received } = JSON.parse(new TextDecoder().decode(body));
        if (isWhole(received))
            return received;
    } catch { /* said below */ }
    throw new RtcError("bad-answer", `${what}: the answer does not say how many envelopes were received`);
}

/* keepalive: the request may outlive the page. */
export async function endConnection({ fetch, endUrl, headers }) {
    try {
        await request(fetch, endUrl, { method: "DELETE", headers, timeout: FAREWELL_MS, keepalive: true });
    } catch { /* then the server finds out by itself */ }
}
