"""Draws figures of several servers as a bar chart: one SVG file, which needs nothing else and is readable on light and dark.

A bar is as long as the median, its whisker reaches from the smallest to the largest figure; rtcd's bar stands
out. It knows nothing of how the figures were taken.
"""

import math
from xml.sax.saxutils import escape

WIDTH, MARGIN, ROW, BAR, TOP, BOTTOM, GAP = 760, 20, 30, 16, 68, 34, 10
CHARACTER = 7.4         # width of one at 13 px, roundly; wide enough for all but a row of capitals
TICKS = 5

# Colours stand in rules of their own, as not everything that draws SVG knows CSS variables.
SHAPES = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px; }
  .title { font-size: 16px; font-weight: 600; }
  .soft { font-size: 12px; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .ours { font-weight: 600; }
  .whisker { stroke-width: 1.5; fill: none; }
"""
COLOURS = """
  .ground {{ fill: {ground}; }} text {{ fill: {ink}; }} .soft {{ fill: {soft}; }} .grid {{ stroke: {line}; }}
  .bar {{ fill: {bar}; }} rect.ours {{ fill: {ours}; }} .whisker {{ stroke: {ink}; }}
"""
LIGHT = {"ground": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "line": "#d1d9e0", "bar": "#a8b3bf", "ours": "#54a0f0"}
DARK = {"ground": "#0d1117", "ink": "#f0f6fc", "soft": "#9198a1", "line": "#30363d", "bar": "#5c6773", "ours": "#1f6feb"}
STYLE = f"{SHAPES}{COLOURS.format(**LIGHT)}@media (prefers-color-scheme: dark) {{{COLOURS.format(**DARK)}}}"


def number(value):
    """Three digits that count, and groups of thousands."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def tick_step(largest):
    """The smallest of 1, 2, 5 times a power of ten that makes at most TICKS steps of it."""
    power = 10 ** math.floor(math.log10(largest / TICKS))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * TICKS >= largest)


def grid(largest, x_of, height):
    step = tick_step(largest)
    for i in range(int(largest / step + 1e-9) + 1):
        x = x_of(i * step)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM + 2}"/>'
        yield f'<text class="soft middle" x="{x:.1f}" y="{height - BOTTOM + 18}">{i * step:,.10g}</text>'


def bar(index, row, x_of):
    server, low, median, high = row
    top, ours = TOP + index * ROW + (ROW - BAR) / 2, " ours" if server.startswith("rtcd") else ""
    middle, zero = top + BAR / 2, x_of(0)
    yield f'<text class="end{ours}" x="{zero - GAP:.1f}" y="{middle + 4.5:.1f}">{escape(server)}</text>'
    yield (f'<rect class="bar{ours}" x="{zero:.1f}" y="{top:.1f}" width="{max(x_of(median) - zero, 1):.1f}" height="{BAR}" rx="2"/>')
    if high > low:
        left, right = x_of(low), x_of(high)
        yield (f'<path class="whisker" d="M{left:.1f} {middle - 4:.1f}v8M{left:.1f} {middle:.1f}H{right:.1f}M{right:.1f} '
               f'{middle - 4:.1f}v8"/>')
    yield f'<text class="value{ours}" x="{x_of(max(high, median)) + GAP:.1f}" y="{middle + 4.5:.1f}">{number(median)}</text>'


def plot(path, title, unit, rows):
    """Writes the chart of `rows`, each (server, min, median, max), to `path`."""
    largest = max(max(row[1:]) for row in rows) or 1
    zero = MARGIN + max(len(row[0]) for row in rows) * CHARACTER + GAP
    right = WIDTH - MARGIN - GAP - max(len(number(row[2])) for row in rows) * CHARACTER * 1.1
    height = TOP + len(rows) * ROW + BOTTOM

    def x_of(value):
        return zero + (right - zero) * value / largest

    summary = "; ".join(f"{server} {number(median)} ({number(low)} to {number(high)})" for server, low, median, high in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>", f"<desc>{escape(unit)}: {escape(summary)}</desc>", f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
        f'<text class="title" x="{MARGIN}" y="30">{escape(title)}</text>', f'<text class="soft" x="{MARGIN}" y="50">{escape(unit)}</text>',
        *grid(largest, x_of, height),
        *(part for index, row in enumerate(rows) for part in bar(index, row, x_of)),
        "</svg>",
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts) + "\n")
