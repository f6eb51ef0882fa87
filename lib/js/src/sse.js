/*
 * The transport sse: one event is one envelope, by a fetch that streams, or by an EventSource.
 */
import { networkError, plainUrl, RtcError } from "./errors.js";
import { contentType, refusal } from "./http.js";
import { MESSAGE_BYTES_MAX } from "./limits.js";
import { PostingTransport } from "./posting.js";
import { isWhole } from "./values.js";

/* Text in pieces to events (WHATWG HTML, "Server-sent events"); only what rtcd sends matters: id and data. */
class EventStreamParser {
    #line = [];             // pieces of a line that has not ended
    #lineLength = 0;
    #data = [];
    #id;
    #skipsLineFeed = false;

    constructor(onEvent) {
        this.onEvent = onEvent;
    }

    /* false: an event is larger than it may be. */
    push(text) {
        let start = 0;
        if (this.#skipsLineFeed && text[0] === "\n")
            start = 1;
        if (text.length)
            this.#skipsLineFeed = false;
        for (let at = start; at < text.length; at++) {
            const byte = text.charCodeAt(at);
            if (byte !== 10 && byte !== 13)
                continue;
            this.#line.push(text.slice(start, at));
            this.#take(this.#line.join(""));
            this.#line = [];
            if (byte === 13 && text.charCodeAt(at + 1) === 10)
                at++;
            else if (byte === 13 && at + 1 === text.length)
                this.#skipsLineFeed = true;
            start = at + 1;
            this.#lineLength = 0;
        }
        if (start < text.length)
            this.#line.push(text.slice(start));
        this.#lineLength += text.length - start;
        return this.#lineLength + this.#data.reduce((sum, line) => sum + line.length, 0) <= MESSAGE_BYTES_MAX;
    }

    #take(line) {
        if (line === "") {
            const data = this.#data, id = this.#id;
            this.#data = [];
            this.#id = undefined;
            if (data.length)
                this.onEvent(data.join("\n"), id);
            return;
        }
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
        if (name === "data")
            this.#data.push(value);
        else if (name === "id")
            this.#id = value;
    }
}

export class SseTransport extends PostingTransport {
    static transportName = "sse";
    static carriesBinary = false;

    open() {
        this.what = `GET ${plainUrl(this.context.url)}`;
        /* A fetch that cannot stream would never come to an end. */
        if (typeof ReadableStream === "undefined" && typeof EventSource !== "undefined")
            this.#listen();
        else
            this.#stream();
    }

    async #stream() {
        const { context, what } = this;
        try {
            const response = await context.fetch(context.url, { cache: "no-store", signal: this.abort.signal,
                headers: { ...context.headers, Accept: "text/event-stream" } });
            if (response.status !== 200)
                throw await refusal(response, what);
            if (contentType(response) !== "text/event-stream")
                throw new RtcError("bad-answer", `${what}: the answer is no event stream but "${contentType(response)}"`);
            const parser = new EventStreamParser((data, id) => this.#take(data, id));
            const decoder = new TextDecoder();
            for (const reader = response.body.getReader(); ;) {
                const { done, value } = await reader.read();
                if (done)
                    throw new RtcError("network", `${what}: the event stream ended`);
                context.heard();
                if (!parser.push(decoder.decode(value, { stream: true })))
                    throw new RtcError("bad-answer", `${what}: an event has more than ${MESSAGE_BYTES_MAX} bytes`);
            }
        } catch (error) {
            context.failed(networkError(error, what));
        }
    }

    /* An EventSource knows no headers and no status, and comes back by itself, which is the client's business here. */
    #listen() {
        const source = this.source = new EventSource(this.context.url);
        source.onmessage = ({ data }) => this.context.deliver(data);
        source.onerror = () => this.context.failed(new RtcError("network", `${this.what}: the event stream broke`));
    }

    #take(data, id) {
        const number = id === undefined || id === "" ? undefined : Number(id);
        if (number !== undefined && !isWhole(number))
            this.context.failed(new RtcError("bad-answer", `${this.what}: an event's id is no number`));
        else
            this.context.deliver(data, number);
    }

    drain() {
        this.source?.close();
        return super.drain();
    }

    close(onPurpose) {
        this.source?.close();
        return super.close(onPurpose);
    }
}
