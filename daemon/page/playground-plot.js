/*
 * The plot: the last minute of round-trip times and rates, and below them the states of the connection on the same axis of
 * time, so that a gap above and its reason below stand in one line. It draws what it is given, once a second.
 */

const SPAN_MS = 60000;
const LEFT = 8, RIGHT = 52;             // the scales stand at the right, where the present is
const RTT = { top: 14, bottom: 84 }, RATE = { top: 108, bottom: 158 }, STATES = { top: 174, bottom: 186 };
const SVG = "http://www.w3.org/2000/svg";

/* The next of 1, 2, 5, 10, 20 …: a scale that people can read. */
function roundUp(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

export class Plot {
    #svg;
    #samples = [];          // {at, rtt, received, sent}; rtt null: unknown
    #states = [];           // {at, state}

    constructor(svg) {
        this.#svg = svg;
        new ResizeObserver(() => this.draw()).observe(svg);
    }

    sample(sample) {
        this.#samples.push({ at: Date.now(), ...sample });
        while (this.#samples[0].at < Date.now() - SPAN_MS - 2000)
            this.#samples.shift();
        this.draw();
    }

    state(state) {
        this.#states.push({ at: Date.now(), state });
        /* One that is older than the plot says what its beginning is. */
        while (this.#states.length > 1 && this.#states[1].at < Date.now() - SPAN_MS)
            this.#states.shift();
        this.draw();
    }

    draw() {
        const width = this.#svg.clientWidth, height = this.#svg.clientHeight;
        if (!width)
            return;
        const now = Date.now(), right = width - RIGHT;
        const x = (at) => Math.max(LEFT, right - (now - at) / SPAN_MS * (right - LEFT));
        const parts = [];
        const add = (name, className, attributes, text) => {
            const element = document.createElementNS(SVG, name);
            element.setAttribute("class", className);
            for (const [key, value] of Object.entries(attributes))
                element.setAttribute(key, value);
            if (text !== undefined)
                element.textContent = text;
            parts.push(element);
        };
        this.#drawRtt(add, x, right);
        this.#drawRates(add, x, right);
        this.#drawStates(add, x, now);
        add("text", "axis", { x: LEFT, y: height - 6 }, "60 s ago");
        add("text", "axis", { x: right, y: height - 6, "text-anchor": "end" }, "now");
        this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        this.#svg.replaceChildren(...parts);
    }

    #frame(add, { top, bottom }, right, max, unit) {
        for (const [y, value] of [[top, max], [(top + bottom) / 2, max / 2], [bottom, 0]]) {
            add("line", "grid", { x1: LEFT, x2: right, y1: y, y2: y });
            add("text", "axis", { x: right + 6, y: y + 4 }, `${+value.toPrecision(3)}${value === max ? unit : ""}`);
        }
        return (value) => bottom - Math.min(value / max, 1) * (bottom - top);
    }

    #drawRtt(add, x, right) {
        const known = this.#samples.filter(({ rtt }) => rtt !== null);
        const y = this.#frame(add, RTT, right, roundUp(Math.max(1, ...known.map(({ rtt }) => rtt))), " ms");
        /* Where the answer is missing the line is, too. */
        const runs = [[]];
        for (const { at, rtt } of this.#samples)
            rtt === null ? runs.push([]) : runs.at(-1).push([x(at), y(rtt)]);
        for (const run of runs.filter(({ length }) => length)) {
            const points = run.map((point) => point.map((value) => value.toFixed(1)).join(" ")).join("L");
            add("path", "rtt-area", { d: `M${points}L${run.at(-1)[0].toFixed(1)} ${RTT.bottom}L${run[0][0].toFixed(1)} ${RTT.bottom}Z` });
            add("path", "rtt", { d: `M${points}${run.length === 1 ? "h.1" : ""}` });
        }
    }

    #drawRates(add, x, right) {
        const max = roundUp(Math.max(5, ...this.#samples.map(({ received, sent }) => Math.max(received, sent))));
        const y = this.#frame(add, RATE, right, max, " /s");
        const bar = Math.max(1, (right - LEFT) / 60 / 2 - 0.75);
        for (const { at, received, sent } of this.#samples) {
            const end = x(at);
            if (end - bar * 2 < LEFT)
                continue;
            for (const [name, value, offset] of [["in", received, bar * 2], ["out", sent, bar]])
                if (value)
                    add("rect", `rate-${name}`, { x: (end - offset).toFixed(1), y: y(value).toFixed(1), width: bar.toFixed(1),
                        height: (RATE.bottom - y(value)).toFixed(1) });
        }
    }

    #drawStates(add, x, now) {
        const spans = this.#states.map(({ at, state }, i) => ({ state, from: x(at), to: x(this.#states[i + 1]?.at ?? now) }));
        /* Reconnecting may take a few milliseconds, and is what one wants to see: it is wide enough, and on top. */
        const isShort = ({ state }) => state === "reconnecting";
        for (const span of [...spans.filter((span) => !isShort(span)), ...spans.filter(isShort)]) {
            const width = Math.max(span.to - span.from, isShort(span) ? 3 : 0);
            if (span.to > LEFT && width)
                add("rect", `state ${span.state}`, { x: span.from.toFixed(1), y: STATES.top, width: width.toFixed(1),
                    height: STATES.bottom - STATES.top, rx: 2 });
        }
    }
}
