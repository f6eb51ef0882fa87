/*
 * The line: what the playground's client sends and receives goes through here, so that it can be cut, or kept from coming back.
 * The client knows nothing of it: it is handed a fetch and a WebSocket of ours (Builder.fetch, Builder.webSocket).
 */

const sockets = new Set();
let requests = new AbortController();
let downwards = 0;              // requests that bring envelopes and are under way
let isNextDoomed = false;       // the line was cut between two polls
let isOffline = false;

const isDownwards = ({ method = "GET" }) => method === "GET";
const cutError = () => new TypeError("the line was cut");
const offlineError = () => new TypeError("this page is offline, by its own button");

/* A socket that breaks as one does whose cable was pulled: whoever listens hears of the end at once, without a farewell. */
class Socket extends WebSocket {
    constructor(url, protocols) {
        if (isOffline)
            throw offlineError();
        super(url, protocols);
        sockets.add(this);
        this.addEventListener("close", () => sockets.delete(this));
    }

    break() {
        const { onclose } = this;
        this.onmessage = this.onerror = this.onclose = null;
        sockets.delete(this);
        /* The server must not take this for an intended end, which is 1000. */
        this.close(4000, "cut");
        onclose?.call(this, new CloseEvent("close", { code: 1006 }));
    }
}

export const line = {
    WebSocket: Socket,

    async fetch(url, options = {}) {
        if (isOffline)
            throw offlineError();
        if (isNextDoomed && isDownwards(options)) {
            isNextDoomed = false;
            throw cutError();
        }
        const signal = options.signal ? AbortSignal.any([options.signal, requests.signal]) : requests.signal;
        const count = isDownwards(options) ? 1 : 0;
        downwards += count;
        let isStream = false;
        try {
            const response = await fetch(url, { ...options, signal });
            isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
            if (isStream)       // it is under way until somebody ends it
                signal.addEventListener("abort", () => { downwards--; });
            return response;
        } finally {
            if (!isStream)
                downwards -= count;
        }
    },

    /* Whatever is under way breaks, or the next poll if none is; what comes after it works. */
    cut() {
        const old = requests;
        requests = new AbortController();
        isNextDoomed = downwards === 0 && sockets.size === 0;
        old.abort(cutError());
        for (const socket of [...sockets])
            socket.break();
    },

    get isOffline() {
        return isOffline;
    },

    set isOffline(value) {
        isOffline = value;
        if (isOffline)
            this.cut();
        isNextDoomed = false;
        /* The client listens to what browsers say when a network comes and goes. */
        dispatchEvent(new Event(isOffline ? "offline" : "online"));
    },
};
