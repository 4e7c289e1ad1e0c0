"""Charts as static SVG: a few kilobytes each, sharp on paper, nothing to load or run. Every value is escaped by `Markup.format`.

Colours are CSS variables of the document, so that a chart follows its light, dark and printed form; never by colour alone: values
stand beside their bars, series have a legend in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from opstore.language.formats import top_of_scale

WIDTH, ROW, LABEL, VALUE = 720, 26, 200, 110
_TEXT = Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>')
_RECT = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}"><title>{}</title></rect>')
_LINE = Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>')
_FRAME = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">{}</svg>')


@dataclass(frozen=True)
class Bar:
    """One bar: what it is about, its value, and the value in words."""

    label: str
    value: float
    told: str


@dataclass(frozen=True)
class Share:
    """A share with its interval, from 0 to 1, and in words."""

    label: str
    value: float
    low: float
    high: float
    told: str


def cut(text: str, most: int) -> str:
    """Return a text that fits."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def bars(title: str, items: Sequence[Bar]) -> Markup:
    """Return horizontal bars from zero."""
    most = max((item.value for item in items), default=0) or 1
    room = WIDTH - LABEL - VALUE
    parts = []
    for at, item in enumerate(items):
        y = at * ROW
        width = max(item.value / most * room, 1 if item.value else 0)
        parts += [
            _TEXT.format(LABEL - 10, y + 17, "label", cut(item.label, 28)),
            _RECT.format(LABEL, y + 4, width, ROW - 9, "bar", f"{item.label} · {item.told}"),
            _TEXT.format(LABEL + width + 6, y + 17, "value", item.told),
        ]
    return _FRAME.format(WIDTH, max(len(items), 1) * ROW, title, Markup("").join(parts))


def shares(title: str, items: Sequence[Share], label_of: Callable[[float], str]) -> Markup:
    """Return a point with its interval for each share, on a scale from 0 to 100 %, which `label_of` writes."""
    room = WIDTH - LABEL - VALUE - 40
    height = len(items) * ROW
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = LABEL + tick * room
        parts += [_LINE.format(x, 0, x, height, "grid"), _TEXT.format(x, height + 16, "tick", label_of(tick))]
    for at, item in enumerate(items):
        y = at * ROW + ROW / 2
        parts += [
            _TEXT.format(LABEL - 10, y + 4, "label", cut(item.label, 28)),
            _LINE.format(LABEL + item.low * room, y, LABEL + item.high * room, y, "range"),
            _RECT.format(LABEL + item.value * room - 4, y - 4, 8, 8, "bar", f"{item.label} · {item.told}"),
            _TEXT.format(LABEL + room + 14, y + 4, "value", item.told),
        ]
    return _FRAME.format(WIDTH, height + 22, title, Markup("").join(parts))


def columns(
    title: str, ticks: Sequence[str], series: Sequence[tuple[str, str, Sequence[float]]], label_of: Callable[[float], str]
) -> Markup:
    """Return stacked columns over time: `series` are (name, class, a value for each tick)."""
    totals = [sum(values) for values in zip(*(values for _name, _kind, values in series), strict=True)]
    most = top_of_scale(max(totals, default=0) or 1)
    left, height, top = 84.0, 200.0, 24.0
    step = (WIDTH - left - 8) / max(len(ticks), 1)
    parts = []
    for tick in (0, 0.5, 1):
        y = top + height * (1 - tick)
        parts += [_LINE.format(left, y, WIDTH - 8, y, "grid"), _TEXT.format(left - 8, y + 4, "label", label_of(most * tick))]
    for at, when in enumerate(ticks):
        base = top + height
        for name, kind, values in series:
            size = values[at] / most * height
            if size > 0:
                base -= size
                parts.append(
                    _RECT.format(
                        left + (at + 0.06) * step,
                        base,
                        max(step * 0.88, 0.8),
                        size,
                        kind,
                        f"{when} · {name} · {label_of(values[at])}",
                    )
                )
    every = max(1, -(-len(ticks) // 8))
    parts += [_TEXT.format(left + (at + 0.5) * step, top + height + 18, "tick", ticks[at]) for at in range(0, len(ticks), every)]
    x = float(left)
    for name, kind, values in series:
        if sum(values):
            parts += [_RECT.format(x, 4, 10, 10, kind, name), _TEXT.format(x + 15, 13, "value", name)]
            x += 40 + 7.2 * len(name)
    return _FRAME.format(WIDTH, top + height + 26, title, Markup("").join(parts))


def heat(title: str, rows: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[int]], left: int = 64) -> Markup:
    """Return a table of counts as squares of more or less ink, with `left` pixels for the names of the rows."""
    most = max((max(row, default=0) for row in cells), default=0) or 1
    side = (WIDTH - left - 8) / max(len(names), 1)
    square = Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="20" class="bar" fill-opacity="{:.2f}"><title>{}</title></rect>'
    )
    parts = []
    for down, row in enumerate(rows):
        parts.append(_TEXT.format(left - 8, down * 22 + 15, "label", row))
        for across, name in enumerate(names):
            count = cells[down][across]
            ink = 0.04 + 0.96 * count / most
            parts.append(square.format(left + across * side + 1, down * 22, side - 2, ink, f"{row} {name} · {count}"))
    every = 3 if len(names) > 12 else 1
    bottom = len(rows) * 22 + 16
    parts += [_TEXT.format(left + (at + 0.5) * side, bottom, "tick", name) for at, name in enumerate(names) if at % every == 0]
    return _FRAME.format(WIDTH, bottom + 6, title, Markup("").join(parts))
