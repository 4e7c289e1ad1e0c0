"""The parts of the Compare page: what the address asks for, the stage, and beside it what differs in words.

The address is the one state: every comparison is a link. What it names and is not there is said; the rest is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import streamlit as st

from opstore.comparing.align import FITS, Box, Fit, same_shape
from opstore.comparing.differences import differing
from opstore.comparing.kept_comparisons import Alignment
from opstore.comparing.pixels import VISIBLE
from opstore.comparing.subjects import Pair, Part, main_part, pairs
from opstore.errors import InvalidQuery, OpstoreError
from opstore.service import Service
from opstore.shares import unique
from opstore.storage.operation import Operation
from opstore.ui import parts, share, words
from opstore.ui.components.compare import VIEWS, heard_of, stage
from opstore.ui.components.gallery import gallery
from opstore.ui.markup import Markup, css, show
from opstore.ui.words import _

STAGE = "compare"
STYLE = Path(__file__).with_name("compare.css")
#: Operations side by side at most: more and each is a thumbnail.
MOST = 4
LETTERS = ascii_uppercase[:MOST]
OFFERED = 24
#: Letters of a value in a table.
MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class View:
    """What the address asks for. `pair` chooses what stands against what, from 0, None the one that tells most; `query` and
    `order` say what is next to it.
    """

    ids: tuple[str, ...]
    view: str
    pair: int | None
    fit: Fit | None
    query: str
    order: str


@dataclass(frozen=True, slots=True)
class Side:
    """One thing that is compared: a part of an operation, and what it is called."""

    operation: Operation = field(hash=False, compare=False)
    part: Part
    label: str


# -- the address ---------------------------------------------------------------------------------------------------------


def view() -> View:
    """Read the address."""
    css(STYLE.read_text("utf-8"))
    asked = st.query_params
    ids = tuple(dict.fromkeys(text.strip() for text in asked.get("ids", "").split(",") if text.strip()))
    chosen, pair = asked.get("view", ""), asked.get("pair", "")
    return View(
        ids=ids,
        view=chosen if chosen in VIEWS else "side" if len(ids) > 2 else VIEWS[0],
        pair=int(pair) if pair.isascii() and pair.isdigit() and len(pair) < 4 else None,
        fit=next((fit for fit in FITS if fit == asked.get("fit")), None),
        query=asked.get("q", ""),
        order=asked.get("order", "newest"),
    )


def address(ids: Sequence[str], query: str = "", order: str = "newest") -> dict[str, str]:
    """Return the query of the address under which operations are compared; a search says which are their neighbours."""
    more = {"q": query} if query else {}
    return {"ids": ",".join(ids[:MOST]), **more, **({"order": order} if order != "newest" else {})}


def _go(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def _heard(asked: View, number: int, before: str | None, after: str | None, count: int) -> dict[str, Any]:
    """Return what to do with what the stage tells, which shows the pair `number` of `count`."""

    def step() -> None:
        by = heard_of(STAGE, "step")
        if len(asked.ids) > 1:
            _go("pair", str(min(max(number + (1 if by == 1 else -1), 0), count - 1)))
        elif target := after if by == 1 else before:
            st.query_params.pop("pair", None)
            st.query_params.pop("fit", None)
            _go("ids", target)

    def panel() -> None:
        st.session_state["compare-panel"] = not st.session_state.get("compare-panel", True)

    def keep(name: str) -> Any:
        return lambda: _go(name, str(heard_of(STAGE, name) or ""))

    return {"view": keep("view"), "pair": keep("pair"), "fit": keep("fit"), "step": step, "panel": panel}


# -- choosing ------------------------------------------------------------------------------------------------------------


def choose(service: Service) -> None:
    """Offer what can be compared, where the address names nothing."""
    parts.note(
        _(
            "Choose a result to see it beside its input image. To compare two to four results, select them in "
            "the library and choose “Compare”."
        )
    )
    st.page_link(parts.REVIEW, label=_("Blind review"))
    found = service.index.search("inputs:>=1 status:stored", size=OFFERED).rows
    operations = [item for item in (_operation(service, row.id) for row in found) if item and item.outputs]
    opened = gallery([parts.tile(item) for item in operations], key="compare-offered", tile_size=180)
    if opened:
        _go("ids", opened)
        st.rerun()


def _operation(service: Service, operation_id: str) -> Operation | None:
    try:
        return service.operation(operation_id)
    except OpstoreError:
        return None


# -- comparing -----------------------------------------------------------------------------------------------------------


def show_comparison(service: Service, asked: View) -> None:
    """Show what the address asks for: the stage, and what differs in words beside it."""
    operations: list[Operation] = []
    for operation_id in asked.ids[:MOST]:
        try:
            operations.append(service.operation(operation_id))
        except OpstoreError as error:
            parts.show_error(error)
    if len(asked.ids) > MOST:
        parts.note(_("At most {count} can be compared at a time; these are the first.").format(count=MOST))
    if not operations:
        choose(service)
        return
    parts.entitle(_("Compare"), " · ".join(unique([operation.prompt for operation in operations])))
    own_pairs = pairs(operations[0], service.comparisons.kind) if len(asked.ids) == 1 else []
    offered = _of_one(operations[0], own_pairs) if len(asked.ids) == 1 else _of_several(service, operations)
    if not offered:
        _nothing(service, operations, several=len(asked.ids) > 1)
        return
    telling = service.comparisons.telling(own_pairs) if asked.pair is None and own_pairs else 0
    number = min(telling if asked.pair is None else asked.pair, len(offered) - 1)
    try:
        panel = st.session_state.get("compare-panel", True)
        places = st.columns([3, 1], gap="medium") if panel else [st.container()]
        with places[0]:
            _stage(service, asked, offered, number, operations)
        if panel:
            with places[1], st.container(key="compare-words"):
                _words(offered[number], operations)
                ids = unique([operation.id for operation in operations])
                share.button(service, ids, "comparison" if len(ids) > 1 else "operation", "compare")
    except OpstoreError as error:
        parts.show_error(error)


def _of_one(operation: Operation, found: Sequence[Pair]) -> list[tuple[Side, Side]]:
    """Return what stands against what in one operation."""
    return [(_side(operation, pair.before), _side(operation, pair.after)) for pair in found]


def _side(operation: Operation, part: Part) -> Side:
    several = {"input": len(operation.inputs), "output": len(operation.outputs), "intermediate": len(operation.intermediates)}
    names = {"input": _("Input image {number}"), "output": _("Result {number}"), "intermediate": _("Intermediate")}
    one = {"input": _("Input image"), "output": _("Result"), "intermediate": _("Intermediate")}
    name = (names if several[part.role] > 1 else one)[part.role].format(number=part.number)
    frame = {"first": _("first frame"), "last": _("last frame")}.get(part.subject.at or "")
    return Side(operation, part, f"{name}, {frame}" if frame else name)


def _of_several(service: Service, operations: Sequence[Operation]) -> list[tuple[Side, Side]]:
    """Return every two of the operations' results."""
    sides = []
    for letter, operation in zip(LETTERS, operations, strict=False):
        part = main_part(operation, service.comparisons.kind)
        title = " ".join(operation.prompt.split())[:80] or words.type_name(operation.type)
        if part:
            sides.append(Side(operation, part, f"{letter} · {title}"))
        else:
            parts.note(_("{letter} has no result that can be shown: {title}").format(letter=letter, title=title), bad=True)
    return list(combinations(sides, 2))


