/* Uses everything that rtc.d.ts declares; package.test.mjs has it compiled. */
import {
    Builder, CLOSE_CODES, Client, RtcError, jsonCodec, msgpackCodec,
    type Codec, type ErrorCode, type Handler, type Info, type Joined, type Logger, type Member, type Presence, type PresenceChange, type Reconnected,
    type ReconnectPolicy, type Retry, type SendOptions, type Since, type State, type Target, type Transport, type TransportContext,
} from "rtcd-client";
import * as msgpack from "@msgpack/msgpack";

class Pigeon implements Transport {
    static readonly transportName = "pigeon";
    static readonly carriesBinary = false;
    static readonly isPolling = true;
    readonly isWritable: boolean = true;

    constructor(private readonly context: TransportContext) {}

    open(): void {
        const { url, sendUrl, endUrl, headers, codec, received, timeout, keepAlive, pollWait, maxMessageSize, fetch } = this.context;
        void fetch(url, { headers }).then(async (response) => {
            this.context.opened();
            this.context.heard();
            this.context.deliver(codec.decode(await response.text()), received + 1);
            this.context.acknowledged(timeout + keepAlive + pollWait + maxMessageSize);
            await this.context.untilDecided();
        });
        this.context.log("debug", sendUrl + endUrl);
    }

    send(first: number, envelopes: (string | Uint8Array)[]): void {
        if (first + envelopes.length > 9)
            this.context.failed(new RtcError("network", "no pigeons left", { reason: "rain", status: 4000, isFinal: false, cause: null }));
        this.context.writable();
    }

    close(onPurpose: boolean): void {
        void onPurpose;
    }
}

const codec: Codec = { name: "json", isBinary: false, encode: (value) => JSON.stringify(value), decode: (text: string) => JSON.parse(text) };
const policy: ReconnectPolicy = ({ attempt, elapsedMs, isFirstConnect, error }: Retry) =>
    (attempt > 3 || elapsedMs > 60000 || isFirstConnect || error.code === "forbidden" ? null : 1000);
const logger: Logger = (level, text) => { if (level !== "debug") console.log(text); };

const client: Client = new Builder().url(new URL("https://example.org/rtc")).url("https://example.org/rtc")
    .transports("websocket", "sse", "longpoll", "shortpoll", "pigeon").transport(Pigeon)
    .protocols(msgpackCodec(msgpack), codec, jsonCodec, "json")
    .accessToken("token").accessToken(() => null).accessToken(async () => "token")
    .user("me").headers({ "X-Tenant": "1" }).reconnectDelays([0, 2000, 10000, 30000]).reconnectJitter(25).reconnectPolicy(policy)
    .retryFirst().retryFirst(false).keepAlive(15000).timeout(30000).openTimeout(5000).upgrade(30000)
    .queue({ envelopes: 10 }).queue({ bytes: 1000 }).logger(console, "info").logger(logger).logger(null)
    .fetch((...values) => fetch(...values)).webSocket(WebSocket).build();

client.onStateChange = (from: State, to: State) => console.log(from, to);
client.onReconnecting = (why: RtcError) => console.log(why.code, why.message, why.reason, why.status, why.isFinal, why.cause);
client.onReconnected = ({ resumed, unacknowledged }: Reconnected) => console.log(resumed && unacknowledged > 0);
client.onRejoined = (group: string, joined: Joined | null, error: RtcError | null) => console.log(group, joined?.recovered ?? error?.code);
client.onClose = (reason) => { const code: ErrorCode | (string & {}) = reason.code; console.log(code); };
client.onClose = null;

interface Message { text: string }
const onMessage: Handler<Message> = ({ text }, { eventName, group, offset, from }: Info) =>
    console.log(text, eventName, group, offset, from?.connectionId, from?.userId);
client.on<Message>("chat", onMessage).on("*", (data) => console.log(data)).off("chat", onMessage).off("*");

client.on<PresenceChange>("rtc.joined", ({ count, members, ask }, { group }) =>
    console.log(group, count, ask, members?.map(({ connectionId, userId, info }: Member) => [connectionId, userId, info])));

const targets: Target[] = [{ group: "g", exceptSelf: true }, { user: "u" }, { connection: "c" }, { all: true }];
const since: Since = { epoch: "e", offset: 1 };
await client.start();
client.send("event");
client.send("event", { bytes: new Uint8Array(3) });
for (const target of targets)
    client.sendTo(target, "event", 1);
const sum: number = await client.invoke<number>("sum", [1, 2], { to: { user: "u" }, timeout: 1000 });
const joined: Joined = await client.join("g", { since, last: 10 });
await client.join("g");
const here: Presence = await client.invoke<Presence>("rtc.presence", { group: "g", by: "users" });
console.log(here.count ?? here.connections, here.members?.map(({ connections }) => connections));
await client.leave("g");
console.log(sum, joined.group, joined.epoch, joined.offset, client.state, client.connectionId, client.userId, client.transport,
    client.protocol, client.groups.length, CLOSE_CODES[4401]);
await client.stop();
