/*
 * Requests with bounds on their time and size, and what their failures mean.
 */
import { Alarm } from "./clocks.js";
import { CODE_OF_STATUS, FINAL_STATUS, networkError, plainUrl, RtcError } from "./errors.js";
import { KIB } from "./limits.js";
import { isObject } from "./values.js";

export const PROBLEM_BYTES_MAX = 64 * KIB;     // of an answer that is no envelopes

/* A response's body, up to a bound. */
async function readBody(response, bytesMax, what) {
    const tooLarge = () => new RtcError("bad-answer", `${what}: the answer has more than ${bytesMax} bytes`);
    if (!response.body?.getReader) {
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.length > bytesMax)
            throw tooLarge();
        return bytes;
    }
    const reader = response.body.getReader();
    const pieces = [];
    let length = 0;
    for (;;) {
        const { done, value } = await reader.read();
        if (done)
            break;
        length += value.length;
        if (length > bytesMax) {
            reader.cancel().catch(() => {});
            throw tooLarge();
        }
        pieces.push(value);
    }
    if (pieces.length === 1)
        return pieces[0];
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
    }
    return bytes;
}

export const contentType = (response) => (response.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();

/* What an answer that refuses says: application/problem+json where it comes from rtcd. */
export async function refusal(response, what) {
    let problem = {};
    try {
        const body = await readBody(response, PROBLEM_BYTES_MAX, what);
        const value = contentType(response).endsWith("json") ? JSON.parse(new TextDecoder().decode(body)) : {};
        problem = isObject(value) ? value : {};
    } catch { /* the status says enough */ }
    const status = response.status;
    const isKnown = typeof problem.code === "string";       // else a proxy says it, which may let another transport through
    const code = isKnown ? problem.code
        : CODE_OF_STATUS[status] ?? (status >= 500 ? "network" : "bad-answer");
    const word = typeof problem.detail === "string" && problem.detail ? problem.detail : problem.title;
    const error = new RtcError(code, `${what}: refused with status ${status}${typeof word === "string" ? `: ${word}` : ""}`,
        { status, reason: typeof problem.reason === "string" ? problem.reason : undefined, isFinal: isKnown && FINAL_STATUS.has(status) });
    const pause = Number(response.headers.get("retry-after"));
    if (pause > 0)
        error.retryAfterMs = Math.min(pause * 1000, 60000);
    return error;
}

/* A request with a bound on its time and its answer. Throws RtcError; the caller may abort it. */
export async function request(fetch, url, { timeout, bytesMax = PROBLEM_BYTES_MAX, abort = new AbortController(), ...options }) {
    const what = `${options.method ?? "GET"} ${plainUrl(url)}`;
    const alarm = new Alarm();
    const late = new RtcError("network", `${what}: not answered within ${timeout} ms`);
    alarm.setPatient(timeout, () => abort.abort(late));
    try {
        const response = await fetch(url, { cache: "no-store", ...options, signal: abort.signal });
        if (response.status !== 200 && response.status !== 204)
            throw await refusal(response, what);
        const body = response.status === 204 ? new Uint8Array(0) : await readBody(response, bytesMax, what);
        return { status: response.status, type: contentType(response), body, what };
    } catch (error) {
        throw abort.signal.aborted && abort.signal.reason instanceof RtcError ? abort.signal.reason : networkError(error, what);
    } finally {
        alarm.clear();
    }
}
