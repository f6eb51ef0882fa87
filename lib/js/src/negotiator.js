/*
 * Negotiation: POST …/negotiate until an answer is no redirect.
 */
import { Connection, endpoint } from "./connection.js";
import { plainUrl, RtcError } from "./errors.js";
import { request } from "./http.js";
import { MIB } from "./limits.js";
import { isObject } from "./values.js";

const REDIRECTS_MAX = 100;
const NEGOTIATION_MS = 15000;           // where the builder says nothing else

export class Negotiator {
    constructor(settings, kinds, log) {
        this.settings = settings;
        this.kinds = kinds;
        this.log = log;
    }

    async negotiate(getToken) {
        let base = this.settings.url, accessToken = null;
        for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
            const answer = await this.#ask(base, accessToken, getToken);
            if (typeof answer.url !== "string")
                return this.#read(base, accessToken, answer);
            const next = this.#follow(base, answer.url);
            this.log("info", `redirected to ${plainUrl(next)}`);
            /* The builder's token is for the server that the builder names: another one gets what the redirect gives, or none. */
            const isElsewhere = new URL(next).origin !== new URL(this.settings.url).origin;
            accessToken = typeof answer.accessToken === "string" ? answer.accessToken : isElsewhere ? "" : null;
            base = next;
        }
        throw new RtcError("too-many-redirects", `${plainUrl(this.settings.url)} redirects more than ${REDIRECTS_MAX} times; ` +
            "the servers' settings send clients in a circle");
    }

    async #ask(base, accessToken, getToken) {
        const { fetch, timeout, headers, user } = this.settings;
        const token = accessToken ?? await getToken();
        const { body, what } = await request(fetch, endpoint(base, "negotiate", { user }), {
            method: "POST", timeout: timeout || NEGOTIATION_MS, bytesMax: MIB,
            headers: { ...headers, "Content-Type": "application/json", ...token ? { Authorization: `Bearer ${token}` } : {} },
            body: JSON.stringify({ transports: this.kinds.map((kind) => kind.transportName),
                protocols: this.settings.codecs.map((codec) => codec.name) }),
        });
        let answer;
        try {
            answer = JSON.parse(new TextDecoder().decode(body));
        } catch { /* said below */ }
        if (!isObject(answer))
            throw new RtcError("bad-answer", `${what}: the answer is no JSON object; is this the address of rtcd, with its base path?`);
        return answer;
    }

    #follow(base, url) {
        let next;
        try {
            next = new URL(url);
        } catch { /* said below */ }
        if (!next || !/^https?:$/.test(next.protocol))
            throw new RtcError("bad-answer", `${plainUrl(base)} redirects to what is no http or https URL`);
        if (base.startsWith("https:") && next.protocol === "http:")
            throw new RtcError("bad-answer", `${plainUrl(base)} redirects from https to http, which would show the token to everybody`);
        next.pathname = next.pathname.replace(/\/+$/, "");
        return next.href;
    }

    #read(base, accessToken, answer) {
        const bad = (what) => new RtcError("bad-answer", `POST ${plainUrl(base)}/negotiate: the answer ${what}`);
        if (typeof answer.connectionId !== "string" || !answer.connectionId || typeof answer.connectionToken !== "string"
            || !answer.connectionToken)
            throw bad("has no connectionId and connectionToken; is this the address of rtcd, with its base path?");
        if (!Array.isArray(answer.transports))
            throw bad("has no list of transports");
        const offers = new Map();
        for (const offer of answer.transports) {
            if (!isObject(offer) || typeof offer.name !== "string" || typeof offer.path !== "string" || !/^\/(?!\/)/.test(offer.path))
                throw bad("lists a transport without a name and a path");
            offers.set(offer.name, { path: offer.path, protocols: Array.isArray(offer.protocols) ? offer.protocols : ["json"] });
        }
        return new Connection(base, accessToken, offers, answer);
    }
}
