/*
 * What a value is, and whether a caller's makes sense.
 */
import { RtcError } from "./errors.js";

const encoder = new TextEncoder();

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
export const isWhole = (value) => Number.isSafeInteger(value) && value >= 0;
export const byteLength = (encoded) => (typeof encoded === "string" ? encoder.encode(encoded).length : encoded.byteLength);

export function checkText(what, text, bytesMax) {
    if (typeof text !== "string" || text === "" || byteLength(text) > bytesMax || /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text))
        throw new RtcError("bad-argument", `${what} must have 1 to ${bytesMax} bytes without control characters`);
}

export function checkedKey(key) {
    if (key === undefined)
        return {};
    checkText("the key", key, 128);
    return { key };
}

export function checkedTarget(target) {
    const kinds = isObject(target) ? ["group", "user", "connection", "all"].filter((kind) => kind in target) : [];
    if (kinds.length !== 1)
        throw new RtcError("bad-argument", "a target is one of {group}, {user}, {connection}, {all: true}, with or without exceptSelf");
    const [kind] = kinds;
    if (kind !== "all")
        checkText(`the target's ${kind}`, target[kind], 255);
    return { [kind]: kind === "all" ? true : target[kind], ...target.exceptSelf ? { exceptSelf: true } : {} };
}
