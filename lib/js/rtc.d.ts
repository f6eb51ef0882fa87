/**
 * rtcd-client: a client of rtcd for browsers and Node >= 20. One Client is one connection that survives: it negotiates a
 * transport, falls back to another where one does not get through, notices a dead peer, reconnects, and goes on where it
 * was: every envelope once, in order, in both directions. Times are milliseconds, sizes bytes.
 */

/** "connecting": the first connect is under way. "reconnecting": there was a connection, and there will be one again. */
export type State = "stopped" | "connecting" | "connected" | "reconnecting";

export type TransportName = "websocket" | "sse" | "longpoll" | "shortpoll";
export type ProtocolName = "json" | "msgpack";
export type LogLevel = "error" | "warning" | "info" | "debug" | "off";

/** The first group comes from the server, the second from this client. */
export type ErrorCode =
    | "bad-envelope" | "bad-request" | "too-large" | "unauthorized" | "expired" | "forbidden" | "not-found" | "no-handler"
    | "rate-limited" | "timeout" | "unsupported" | "draining" | "slow-consumer" | "internal"
    /** A call or a builder's property makes no sense; the sentence says which. */
    | "bad-argument"
    /** The client is stopped. */
    | "not-started"
    /** stop() ended it: an intended end. */
    | "stopped"
    /** No such host, a closed port, a connection that broke, silence. */
    | "network"
    /** The server's certificate is not trusted, or for another name. (Browsers do not tell: there it is "network".) */
    | "tls"
    /** What answers there speaks no rtc protocol. */
    | "bad-answer"
    /** More than 100 in one negotiation. */
    | "too-many-redirects"
    /** Every transport was tried and none works. */
    | "no-transport"
    /** As much waits to be sent or acknowledged as the builder's queue allows; nothing was queued. */
    | "queue-full"
    /** The connection could not be resumed; whether the server got this is not known. */
    | "connection-lost"
    /** The reconnect policy wants no more attempts. */
    | "gave-up";

export interface RtcErrorDetails {
    /** The server's name for it (rtc-protocol(7), "Errors and reasons"), or an operator's words. */
    reason?: string;
    /** The HTTP status or the WebSocket close code that it came with. */
    status?: number;
    /** Coming back makes no sense. */
    isFinal?: boolean;
    cause?: unknown;
}

/** What went wrong: a code for programs, a sentence for people. */
export class RtcError extends Error {
    constructor(code: ErrorCode | (string & {}), message: string, details?: RtcErrorDetails);
    /** One of ErrorCode, or what a handler at the server chose. */
    readonly code: ErrorCode | (string & {});
    readonly reason?: string;
    readonly status?: number;
    /** Coming back makes no sense: the client ends rather than to reconnect. */
    readonly isFinal?: boolean;
}

/** Where an event goes. Absent: to the server's handlers. */
export type Target = { exceptSelf?: boolean } & (
    | { group: string } | { user: string } | { connection: string } | { all: true });

/** What came beside an event's data. */
export interface Info {
    eventName: string;
    /** Through which group it came. */
    group?: string;
    /** Its place in that group's history, where one is kept. */
    offset?: number;
    /** That it was published with. */
    key?: string;
    /** Of the sender, where the group shows senders. */
    from?: { connectionId: string; userId?: string | null };
}

/** Binary data is a Uint8Array, in both protocols and both directions. */
export type Handler<Data = any> = (data: Data, info: Info) => void;

export interface Since {
    epoch: string;
    offset: number;
}

export interface JoinOptions {
    /** What followed that place in the group's history comes first. */
    since?: Since;
    /** The last so many of the group's history come first. */
    last?: number;
}

export interface Joined {
    group: string;
    /** Exactly what followed `since` comes; if not, fetch your state anew. */
    recovered: boolean;
    /** For groups that keep history. */
    epoch?: string;
    offset?: number;
    /** Of the first of those that come for `last`. */
    first?: number;
}

