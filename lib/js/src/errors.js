/*
 * Errors: a code for programs, a sentence for people; and what the words of servers, sockets and platforms mean.
 */

export class RtcError extends Error {
    constructor(code, message, { reason, status, isFinal, cause } = {}) {
        super(message, cause === undefined ? undefined : { cause });
        this.name = "RtcError";
        this.code = code;
        if (reason !== undefined)
            this.reason = reason;
        if (status !== undefined)
            this.status = status;
        if (isFinal)
            this.isFinal = true;
    }
}

export const asRtcError = (error) => (error instanceof RtcError ? error
    : new RtcError("internal", `the client failed: ${error?.message ?? error}; this is a mistake in rtc.js`, { cause: error }));

/* For sentences: tokens are in the query. */
export const plainUrl = (url) => String(url).replace(/[?#].*$/, "");

export const CODE_OF_STATUS = { 401: "unauthorized", 403: "forbidden", 404: "not-found", 406: "no-transport", 408: "timeout",
    413: "too-large", 429: "rate-limited", 503: "draining" };
export const FINAL_STATUS = new Set([401, 403, 406, 413]);

/* What the close codes of rtc-protocol(7) mean where no rtc.close came before; other codes: the network. */
export const CLOSE_CODES = {
    1001: ["draining", true], 1002: ["bad-request", false], 1003: ["unsupported", false], 1007: ["bad-envelope", false],
    1008: ["forbidden", false], 1009: ["too-large", false], 1011: ["internal", true],
    4401: ["unauthorized", false], 4404: ["not-found", true], 4408: ["timeout", true], 4409: ["unsupported", false],
    4413: ["slow-consumer", true], 4429: ["rate-limited", true], 4503: ["draining", true],
};

/* rtc.close gives a reason, not a code; those that have one of their own. */
const CODE_OF_REASON = { "shutdown": "draining", "draining": "draining", "timeout": "timeout", "slow-consumer": "slow-consumer",
    "bad-envelope": "bad-envelope", "bad-frame": "bad-envelope", "bad-utf8": "bad-envelope", "bad-ack": "bad-envelope",
    "too-large": "too-large", "too-many-fragments": "too-large", "unauthorized": "unauthorized", "expired": "expired",
    "rate-limited": "rate-limited", "internal": "internal", "bad-data-type": "unsupported", "taken-over": "unsupported",
    "resume-expired": "timeout", "never-opened": "timeout", "unknown-token": "not-found" };

const TLS_TROUBLE = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)/;

/* Why a request or a socket failed, in the words of whoever knows. */
export function networkError(error, what) {
    if (error instanceof RtcError)
        return error;
    const cause = error?.cause ?? error;
    const inner = cause?.errors?.[0] ?? cause;
    const word = inner?.message || inner?.code || error?.message || String(error);
    if (TLS_TROUBLE.test(inner?.code ?? ""))
        return new RtcError("tls", `${what}: the server's certificate is refused: ${word}`, { cause: error });
    return new RtcError("network", `${what}: ${word}`, { cause: error });
}

/* rtc.close says whether coming back makes sense. */
export function farewell(name, data) {
    const reason = typeof data?.reason === "string" ? data.reason : "no reason given";
    return new RtcError(CODE_OF_REASON[reason] ?? "forbidden", `${name}: the server closed the connection: ${reason}`,
        { reason, isFinal: data?.reconnect === false });
}

/* Has the server forgotten the connection? */
export const isLost = (error) => error.code === "connection-lost" || error.status === 4404 || error.reason === "unknown-token"
    || error.reason === "bad-request" || error.status === 409;
