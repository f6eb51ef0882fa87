/*
 * Connection: what the server remembers of us, and we of it; it outlives its links. Nothing of how it is carried.
 */
import { KIB } from "./limits.js";
import { isWhole } from "./values.js";

/* A URL below the base, with parameters. */
export function endpoint(base, path, parameters) {
    const url = new URL(base);
    if (path)
        url.pathname = path.startsWith("/") ? path : `${url.pathname}/${path}`;
    for (const [name, value] of Object.entries(parameters))
        if (value !== undefined && value !== null)
            url.searchParams.set(name, value);
    return url.href;
}

/* What the server remembers of us, and we of it; it outlives its links. */
export class Connection {
    received = 0;           // number of the last envelope that was handed to the handlers
    told = 0;               // the last one that was acknowledged to the server
    pinned = null;          // while two transports are under way: the number that both of them say was received
    isOpened = false;
    wasGreeted = false;     // by rtc.welcome, on whatever link
    isGone = false;         // the server does not know it any more

    constructor(base, accessToken, offers, facts) {
        this.base = base;
        this.accessToken = accessToken;     // which a redirect gave; null: the builder's
        this.offers = offers;
        this.update(facts);
    }

    update(facts) {
        this.id = facts.connectionId ?? this.id;
        this.token = facts.connectionToken ?? this.token;
        this.userId = facts.userId ?? this.userId ?? null;
        for (const name of LIMITS)
            if (isWhole(facts[name]) && facts[name] > 0)
                this[name] = facts[name];
    }

    /* The server made a new one of it. */
    renewed(facts) {
        const made = new Connection(this.base, this.accessToken, this.offers, { ...this.#limits, ...facts });
        made.wasGreeted = true;
        return made;
    }

    get #limits() {
        return Object.fromEntries(LIMITS.map((name) => [name, this[name]]));
    }

    keepAlive = 15000;
    timeout = 30000;
    maxMessageSize = 64 * KIB;
    resumeWindow = 60000;
}

const LIMITS = ["keepAlive", "timeout", "maxMessageSize", "resumeWindow"];
