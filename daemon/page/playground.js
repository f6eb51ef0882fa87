/*
 * The playground: a page that is one client of rtcd, and shows what the client does. It uses what every program may use:
 * rtc.js as the daemon serves it.
 *
 *   settings     what the form says, and the address: ?user= &transport= &protocol= &group= &connect
 *   client       its life: connect, stop, what happened
 *   groups       join and leave
 *   sending      the form, the numbered stream
 *   envelopes    the list of what arrived
 *   line         faults, round-trip time, rates
 */
import { line } from "./playground-line.js";
import { msgpack } from "./playground-msgpack.js";
import { Plot } from "./playground-plot.js";

const ROWS_MAX = 200, WAITING_MAX = 1000, HISTORY_MAX = 100, DATA_CHARACTERS_MAX = 4000;
const TICK_MS = 1000, PING_PATIENCE_MS = 10000;
const STREAM_EVENT = "playground.stream", STREAM_MS = 50;
const TRANSPORTS = { websocket: "WebSocket", sse: "server-sent events", longpoll: "long polling", shortpoll: "short polling" };
const PROTOCOLS = { json: "JSON", msgpack: "MessagePack" };

const $ = (id) => document.getElementById(id);
const base = new URL(document.querySelector('meta[name="rtc-base"]').content, document.baseURI).href;

/* An element with properties and children. */
function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
}

function setText(id, text) {
    if ($(id).textContent !== text)
        $(id).textContent = text;
}

function say(id, text, isError = false) {
    setText(id, text);
    $(id).classList.toggle("error", isError);
}

const explain = (error) => `${error.code ? `${error.code}: ` : ""}${error.message}`;
const clock = (at) => new Date(at - new Date(at).getTimezoneOffset() * 60000).toISOString().slice(11, 23);

let rtc;                    // the module rtc.js
let client = null;          // since Connect, until Stop
const plot = new Plot($("plot"));

// ---- Settings ---------------------------------------------------------------------------------------------------------------

function readAddress() {
    const query = new URLSearchParams(location.search);
    for (const name of ["user", "transport", "protocol", "group"])
        if (query.has(name))
            $(name).value = query.get(name);
    for (const name of ["transport", "protocol"])       // a word that is none of the choices
        $(name).selectedIndex = Math.max(0, $(name).selectedIndex);
    $("target").value = $("group").value;
    return query.has("connect");
}

function updateSecondTab() {
    const query = new URLSearchParams({ connect: "" });
    for (const name of ["user", "transport", "protocol", "group"])
        if ($(name).value)
            query.set(name, $(name).value);
    $("second-tab").href = `?${query}`;
}

/* While the page itself keeps the line down, each failure says only that. */
function log(level, text) {
    if (!line.isOffline)
        note(level, text);
}

function buildClient() {
    const builder = new rtc.Builder().url(base).fetch(line.fetch).webSocket(line.WebSocket)
        .logger(log, "warning");
    if ($("transport").value)
        builder.transports($("transport").value);
    /* Where a transport carries no bytes, JSON takes its place. */
    if ($("protocol").value === "msgpack")
        builder.protocols(rtc.msgpackCodec(msgpack), "json");
    if ($("user").value)
        builder.user($("user").value);
    if ($("token").value)
        builder.accessToken($("token").value);
    return builder.build();
}

// ---- Client -----------------------------------------------------------------------------------------------------------------

function note(kind, text) {
    const now = Date.now();
    const item = make("li", {}, make("time", { dateTime: new Date(now).toISOString(), textContent: clock(now) }), ` ${text}`);
    item.dataset.kind = kind;
    $("history").prepend(item);
    while ($("history").childElementCount > HISTORY_MAX)
        $("history").lastElementChild.remove();
}

const carriedBy = () => [TRANSPORTS[client.transport] ?? client.transport, PROTOCOLS[client.protocol] ?? client.protocol]
    .filter(Boolean).join(", ");

let shownTransport = null;

function showClient() {
    const state = client?.state ?? "stopped";
    const isConnected = state === "connected";
    setText("status", isConnected ? `connected: ${carriedBy()}` : state);
    $("status").dataset.state = state;
    setText("connect", client ? (state === "connecting" ? "Give up" : "Stop") : "Connect");
    $("settings").disabled = client !== null;
    $("cut").disabled = $("stream").disabled = client === null;
    setText("fact-connection", client?.connectionId ?? "none");
    setText("fact-transport", client ? TRANSPORTS[client.transport] ?? client.transport ?? "none" : "none");
    setText("fact-protocol", client ? PROTOCOLS[client.protocol] ?? "none" : "none");
    setText("fact-user", client?.userId ?? "none");
    if (isConnected && shownTransport && client.transport && shownTransport !== client.transport)
        note("info", `moved from ${TRANSPORTS[shownTransport]} to ${TRANSPORTS[client.transport] ?? client.transport}`);
    shownTransport = isConnected ? client.transport ?? shownTransport : shownTransport;
    showGroups();
}