def _nothing(service: Service, operations: Sequence[Operation], *, several: bool) -> None:
    """Say why there is nothing to compare, and offer what there is."""
    operation = next((operation for operation in operations if operation.outputs), operations[0])
    if several:
        parts.note(_("Fewer than two of these results can be shown, so there is nothing to compare."))
    elif not operation.outputs:
        parts.note(_("This operation has no result, so there is nothing to compare."))
    elif operation.inputs:
        parts.note(_("Its input image or its result cannot be shown, so there is nothing to compare."))
    else:
        parts.note(_("This was made from text only, so there is no input image to compare it with."))
    for name in operation.outputs[:1]:
        parts.media(service, name, parts.tile(operation).alt, of=operation)
    st.page_link(parts.LIBRARY, label=_("Choose others in the library"))


def _stage(
    service: Service, asked: View, offered: Sequence[tuple[Side, Side]], number: int, operations: Sequence[Operation]
) -> None:
    several = len(asked.ids) > 1
    first, second = offered[number]
    sides = list(dict.fromkeys(side for pair in offered for side in pair)) if several else [first, second]
    found = service.comparisons
    others = {side: found.alignment(first.part.subject, side.part.subject, asked.fit) for side in sides if side != first}
    origin = Box.of(others[second].first)
    boxes = {first: origin, **{side: alignment.box for side, alignment in others.items()}}
    frame = origin
    for box in boxes.values():
        frame = frame.joined(box)
    alignment = others[second]
    before, after = (number > 0, number < len(offered) - 1) if several else _neighbours(service, asked)
    stage(
        key=STAGE,
        heard=_heard(
            asked,
            number,
            before if isinstance(before, str) else None,
            after if isinstance(after, str) else None,
            len(offered),
        ),
        layers=[_layer(service, side, boxes[side], frame) for side in sides],
        active=[sides.index(first), sides.index(second)],
        ratio=frame.width / frame.height,
        frame={"first": origin.within(frame)},
        fit=asked.fit or "",
        fits=[] if same_shape(alignment.first, alignment.second) else [["", _("Fit: automatic")], *_fits()],
        pair=str(number),
        pairs=[[str(at), f"{one.label[:40]} | {other.label[:40]}"] for at, (one, other) in enumerate(offered)],
        view=asked.view,
        panel=st.session_state.get("compare-panel", True),
        previous=bool(before),
        next=bool(after),
        note=_told(alignment),
        words=_spoken(several),
    )


