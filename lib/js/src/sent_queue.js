/*
 * What the server has not acknowledged, by number.
 */
import { byteLength } from "./values.js";

/* One envelope on its way to the server; encoded at once, so that what the caller does with its data later is all the same. */
export class Outgoing {
    constructor(codec, encoded, id, membership) {
        this.codec = codec;
        this.encoded = encoded;
        this.size = byteLength(encoded);
        this.id = id;                       // of the reply that it asks for, or 0
        this.membership = membership;       // "join", "leave" or nothing
    }

    /* Links may differ in their protocols. */
    encodedFor(codec) {
        if (codec !== this.codec) {
            this.encoded = codec.encode(this.codec.decode(this.encoded));
            this.codec = codec;
        }
        return this.encoded;
    }
}

/* What the server has not acknowledged, in order. The first entry has the number `acknowledged` + 1. */
export class SentQueue {
    #entries = [];
    #head = 0;
    #cursor = 0;            // entries from #head on that the link has been given
    #reached = 0;           // the most that any link of this connection was given
    bytes = 0;
    acknowledged = 0;

    get length() {
        return this.#entries.length - this.#head;
    }

    get lastSent() {
        return this.acknowledged + this.#reached;
    }

    get hasUnsent() {
        return this.#cursor < this.length;
    }

    push(entry) {
        this.#entries.push(entry);
        this.bytes += entry.size;
    }

    /* In front of what no link was given yet. */
    insert(entries) {
        this.#entries.splice(this.#head + this.#reached, 0, ...entries);
        for (const entry of entries)
            this.bytes += entry.size;
    }

    /* The next entries for the link, at least one if there is one; `first` is the number of the first. */
    take(countMax, bytesMax) {
        const first = this.acknowledged + this.#cursor + 1;
        const entries = [];
        let bytes = 0;
        while (this.hasUnsent && entries.length < countMax) {
            const entry = this.#entries[this.#head + this.#cursor];
            bytes += entry.size + 1;
            if (entries.length && bytes > bytesMax)
                break;
            entries.push(entry);
            this.#cursor++;
        }
        this.#reached = Math.max(this.#reached, this.#cursor);
        return { first, entries };
    }

    /* false: what was never sent cannot be acknowledged. */
    acknowledge(number) {
        if (number > this.lastSent)
            return false;
        while (this.acknowledged < number) {
            this.bytes -= this.#entries[this.#head].size;
            this.#entries[this.#head++] = null;
            this.acknowledged++;
            this.#cursor = Math.max(0, this.#cursor - 1);
            this.#reached--;
        }
        if (this.#head > 1024 || this.#head === this.#entries.length) {
            this.#entries.splice(0, this.#head);
            this.#head = 0;
        }
        return true;
    }

    /* Another link of the same connection: what is not acknowledged goes out again. */
    rewind() {
        this.#cursor = 0;
    }

    /* Another connection: what was sent may have arrived, so it is dropped, and returned; the rest is numbered anew. */
    restart() {
        const dropped = this.#entries.slice(this.#head, this.#head + this.#reached);
        this.#entries = this.#entries.slice(this.#head + this.#reached);
        this.#head = this.#cursor = this.#reached = this.acknowledged = 0;
        this.bytes = this.#entries.reduce((sum, entry) => sum + entry.size, 0);
        return dropped;
    }

    /* Takes out what no link was given yet and does not pass. */
    removeUnsent(passes) {
        const from = this.#head + this.#reached;
        const unsent = this.#entries.slice(from);
        const kept = unsent.filter(passes), removed = unsent.filter((entry) => !kept.includes(entry));
        if (removed.length)
            this.#entries.splice(from, unsent.length, ...kept);
        for (const entry of removed)
            this.bytes -= entry.size;
        return removed;
    }

    includes(entry) {
        return this.#entries.includes(entry, this.#head);
    }
}