function onEnd(ended, reason) {
    if (client !== ended)
        return;
    const isIntended = reason.code === "stopped";
    note(isIntended ? "info" : "error", isIntended ? "stopped" : `closed: ${explain(reason)}`);
    setText("connect-result", isIntended ? "" : explain(reason));
    stopStream();
    client = null;
    shownTransport = null;
    plot.state("stopped");
    showClient();
}

async function connect() {
    let mine;
    try {
        mine = client = buildClient();
    } catch (error) {
        setText("connect-result", explain(error));
        return;
    }
    setText("connect-result", "");
    mine.onStateChange = (from, to) => {
        plot.state(to);
        showClient();
    };
    mine.onReconnecting = (why) => note("warning", `lost: ${explain(why)}`);
    mine.onReconnected = ({ resumed, unacknowledged }) => note(resumed ? "good" : "warning", resumed
        ? `resumed by ${carriedBy()}: nothing lost, nothing doubled`
        : `a new connection by ${carriedBy()}: ${unacknowledged} envelopes may or may not have arrived`);
    mine.onRejoined = (group, joined, error) => note(error ? "error" : "info", `${group}: ${error ? explain(error) : "joined again"}`);
    mine.onClose = (reason) => onEnd(mine, reason);
    mine.on("*", (data, info) => arrived(data, info));
    mine.on("rtc.error", (data, info) => arrived(data, info));
    mine.on(STREAM_EVENT, onStream);
    const began = performance.now();
    note("info", "connecting");
    plot.state("connecting");
    showClient();
    try {
        await mine.start();
        note("good", `connected by ${carriedBy()} after ${Math.round(performance.now() - began)} ms`);
    } catch (error) {
        onEnd(mine, error);
        return;
    }
    showClient();
    ping(mine);
}

$("connect-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!client) {
        connect();
        return;
    }
    const ended = client;
    await ended.stop();
    onEnd(ended, { code: "stopped" });
});
$("connect-form").addEventListener("input", updateSecondTab);

// ---- Groups -----------------------------------------------------------------------------------------------------------------

const shownGroups = () => (client?.groups ?? []).filter((group) => group !== stream?.group);

function showGroups() {
    const groups = shownGroups();
    const before = [...$("joined").children].map((item) => item.dataset.group);
    if (groups.join("\0") !== before.join("\0")) {
        $("joined").replaceChildren(...groups.map((group) => {
            const button = make("button", { type: "button", textContent: "×" });
            button.setAttribute("aria-label", `Leave ${group}`);
            button.addEventListener("click", () => leave(group));
            const item = make("li", {}, make("span", { textContent: group }), button);
            item.dataset.group = group;
            return item;
        }));
        $("targets").replaceChildren(...groups.map((group) => make("option", { value: group })));
    }
    $("no-groups").hidden = groups.length > 0;
}

async function withClient(resultId, action) {
    if (!client) {
        say(resultId, "Connect first.", true);
        return;
    }
    try {
        say(resultId, await action(client));
    } catch (error) {
        say(resultId, explain(error), true);
    }
    showGroups();
}

const leave = (group) => withClient("group-result", async (mine) => {
    $("group").focus();     // the button that had it goes away
    await mine.leave(group);
    return `Left ${group}.`;
});

$("join-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const group = $("group").value;
    withClient("group-result", async (mine) => {
        await mine.join(group);
        return `Joined ${group}.`;
    });
});
$("join-form").addEventListener("input", updateSecondTab);

// ---- Sending ----------------------------------------------------------------------------------------------------------------

const TARGETS = { group: "Group", user: "User", connection: "Connection id" };

/* The value, or undefined and the reason beside the field. */
function readData() {
    const text = $("data").value.trim();
    let value = null, problem = "";
    try {
        value = text === "" ? null : JSON.parse(text);
    } catch (error) {
        problem = `This is not JSON: ${error.message}`;
    }
    setText("data-error", problem);
    $("data").setAttribute("aria-invalid", String(problem !== ""));
    return problem ? undefined : value;
}

