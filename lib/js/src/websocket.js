/*
 * The transport websocket: one message is one envelope.
 */
import { Alarm, within } from "./clocks.js";
import { CLOSE_CODES, networkError, plainUrl, RtcError } from "./errors.js";
import { PROBLEM_BYTES_MAX, refusal } from "./http.js";
import { FAREWELL_MS, MESSAGE_BYTES_MAX, MIB } from "./limits.js";

const SOCKET_BUFFER_MAX = 1 * MIB, SOCKET_LOOK_MS = 20;

export class WebSocketTransport {
    static transportName = "websocket";
    static carriesBinary = true;

    constructor(context) {
        this.context = context;
        this.trouble = null;        // what the error event said before the close event
        this.alarm = new Alarm();
    }

    open() {
        const { context } = this;
        const url = context.url.replace(/^http/, "ws");
        this.what = `WebSocket ${plainUrl(url)}`;
        try {
            /* Browsers know no third argument; the package ws takes headers and bounds by it. */
            this.socket = new context.WebSocket(url, [`rtc.v1.${context.codec.name}`],
                { headers: context.headers, maxPayload: MESSAGE_BYTES_MAX });
        } catch (error) {
            context.failed(networkError(error, this.what));
            return;
        }
        this.socket.binaryType = "arraybuffer";
        this.socket.onmessage = ({ data }) => this.#take(data);
        this.socket.onerror = (event) => this.#note(event.error ?? event);
        this.socket.on?.("unexpected-response", (request, response) => this.#readRefusal(response));
        this.socket.onclose = ({ code, reason }) => context.failed(this.#whyClosed(code, reason));
    }

    /* The package ws shows why a handshake is refused; browsers tell nobody. */
    async #readRefusal(response) {
        const { statusCode: status, headers } = response;
        let text = "";
        try {
            for await (const piece of response) {
                text += piece;
                if (text.length > PROBLEM_BYTES_MAX)
                    break;
            }
        } catch { /* the status says enough */ }
        const known = Object.entries({ "Content-Type": headers["content-type"], "Retry-After": headers["retry-after"] })
            .filter(([, value]) => value !== undefined);
        const hasBody = status >= 200 && status !== 204 && status !== 205 && status !== 304;
        const answer = status >= 200 && status <= 599 ? new Response(hasBody ? text : null, { status, headers: known }) : null;
        this.context.failed(answer ? await refusal(answer, this.what)
            : new RtcError("bad-answer", `${this.what}: refused with status ${status}`, { status }));
    }

    /* The close event follows. But the package ws, once it refuses what comes, reads on until the other side has closed. */
    #note(error) {
        this.trouble = error;
        if (this.socket.readyState !== 2 || !this.socket.terminate || !error.code?.startsWith("WS_ERR_"))
            return;
        this.context.failed(new RtcError("bad-answer", `${this.what}: ${error.message}`, { cause: error }));
        this.socket.terminate();
    }

    #take(data) {
        const isBinary = typeof data !== "string";
        if (isBinary !== this.context.codec.isBinary)
            this.context.failed(new RtcError("bad-answer", `${this.what}: a ${isBinary ? "binary" : "text"} message came, which ` +
                `${this.context.codec.name} does not have`));
        else
            this.context.deliver(isBinary ? new Uint8Array(data) : data);
    }

    #whyClosed(code, reason) {
        const known = CLOSE_CODES[code];
        if (known)
            return new RtcError(known[0], `${this.what}: closed with ${code}${reason ? `: ${reason}` : ""}`,
                { status: code, isFinal: !known[1] });
        if (this.trouble?.message)
            return networkError(this.trouble, this.what);
        return new RtcError("network", `${this.what}: closed with ${code}${reason ? `: ${reason}` : ""}`, { status: code });
    }

    get isWritable() {
        if (this.socket.bufferedAmount < SOCKET_BUFFER_MAX)
            return true;
        if (!this.alarm.isSet)
            this.alarm.set(SOCKET_LOOK_MS, () => this.context.writable());
        return false;
    }

    send(first, envelopes) {
        for (const envelope of envelopes)
            this.socket.send(envelope);
    }

    /* 1000 ends the connection; any other code only takes its transport away. */
    close(onPurpose) {
        const { socket } = this;
        this.alarm.clear();
        if (!socket)
            return Promise.resolve();
        socket.onmessage = null;
        socket.onerror = () => {};
        const closed = new Promise((resolve) => { socket.onclose = resolve; });
        if (socket.readyState === 3)
            return Promise.resolve();
        socket.close(onPurpose ? 1000 : 4000);
        /* The package ws would wait for a dead peer's answer, and keep the process meanwhile. */
        return within(closed, FAREWELL_MS).then(() => socket.terminate?.());
    }
}