export interface SendOptions {
    /** Of the value that is set, in a group that remembers the latest of each; null as data takes it away. */
    key?: string;
}

/** Who is in a group: by connection, or, where users are announced or asked for, by user. */
export interface Member {
    connectionId?: string;
    /** null: anonymous. */
    userId: string | null;
    /** What was attached to it when it connected. */
    info?: unknown;
    /** How many the user has in the group; in the reply to rtc.presence with by: "users". */
    connections?: number;
}

/** The reply to invoke("rtc.presence", { group, by? }). */
export interface Presence {
    group: string;
    by?: "users";
    /** Of connections, or of users; null: too many to be counted. */
    count: number | null;
    /** Of all, by users. */
    connections?: number;
    /** Absent: the group is too large to name them. */
    members?: Member[];
}

/**
 * The data of "rtc.joined" and "rtc.left" of groups that announce presence; their info has `group`. (Without it, "rtc.left" says that this
 * client was taken out of the group data.group, which it does not join again by itself.) Join, ask rtc.presence, and apply what comes behind the reply; ask again after
 * rejoining and after "rtc.gap".
 */
export interface PresenceChange {
    group: string;
    by?: "users";
    /** How many are in the group now. */
    count: number;
    /** Who came, or went. Absent: nobody is named, and names known so far are out of date. */
    members?: Member[];
    /** Names are to be had by asking again. */
    ask?: true;
}

export interface InvokeOptions {
    /** Absent: the server's handlers. */
    to?: Target;
    /** As with sendTo(). */
    key?: string;
    /** Until the reply must have come; 30000. */
    timeout?: number;
}

export interface Reconnected {
    /** The same connection: nothing was lost. Else it is a new one, which joins the same groups again. */
    resumed: boolean;
    /** How many envelopes were sent on the old one and may or may not have arrived. They are not sent again. */
    unacknowledged: number;
}

/** One decision of the reconnect policy. */
export interface Retry {
    /** How many have failed since the connection was lost: 0 for the first. */
    attempt: number;
    /** Since it was lost. */
    elapsedMs: number;
    /** It never was connected. */
    isFirstConnect: boolean;
    /** Why the last one failed, or what was lost. */
    error: RtcError;
}
/** Milliseconds until the next attempt, or null: give up. */
export type ReconnectPolicy = (retry: Retry) => number | null;

export type TokenSource = string | (() => string | null | undefined | Promise<string | null | undefined>);

/** As `console` is. */
export interface LoggerObject {
    error(text: string): void;
    warn(text: string): void;
    info(text: string): void;
    debug(text: string): void;
}
export type Logger = LoggerObject | ((level: Exclude<LogLevel, "off">, text: string) => void);

export interface QueueLimits {
    /** 1024. */
    envelopes?: number;
    /** 1 MiB. */
    bytes?: number;
}

// ---- Codecs of your own ----------------------------------------------------------------------------------------------------

/** How values are written. The server must know `name`: this replaces how it is done, not what is done. */
export interface Codec {
    readonly name: ProtocolName;
    /** Does encode() give bytes (for "msgpack") rather than text (for "json")? */
    readonly isBinary: boolean;
    encode(value: unknown): string | Uint8Array;
    decode(encoded: any): unknown;
}

/** The built-in one. Uint8Arrays (and other views) travel as {"$binary":"<base64>"}. */
export const jsonCodec: Codec;

/** MessagePack by the package @msgpack/msgpack, or anything that has these two functions. */
export function msgpackCodec(library: {
    encode(value: unknown): Uint8Array;
    decode(bytes: Uint8Array): unknown;
}): Codec;

// ---- Transports of your own ------------------------------------------------------------------------------------------------

