/*
 * When to try again.
 */

export class ReconnectPolicy {
    constructor({ reconnectDelays, reconnectJitter, reconnectPolicy }) {
        this.delays = reconnectDelays;
        this.jitter = reconnectJitter / 100;
        this.decideItself = reconnectPolicy;
    }

    /* Milliseconds, or null: give up. */
    decide(retry) {
        if (this.decideItself) {
            const ms = this.decideItself(retry);
            return typeof ms === "number" && ms >= 0 ? ms : null;
        }
        if (this.delays.length === 0)
            return null;
        const delay = this.delays[Math.min(retry.attempt, this.delays.length - 1)];
        return delay * (1 - Math.random() * this.jitter);
    }
}
