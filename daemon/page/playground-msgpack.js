/*
 * MessagePack in as few lines as the playground needs, so that it works without any other server; also an example of what
 * msgpackCodec() takes. Programs use the package @msgpack/msgpack.
 *
 * Values are those of JSON and Uint8Array. What comes may also have integers beyond 2^53, which become BigInt, and extension
 * types, which become {$ext: [type, bytes]}.
 */

class Writer {
    #bytes = new Uint8Array(256);
    #view = new DataView(this.#bytes.buffer);
    #length = 0;

    /* Room for `count` bytes more; where they begin. */
    #room(count) {
        const at = this.#length;
        this.#length += count;
        if (this.#length > this.#bytes.length) {
            const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
            larger.set(this.#bytes);
            this.#bytes = larger;
            this.#view = new DataView(larger.buffer);
        }
        return at;
    }

    byte(value) {
        const at = this.#room(1);       // may replace the view
        this.#view.setUint8(at, value);
    }

    number(head, method, width, value) {
        this.byte(head);
        const at = this.#room(width);
        this.#view[method](at, value);
    }

    bytes(bytes) {
        const at = this.#room(bytes.length);
        this.#bytes.set(bytes, at);
    }

    /* A count in the shortest of the forms that a type has: `fixed` with up to `fixedMax` in its low bits, then 8, 16, 32 bits. */
    count(count, fixed, fixedMax, head8, head16) {
        if (count <= fixedMax)
            this.byte(fixed | count);
        else if (head8 && count < 0x100)
            this.number(head8, "setUint8", 1, count);
        else if (count < 0x10000)
            this.number(head16, "setUint16", 2, count);
        else
            this.number(head16 + 1, "setUint32", 4, count);
    }

    value(value) {
        if (value === null || value === undefined) {
            this.byte(0xc0);
        } else if (typeof value === "boolean") {
            this.byte(value ? 0xc3 : 0xc2);
        } else if (typeof value === "number") {
            this.#numeric(value);
        } else if (typeof value === "string") {
            const text = new TextEncoder().encode(value);
            this.count(text.length, 0xa0, 31, 0xd9, 0xda);
            this.bytes(text);
        } else if (value instanceof Uint8Array) {
            this.count(value.length, 0, -1, 0xc4, 0xc5);
            this.bytes(value);
        } else if (Array.isArray(value)) {
            this.count(value.length, 0x90, 15, 0, 0xdc);
            value.forEach((item) => this.value(item));
        } else {
            const members = Object.entries(value).filter(([, member]) => member !== undefined);
            this.count(members.length, 0x80, 15, 0, 0xde);
            members.flat().forEach((item) => this.value(item));
        }
    }

    #numeric(value) {
        if (!Number.isSafeInteger(value) || Object.is(value, -0))
            this.number(0xcb, "setFloat64", 8, value);
        else if (value >= -32 && value < 128)
            this.byte(value & 0xff);
        else if (value >= -0x80000000 && value < 0x80000000)
            this.number(0xd2, "setInt32", 4, value);
        else
            this.number(0xd3, "setBigInt64", 8, BigInt(value));
    }

    get result() {
        return this.#bytes.slice(0, this.#length);
    }
}

class Reader {
    #at = 0;

    constructor(bytes) {
        this.bytes = bytes;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    number(method, width) {
        const at = this.#at;
        this.#at += width;
        const value = this.view[method](at);
        return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }

    slice(length) {
        const at = this.#at;
        this.#at += length;
        if (this.#at > this.bytes.length)
            throw new RangeError("the bytes end too early");
        return this.bytes.slice(at, this.#at);
    }

    text = (length) => new TextDecoder("utf-8", { fatal: true }).decode(this.slice(length));
    array = (length) => Array.from({ length: this.#counted(length) }, () => this.value());
    map = (length) => Object.fromEntries(Array.from({ length: this.#counted(length) }, () => [this.value(), this.value()]));

    /* Each has at least one byte: a count beyond what is there is a lie, and nothing is allocated for it. */
    #counted(count) {
        if (count > this.bytes.length - this.#at)
            throw new RangeError("a count is larger than what follows");
        return count;
    }

    extension = (length) => ({ $ext: [this.number("getInt8", 1), this.slice(length)] });

    value() {
        const head = this.number("getUint8", 1);
        if (head < 0x80 || head >= 0xe0)
            return head < 0x80 ? head : head - 0x100;
        if (head < 0xc0)
            return head < 0x90 ? this.map(head & 15) : head < 0xa0 ? this.array(head & 15) : this.text(head & 31);
        if (head === 0xc1)
            throw new RangeError("0xc1 is no MessagePack");
        return READERS[head - 0xc0](this);
    }
}

const counted = (what) => [["getUint8", 1], ["getUint16", 2], ["getUint32", 4]].map(([method, width]) =>
    (reader) => reader[what](reader.number(method, width)));
const numbers = (...kinds) => kinds.map(([method, width]) => (reader) => reader.number(method, width));

/* By their first byte, from 0xc0 on. */
const READERS = [
    () => null, () => null, () => false, () => true, ...counted("slice"), ...counted("extension"),
    ...numbers(["getFloat32", 4], ["getFloat64", 8], ["getUint8", 1], ["getUint16", 2], ["getUint32", 4], ["getBigUint64", 8],
        ["getInt8", 1], ["getInt16", 2], ["getInt32", 4], ["getBigInt64", 8]),
    ...[1, 2, 4, 8, 16].map((length) => (reader) => reader.extension(length)),
    ...counted("text"), ...counted("array").slice(1), ...counted("map").slice(1),
];

export const msgpack = {
    encode(value) {
        const writer = new Writer();
        writer.value(value);
        return writer.result;
    },

    decode: (bytes) => new Reader(bytes).value(),
};