/** What the client tells a transport, and what a transport tells the client. */
export interface TransportContext {
    /** Where to connect now: ?token= and &received= are in it. */
    readonly url: string;
    /** Where to POST envelopes: …/send?token=…, for transports that only carry downwards. */
    readonly sendUrl: string;
    /** What to DELETE to end the connection on purpose. */
    readonly endUrl: string;
    /** For every request; with Authorization where there is a token. */
    readonly headers: Record<string, string>;
    readonly codec: Codec;
    /** The number of the last envelope that the client has. */
    readonly received: number;
    readonly timeout: number;
    readonly keepAlive: number;
    /** How long a poll may wait for envelopes. */
    readonly pollWait: number;
    readonly maxMessageSize: number;
    /** How long the server remembers a connection that nothing carries. */
    readonly resumeWindow: number;
    readonly fetch: typeof fetch;
    readonly WebSocket: any;
    /**
     * An envelope came, encoded or decoded, numbered or not, in order; `number` where the transport knows it. The first one
     * must be rtc.welcome, unless opened() was called.
     */
    deliver(envelope: unknown, number?: number): void;
    /** The transport works, and the server said so in another way than by rtc.welcome. */
    opened(): void;
    /** A sign of life that is no envelope. */
    heard(): void;
    /** The server has all envelopes up to this number. */
    acknowledged(received: number): void;
    /** isWritable may be true again. */
    writable(): void;
    /** The end. The client then calls close(). */
    failed(error: RtcError): void;
    /**
     * What polls must wait for between two requests: while a better transport is being tried, another request would take the
     * connection back from it.
     */
    untilDecided(): Promise<void> | undefined;
    log(level: Exclude<LogLevel, "off">, text: string): void;
}

/** The interface that the built-in transports use as well. */
export interface Transport {
    /** Begins; answers by what it calls of its context. */
    open(): void;
    /** May send() be called now? */
    readonly isWritable: boolean;
    /** Encoded envelopes with the numbers `first`, `first` + 1 …; first 0: one that is not numbered (an rtc.ack, an rtc.ping). */
    send(first: number, envelopes: (string | Uint8Array)[]): void;
    /** Lets go of everything. onPurpose: the server is to be told that the connection is over. */
    close(onPurpose: boolean): void | Promise<void>;
    /** Looks whether the other side is still there, now. Absent: the client sends rtc.ping. */
    check?(): void;
    /** Settles when no request that carries numbered envelopes is under way; null: none is. For transports that POST. */
    readonly posting?: Promise<void> | null;
    /** Lets go of what comes down; resolves when the request that is under way upwards is over. For transports that POST. */
    drain?(): Promise<void>;
}

export interface TransportClass {
    /** As in the negotiation, or one that the server does not know: then it is always tried, at the builder's URL. */
    readonly transportName: string;
    /** Can it carry a binary codec? */
    readonly carriesBinary: boolean;
    /**
     * Does it ask again and again, each time with a new `url`? Then that acknowledges, and it watches over the server's silence
     * itself. Absent: the client does, with rtc.ack and rtc.ping.
     */
    readonly isPolling?: boolean;
    new (context: TransportContext): Transport;
}

// ---- Builder ---------------------------------------------------------------------------------------------------------------