function showTarget() {
    const kind = $("to").value;
    $("target-field").hidden = !(kind in TARGETS);
    $("except-self").disabled = kind === "";
    if (!(kind in TARGETS))
        return;
    setText("target-label", TARGETS[kind]);
    $("target").value = { group: $("group").value, user: client?.userId ?? $("user").value, connection: client?.connectionId ?? "" }[kind];
    $("target").toggleAttribute("list", kind === "group");
    if (kind === "group")
        $("target").setAttribute("list", "targets");
}

function readTarget() {
    const kind = $("to").value;
    if (kind === "")
        return undefined;
    const target = kind === "all" ? { all: true } : { [kind]: $("target").value };
    return $("except-self").checked ? { ...target, exceptSelf: true } : target;
}

$("send-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const data = readData();
    if (data === undefined) {
        $("data").focus();
        return;
    }
    withClient("send-result", async (mine) => {
        const name = $("event").value, target = readTarget();
        sentCount++;
        if (!$("reply").checked) {
            target ? mine.sendTo(target, name, data) : mine.send(name, data);
            return mine.state === "connected" ? "Sent." : "Waits until the connection is back.";
        }
        if (mine.state !== "connected")
            say("send-result", "Waits until the connection is back.");
        const began = performance.now();
        const reply = await mine.invoke(name, data, target ? { to: target } : {});
        return `Answered after ${(performance.now() - began).toFixed(1)} ms: ${show(reply)}`;
    });
});
$("data").addEventListener("input", readData);
$("data").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        $("send-form").requestSubmit();
    }
});
$("to").addEventListener("change", showTarget);

/* The numbered stream: 1, 2, 3 … to a group of this page's own; the page looks whether each comes back once and in order. */
let stream = null;

const pageName = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function startStream() {
    const mine = client;
    const run = stream = { group: `playground-${pageName}`, sent: 0, last: 0, missing: 0, doubled: 0, held: 0 };
    $("stream").setAttribute("aria-pressed", "true");
    try {
        await mine.join(run.group);
    } catch (error) {
        note("error", `the stream's group: ${explain(error)}`);
        stopStream();
        return;
    }
    if (stream !== run)
        return;
    run.timer = setInterval(() => {
        try {
            mine.sendTo({ group: run.group }, STREAM_EVENT, { number: run.sent + 1 });
            run.sent++;
            sentCount++;
        } catch {
            run.held++;     // the queue is full: this number is tried again
        }
    }, STREAM_MS);
}

function stopStream() {
    if (!stream)
        return;
    clearInterval(stream.timer);
    $("stream").setAttribute("aria-pressed", "false");
    showStream();
    if (client && client.state !== "stopped")
        client.leave(stream.group).catch(() => {});
    stream = null;
}

function onStream({ number }) {
    receivedCount++;
    if (!stream)
        return;
    if (number <= stream.last) {
        stream.doubled++;
        return;
    }
    stream.missing += number - stream.last - 1;
    stream.last = number;
}

function showStream() {
    if (!stream)
        return;
    const { sent, last, missing, doubled } = stream;
    $("stream-report").hidden = false;
    say("stream-report", `Numbered stream: ${sent} sent, ${last - missing} arrived, ${missing} missing, ${doubled} doubled, ` +
        `${sent - last} on the way.`, missing + doubled > 0);
}

$("stream").addEventListener("click", () => (stream ? stopStream() : startStream()));

// ---- Envelopes --------------------------------------------------------------------------------------------------------------

let arrivedCount = 0;
let waiting = [];           // arrived, and not shown yet
let isPaused = false;

function show(value) {
    const text = JSON.stringify(value, (key, item) => (item instanceof Uint8Array ? `bytes: ${Array.from(item.subarray(0, 64),
        (byte) => byte.toString(16).padStart(2, "0")).join(" ")}${item.length > 64 ? " …" : ""}`
        : typeof item === "bigint" ? String(item) : item)) ?? "null";
    return text.length > DATA_CHARACTERS_MAX ? `${text.slice(0, DATA_CHARACTERS_MAX)} … ${text.length - DATA_CHARACTERS_MAX} more` : text;
}

function arrived(data, info) {
    receivedCount++;
    arrivedCount++;
    waiting.push({ at: Date.now(), data, info });
    if (waiting.length > WAITING_MAX)
        waiting.shift();
    if (waiting.length === 1)
        setTimeout(showArrived, 50);
}

