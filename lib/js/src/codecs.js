/*
 * How values are written: json, msgpack. The bodies of several envelopes, too.
 */
import { RtcError } from "./errors.js";
import { isObject, isWhole } from "./values.js";

function toBase64(view) {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192)
        text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
}

function fromBase64(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < binary.length; at++)
        bytes[at] = binary.charCodeAt(at);
    return bytes;
}

/* `this` holds the value as it was before its toJSON(), which Node's Buffer has. */
function replaceBinary(key, value) {
    const before = this[key];
    return ArrayBuffer.isView(before) ? { $binary: toBase64(before) } : value;
}

function reviveBinary(key, value) {
    if (!isObject(value) || typeof value.$binary !== "string" || Object.keys(value).length !== 1)
        return value;
    try {
        return fromBase64(value.$binary);
    } catch {
        return value;       // somebody's data, which only looks like it
    }
}

export const jsonCodec = {
    name: "json",
    isBinary: false,
    encode: (value) => JSON.stringify(value, replaceBinary),
    decode: (text) => {
        const string = typeof text === "string" ? text : new TextDecoder().decode(text);
        return string.includes('"$binary"') ? JSON.parse(string, reviveBinary) : JSON.parse(string);
    },
};

export const msgpackCodec = (library) => ({
    name: "msgpack",
    isBinary: true,
    encode: (value) => library.encode(value),
    decode: (bytes) => library.decode(bytes),
});

export const CONTENT_TYPES = { json: "application/json", msgpack: "application/msgpack" };

/* One body of several envelopes that are encoded already. */
export function joinEnvelopes(codec, envelopes) {
    if (!codec.isBinary)
        return `[${envelopes.join(",")}]`;
    const count = envelopes.length;
    const head = count < 16 ? [0x90 | count] : [0xdc, count >> 8, count & 0xff];
    const bytes = new Uint8Array(envelopes.reduce((sum, envelope) => sum + envelope.length, head.length));
    bytes.set(head);
    let at = head.length;
    for (const envelope of envelopes) {
        bytes.set(envelope, at);
        at += envelope.length;
    }
    return bytes;
}

/* What a poll brings: the number of its first envelope, and the envelopes. */
export function decodePoll(codec, body, what) {
    let answer, trouble;
    try {
        answer = codec.decode(body);
    } catch (error) {
        trouble = error;
    }
    /* One envelope that the codec refuses must not cost the others: they are told apart without it. */
    if (trouble && codec.isBinary)
        answer = splitPoll(codec, body);
    if (!isObject(answer) && trouble)
        throw new RtcError("bad-answer", `${what}: the answer is not ${codec.name}: ${trouble.message}`);
    if (!isObject(answer) || !isWhole(answer.first) || !Array.isArray(answer.messages))
        throw new RtcError("bad-answer", `${what}: the answer has no "first" and "messages"`);
    return answer;
}

/* {"first":N,"messages":[...]} as rtcd writes it in MessagePack, each message decoded by itself or, if that fails, as it is. */
function splitPoll(codec, body) {
    const first = msgpackEnd(body, 1 + 6);              // after the map's head and "first"
    const list = first + 9;                             // after "messages"
    const heads = { 0xdc: 3, 0xdd: 5 };
    let at = list + (heads[body[list]] ?? 1);
    const messages = [];
    try {
        while (at < body.length) {
            const end = msgpackEnd(body, at);
            const piece = body.subarray(at, end);
            at = end;
            try {
                messages.push(codec.decode(piece));
            } catch {
                messages.push(piece);                   // the link finds out again, and passes it over
            }
        }
        return { first: codec.decode(body.subarray(7, first)), messages };
    } catch {
        return undefined;
    }
}

/* Where the value at `at` ends. Throws RangeError where it does not. */
function msgpackEnd(bytes, at) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = (width) => (width === 1 ? view.getUint8(at + 1) : width === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1));
    for (let left = 1; left > 0; left--) {
        const head = view.getUint8(at);
        let length = 1, parts = 0;
        if (head >= 0x80 && head <= 0x8f)
            parts = 2 * (head & 15);
        else if (head >= 0x90 && head <= 0x9f)
            parts = head & 15;
        else if (head >= 0xa0 && head <= 0xbf)
            length += head & 31;
        else if (head >= 0xc4 && head <= 0xc6)          // bin
            length += (1 << (head - 0xc4)) + size(1 << (head - 0xc4));
        else if (head >= 0xc7 && head <= 0xc9)          // ext
            length += (1 << (head - 0xc7)) + 1 + size(1 << (head - 0xc7));
        else if (head >= 0xca && head <= 0xd3)          // floats and whole numbers
            length += [4, 8, 1, 2, 4, 8, 1, 2, 4, 8][head - 0xca];
        else if (head >= 0xd4 && head <= 0xd8)          // fixext
            length += 1 + (1 << (head - 0xd4));
        else if (head >= 0xd9 && head <= 0xdb)          // str
            length += (1 << (head - 0xd9)) + size(1 << (head - 0xd9));
        else if (head >= 0xdc) {                        // array, map
            const width = head & 1 ? 4 : 2;
            length += width;
            parts = size(width) * (head >= 0xde && head < 0xe0 ? 2 : 1);
            if (head >= 0xe0) {                         // a negative fixint
                length = 1;
                parts = 0;
            }
        }
        at += length;
        left += parts;
        if (at > bytes.length)
            throw new RangeError("the value is cut short");
    }
    return at;
}