/** Every property of a client. Setters remember; mistakes are found by build(), as RtcError "bad-argument". */
export class Builder {
    /** http: or https: (ws: and wss: mean the same); the path's default is /rtc. In a page the default is /rtc where the page is from. */
    url(url: string | URL): this;
    /** Best first; websocket, sse, longpoll, shortpoll. */
    transports(...names: string[]): this;
    /** One of your own. Where transports() does not name it, it is the best one. */
    transport(transport: TransportClass): this;
    /** Best first: names of built-in ones, or codecs. "json". */
    protocols(...protocols: (ProtocolName | Codec)[]): this;
    /** A value, or a function that is asked before each negotiation and each reconnect. */
    accessToken(token: TokenSource): this;
    /** ?user=, where the server takes clients' word (connection.claimed-users). */
    user(user: string): this;
    /** With every request. A page's WebSocket and EventSource cannot have any. */
    headers(headers: Record<string, string>): this;
    /** The last repeats; empty: never reconnect. [0, 2000, 10000, 30000] */
    reconnectDelays(delays: readonly number[]): this;
    /** Percent by up to which a delay is shortened; 25. */
    reconnectJitter(percent: number): this;
    /** Decides instead of delays and jitter. */
    reconnectPolicy(policy: ReconnectPolicy): this;
    /** The first connect is tried again as well; off. */
    retryFirst(isOn?: boolean): this;
    /** Silence after which the server is asked whether it is there; 0: as the server says. */
    keepAlive(ms: number): this;
    /** Silence after which a transport is lost, or a negotiation; 0: as the server says, and 15000 for the negotiation. */
    timeout(ms: number): this;
    /** Until a transport must have greeted; 5000. */
    openTimeout(ms: number): this;
    /** How often a better transport is tried while connected by a worse one; 0: never; 30000. */
    upgrade(ms: number): this;
    /** What may wait to be sent or acknowledged. */
    queue(limits: QueueLimits): this;
    /** null: none. console, "warning" */
    logger(logger: Logger | null, level?: LogLevel): this;
    /** Instead of the platform's, for TLS options in Node for instance. */
    fetch(fetch: typeof globalThis.fetch): this;
    /** Instead of the platform's. Node 20 and 21 have none: hand in the one of the package ws. */
    webSocket(constructor: any): this;
    build(): Client;
}

// ---- Client ----------------------------------------------------------------------------------------------------------------

export class Client {
    private constructor();

    readonly state: State;
    readonly connectionId: string | null;
    readonly userId: string | null;
    /** What carries the connection now; null while nothing does. */
    readonly transport: string | null;
    readonly protocol: ProtocolName | null;
    /** Those that it is in, or will be in again. */
    readonly groups: string[];

    onStateChange: ((from: State, to: State) => void) | null;
    /** The connection was lost, not ended: it is being brought back. */
    onReconnecting: ((why: RtcError) => void) | null;
    onReconnected: ((how: Reconnected) => void) | null;
    /** A group was joined again after reconnecting without resuming (`joined`), or refused (`error`: it is forgotten). */
    onRejoined: ((group: string, joined: Joined | null, error: RtcError | null) => void) | null;
    /** Once for each start(). Code "stopped": an intended end. */
    onClose: ((reason: RtcError) => void) | null;

    /** Connects. Rejects with the reason why the first connect failed (all of its attempts, with retryFirst). */
    start(): Promise<void>;
    /** Ends the connection on purpose; whoever waits for a reply gets "stopped". Resolves when the server was told. */
    stop(): Promise<void>;

    /**
     * Handlers of one event are called in the order in which they came. "*": events that have no handler of their own.
     * "rtc.gap" comes in the place of envelopes of a group that drops them for slow clients: {group, lost}.
     * "rtc.joined" and "rtc.left" say who comes and goes, in groups that announce it: a PresenceChange.
     */
    on<Data = any>(eventName: string, handler: Handler<Data>): this;
    /** Takes this handler away, or all of the event. */
    off(eventName: string, handler?: Handler): this;

    /** To the server's handlers. Throws RtcError ("queue-full", "not-started", "bad-argument", "too-large"): it is not sent. */
    send(eventName: string, data?: unknown): void;
    sendTo(target: Target, eventName: string, data?: unknown, options?: SendOptions): void;
    /** Sends and waits for the reply's data; rejects with RtcError, "timeout" for instance. */
    invoke<Reply = any>(eventName: string, data?: unknown, options?: InvokeOptions): Promise<Reply>;

    /** Stays in the group, across reconnects, until leave(). A refused join is forgotten. */
    join(group: string, options?: JoinOptions): Promise<Joined>;
    leave(group: string): Promise<void>;
}

/** What WebSocket close codes mean: the error's code, and whether coming back makes sense. */
export const CLOSE_CODES: Record<number, [ErrorCode, boolean]>;