function makeRow({ at, data, info }) {
    const from = info.from ? info.from.userId ?? info.from.connectionId?.slice(0, 8) ?? "" : "";
    const cells = [["Time", make("time", { dateTime: new Date(at).toISOString(), textContent: clock(at) })], ["Event", info.eventName],
        ["Group", info.group === undefined ? "" : info.group + (info.offset === undefined ? "" : ` @${info.offset}`)],
        ["From", from], ["Data", make("code", { textContent: show(data) })]];
    const row = make("tr", {}, ...cells.map(([name, content]) => {
        const cell = make("td", {}, content);
        cell.dataset.label = name;
        cell.setAttribute("role", "cell");
        return cell;
    }));
    row.setAttribute("role", "row");        // on phones the table is laid out as a list, and would be told as one
    row.hidden = !matches(row);
    return row;
}

const matches = (row) => row.textContent.toLowerCase().includes($("filter").value.trim().toLowerCase());

function showArrived() {
    if (!isPaused && waiting.length) {
        const rows = waiting.splice(0).slice(-ROWS_MAX).reverse().map(makeRow);
        $("rows").prepend(...rows);
        while ($("rows").childElementCount > ROWS_MAX)
            $("rows").lastElementChild.remove();
    }
    showCount();
}

function showCount() {
    setText("count", isPaused && waiting.length ? `${arrivedCount}, ${waiting.length} waiting` : String(arrivedCount));
    $("empty").hidden = $("rows").childElementCount > 0;
}

$("filter").addEventListener("input", () => {
    for (const row of $("rows").children)
        row.hidden = !matches(row);
});
$("pause").addEventListener("click", () => {
    isPaused = !isPaused;
    $("pause").setAttribute("aria-pressed", String(isPaused));
    showArrived();
});
$("clear").addEventListener("click", () => {
    waiting = [];
    arrivedCount = 0;
    $("rows").replaceChildren();
    showCount();
});

// ---- Line -------------------------------------------------------------------------------------------------------------------

let receivedCount = 0, sentCount = 0;       // since the last tick
let rtt = null;                             // the newest, until a tick has drawn it
const rtts = [];

/* A question that every server answers, if only with a refusal: what counts is how long that takes. */
async function ping(mine) {
    while (client === mine) {
        if (mine.state === "connected" && !document.hidden) {
            const began = performance.now();
            try {
                await mine.invoke("rtc.presence", { group: `playground-${pageName}` }, { timeout: PING_PATIENCE_MS });
                rtt = performance.now() - began;
            } catch (error) {
                const isAnswer = ["unsupported", "forbidden", "not-found"].includes(error.code);
                rtt = isAnswer ? performance.now() - began : null;
            }
            if (rtt !== null && rtts.push(rtt) > 60)
                rtts.shift();
        }
        await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    rtts.length = 0;
}

function tick() {
    const median = rtts.length ? [...rtts].sort((a, b) => a - b)[rtts.length >> 1] : null;
    const digits = (ms) => (ms === null ? "–" : ms < 100 ? ms.toFixed(1) : String(Math.round(ms)));
    setText("figure-rtt", digits(rtt));
    setText("figure-median", digits(median));
    setText("figure-in", String(receivedCount));
    setText("figure-out", String(sentCount));
    plot.sample({ rtt, received: receivedCount, sent: sentCount });
    $("plot").setAttribute("aria-label", `Round-trip time, rate and state over the last minute: now ${client?.state ?? "stopped"}, ` +
        `round trip ${digits(rtt)} ms, median ${digits(median)} ms, ${receivedCount} received and ${sentCount} sent a second`);
    receivedCount = sentCount = 0;
    rtt = null;
    if (client)
        showClient();
    showStream();
}

$("cut").addEventListener("click", () => {
    note("info", "you cut the line");
    line.cut();
});
$("offline").addEventListener("click", () => {
    note("info", line.isOffline ? "you are online again" : "you went offline");
    line.isOffline = !line.isOffline;
    $("offline").setAttribute("aria-pressed", String(line.isOffline));
});

// ---- Start ------------------------------------------------------------------------------------------------------------------

const connectsAtOnce = readAddress();
updateSecondTab();
showTarget();
readData();
plot.state("stopped");
setInterval(tick, TICK_MS);
try {
    rtc = await import(`${base}/client.js`);
    if (connectsAtOnce)
        await connect();
    if (connectsAtOnce && client && $("group").value)
        $("join-form").requestSubmit();
} catch (error) {
    $("broken").hidden = false;
    setText("broken", `The client could not be loaded from ${base}/client.js: ${error.message}`);
}
