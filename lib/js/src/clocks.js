/*
 * Time: waiting, and timers that know when they came late. It knows nothing of what they are for.
 */

const LATE_MS = 1000;                   // a timer that comes later than this says nothing about the network
export const GRACE_MS = 500;            // for what waits to be read after a timer came late
const TIMER_MAX_MS = 0x7fffffff;

export const now = () => performance.now();
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Waits, but no longer than that. */
export function within(promise, ms) {
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(resolve, ms); });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/*
 * A timer that compares clocks. Hidden pages get their timers late, and frozen ones before what waits to be read: so who is
 * told that it is late must look before it judges.
 */
export class Alarm {
    #timer = null;

    set(ms, onDue) {
        this.clear();
        const due = now() + ms;
        this.#timer = setTimeout(() => {
            this.#timer = null;
            onDue(now() - due > LATE_MS);
        }, Math.min(Math.max(ms, 0), TIMER_MAX_MS));
    }

    /* Like set(), but one that comes late lets what waits be read first. */
    setPatient(ms, onDue) {
        this.set(ms, (isLate) => (isLate ? this.set(GRACE_MS, onDue) : onDue()));
    }

    get isSet() {
        return this.#timer !== null;
    }

    clear() {
        clearTimeout(this.#timer);
        this.#timer = null;
    }
}