def _neighbours(service: Service, asked: View) -> tuple[str | None, str | None]:
    """Return the operations before and after in the library that were made from something."""
    within = f"({asked.query}) " if asked.query else ""
    try:
        return service.index.neighbours(asked.ids[0], f"{within}inputs:>=1 status:stored", asked.order)
    except InvalidQuery:
        return None, None


def _layer(service: Service, side: Side, box: Box, frame: Box) -> dict[str, Any]:
    subject = side.part.subject
    video = service.comparisons.kind(subject.name) == "video"
    whole = video and subject.at is None
    title = " ".join(side.operation.prompt.split())[:160]
    return {
        "key": str(subject),
        "src": parts.file_address(subject.name) if whole or not video else f"/api/frames/{subject}",
        "kind": "video" if whole else "image",
        "label": side.label,
        "alt": words.labelled(side.label, title) if title else side.label,
        "box": box.within(frame),
        "rate": service.comparisons.frame_rate(subject.name) if whole else None,
    }


# -- words ---------------------------------------------------------------------------------------------------------------


def _told(alignment: Alignment) -> str:
    """Say how two pictures lie on each other."""
    sizes = [f"{words.number(wide)} × {words.number(high)}" for wide, high in (alignment.first, alignment.second)]
    if alignment.first == alignment.second:
        return _("Both {size}: pixel for pixel.").format(size=sizes[0])
    if same_shape(alignment.first, alignment.second):
        return _("{first} and {second}: the same shape, shown at the same size.").format(first=sizes[0], second=sizes[1])
    ways = {
        "whole": _("{first} and {second}: different shapes of the same picture; the second is stretched onto the first."),
        "inside": _("{first} and {second}: different shapes; the second is centered on the first."),
        "around": _("{first} and {second}: different shapes; the first is centered on the second."),
    }
    return ways[alignment.fit].format(first=sizes[0], second=sizes[1])


def _fits() -> list[list[str]]:
    return [
        ["inside", _("The second, centered on the first")],
        ["around", _("The first, centered on the second")],
        ["whole", _("Stretched to the same shape")],
    ]


def _spoken(several: bool) -> dict[str, Any]:
    """Return every word that the stage says, in the viewer's language."""
    figures = _(
        "{changed}% of the pixels differ visibly (CIEDE2000 above {visible}), structural similarity "
        "{similarity} (SSIM, 1 is equal), mean color difference {colour}; compared at {width} × {height}."
    )
    return {
        "language": words.language(),
        "names": {
            "slider": _("Slider"),
            "side": _("Side by side"),
            "blink": _("Blink"),
            "overlay": _("Overlay"),
            "difference": _("Difference"),
        },
        "views": _("View mode"),
        "pair": _("Compared images"),
        "fit": _("Alignment"),
        "divider": _("Divider between before and after"),
        "opacity": _("Opacity of the second"),
        "auto": _("Auto-blink"),
        "blinking": _("Press Space to switch between them."),
        "heat": _("Differences: the brighter, the stronger"),
        "computing": _("Comparing…"),
        "figures": figures.replace("{visible}", words.number(VISIBLE, 1)),
        "smaller": _("Smaller (−)"),
        "larger": _("Larger (+)"),
        "fitted": _("Fit into the window (0)"),
        "previous": _("Previous pair (←)") if several else _("Previous operation (←)"),
        "next": _("Next pair (→)") if several else _("Next operation (→)"),
        "full": _("Full screen (F)"),
        "differences": _("Differences"),
        "play": _("Play (P)"),
        "pause": _("Pause (P)"),
        "time": _("Time"),
        "earlier": _("One frame back (,)"),
        "later": _("One frame forward (.)"),
    }


def _words(pair: tuple[Side, Side], operations: Sequence[Operation]) -> None:
    """Show beside the stage what the operations were asked for, and in what that differs."""
    one, other = (side.operation for side in pair)
    if one.id == other.id:
        parts.prompt(one.prompt)
        rows = {
            words.type_name(one.type): one.model,
            **{words.parameter_name(n): _cut([_value(v)])[0] for n, v in one.parameters().items()},
        }
        parts.facts({**rows, _("Elapsed"): _elapsed(one), _("Cost"): parts.cost_text(one.cost)})
    else:
        _changes(one.prompt, other.prompt, pair)
        _table(operations)
    for side in dict.fromkeys(pair):
        if side is pair[1] or one.id != other.id:
            label = _("Open in the library") if one.id == other.id else _("Open {letter}").format(letter=side.label[:1])
            st.page_link(parts.LIBRARY, label=label, query_params={"operation": side.operation.id})


def _changes(before: str, after: str, pair: tuple[Side, Side]) -> None:
    letters = {"before": pair[0].label[:1], "after": pair[1].label[:1]}
    if before == after:
        st.caption(_("The prompts are the same."))
        parts.prompt(after)
        return
    st.caption(_("Prompt of {after}, as a change of {before}").format(**letters))
    parts.changes(before, after)


def _table(operations: Sequence[Operation]) -> None:
    """Show the parameters that differ, an operation a column."""
    names = {"operationType": _("Type"), "model": _("Model"), "provider": _("Provider")}
    rows = [
        (names.get(name) or words.parameter_name(name), _cut([_value(v, name) for v in values]))
        for name, values in differing(operations)
    ]
    rows.append((_("Elapsed"), [_elapsed(item) for item in operations]))
    rows.append((_("Cost"), [parts.cost_text(item.cost) for item in operations]))
    cell, line = Markup("<td>{}</td>"), Markup('<tr><th scope="row">{}</th>{}</tr>')
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(letter) for letter in LETTERS[: len(operations)])
    body = Markup("").join(
        line.format(name, Markup("").join(cell.format("–" if value is None else value) for value in values))
        for name, values in rows
    )
    shown = Markup('<table class="ops-facts ops-differing"><thead><tr><th></th>{}</tr></thead><tbody>{}</tbody></table>')
    show(shown.format(head, body))


def _value(value: Any, name: str = "") -> str | None:
    if name == "operationType":
        return words.type_name(str(value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return words.decimal(value)
    return None if value is None else str(words.choice_name(value))


def _cut(values: list[str | None]) -> list[str | None]:
    """Return texts short enough for a table, from shortly before where they differ."""
    known = [value for value in values if value is not None]
    start = 0
    if len(known) > 1 and max(map(len, known)) > MOST_LETTERS:
        same = min(map(len, known))
        differ = next((at for at, letters in enumerate(zip(*known, strict=False)) if len(set(letters)) > 1), same)
        start = max(0, differ - MOST_LETTERS // 4)
    end = start + MOST_LETTERS
    return [v and f"{'…' * bool(start)}{v[start:end]}{'…' * (len(v) > end)}" for v in values]


def _elapsed(operation: Operation) -> str | None:
    return words.seconds(operation.elapsed_seconds) if operation.elapsed_seconds is not None else None
