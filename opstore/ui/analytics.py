"""The parts of the Analytics page: period, headline figures, charts with their sentences, data and ways to the operations behind.

The filter bar is the library's: one search, in the address. Everything is told from one state of the frame, so that no two charts
of a page count different operations; what was drawn is kept with the rows it was drawn from.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from opstore import translations
from opstore.errors import OpstoreError
from opstore.exports.cells import guarded
from opstore.index.language import values, with_values
from opstore.service import Service
from opstore.ui import behind, export, library, parts, results, words
from opstore.ui.library import View
from opstore.ui.markup import Markup, css, show
from opstore.ui.words import _

if TYPE_CHECKING:
    from opstore.analytics.chart import Chart, Search
    from opstore.analytics.selection import Selection
    from opstore.analytics.voice import Voice

STYLE = Path(__file__).with_name("analytics.css")
#: Seconds between two looks for what is new: a look that finds nothing costs a tenth of a millisecond.
LOOK = 2.0
#: Seconds that a page waits for the frame before it shows how far it is.
PATIENCE = 2.0
#: Causes of which an example is shown, and how much of it.
EXAMPLES, LONGEST_EXAMPLE = 5, 240
PRESETS = ("today", "7d", "30d", "90d", "365d", "")


@dataclass(frozen=True)
class Told:
    """What a page is told from: the rows, their search, the viewer's language, and the version of the frame."""

    selection: Selection
    before: Selection | None
    query: str
    version: int
    voice: Voice
    problems: int
    search: Search


# -- the frame -----------------------------------------------------------------------------------------------------------


def loaded(service: Service) -> bool:
    """Say whether the frame is there; where it takes long, show how far it is and come back."""
    if service.analytics.is_loaded():
        return True
    thread = threading.Thread(target=_load, args=(service,), name="opstore-analytics", daemon=True)
    thread.start()
    _charts_loaded()  # meanwhile
    thread.join(PATIENCE)
    if service.analytics.is_loaded():
        return True
    if not thread.is_alive():
        service.analytics.held()  # raises what went wrong
    st.fragment(_waiting, run_every=1.0)(service, thread)
    return False


def _charts_loaded() -> None:
    from opstore.analytics import chart

    chart.warm()


def _load(service: Service) -> None:
    try:
        service.analytics.held()
    except OpstoreError:
        return  # the page asks again, and shows it


def _waiting(service: Service, thread: threading.Thread) -> None:
    if service.analytics.is_loaded() or not thread.is_alive():
        st.rerun()
    done, total = service.analytics.progress() or (0, 0)
    text = _("{done} of {total} read for the charts; this is done once").format(
        done=words.number(done), total=words.number(total) if total else "…"
    )
    st.progress(done / total if total else 0.0, text=text)


def told(service: Service, found: View) -> Told:
    """Return what the page is told from."""
    from opstore.analytics.chart import Search
    from opstore.analytics.voice import Voice

    held = service.analytics.held()
    before, period = service.analytics.before(found.query), service.analytics.period(found.query)
    return Told(
        selection=service.analytics.select(found.query, held),
        before=None if before is None else service.analytics.select(before, held),
        query=found.query,
        version=held.version,
        voice=Voice(words.language()),
        problems=held.problems,
        search=Search(found.query, *((period.first, period.last) if period else (None, None))),
    )


def follow(service: Service, shown: Told) -> None:
    """Draw the page again when something has happened."""
    st.fragment(_look, run_every=LOOK)(service, shown.version)


def _look(service: Service, version: int) -> None:
    if service.analytics.is_stale() and service.analytics.held().version != version:
        st.rerun()


# -- filter bar ----------------------------------------------------------------------------------------------------------


def bar(service: Service, found: View) -> None:
    """Show the search box and the periods; the other filters are the library's, at the side."""
    css(STYLE.read_text("utf-8"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="search-row"):
        st.text_input(
            _("Search"),
            key="search",
            type="search",
            live="300ms",
            label_visibility="collapsed",
            placeholder=_("All operations; or for example castle type:text_to_video"),
            on_change=lambda: library.go(q=st.session_state["search"]),
        )
        asked = values(found.query, "date")
        preset = asked[0] if len(asked) == 1 and asked[0] in PRESETS else None if asked else ""
        if st.session_state.get("period-of") != found.query or "period" not in st.session_state:
            st.session_state["period-of"], st.session_state["period"] = found.query, preset
        names = {
            "today": _("Today"),
            "7d": _("7 days"),
            "30d": _("30 days"),
            "90d": _("90 days"),
            "365d": _("A year"),
            "": _("All"),
        }
        st.segmented_control(
            _("Period"),
            PRESETS,
            key="period",
            format_func=names.__getitem__,
            label_visibility="collapsed",
            on_change=_chosen,
        )
        export.offer(service, found.query, report=True)


def _chosen() -> None:
    chosen = st.session_state["period"]
    query = with_values(st.session_state.get("good-search", ""), "date", [chosen] if chosen else [])
    library.go(q=query)


# -- headline ------------------------------------------------------------------------------------------------------------


def headline(shown: Told) -> None:
    """Show the four figures at the top, with the change against the period of the same length before."""
    from opstore.analytics import numbers

    now = numbers.headline(shown.selection)
    then = numbers.headline(shown.before) if shown.before is not None else None
    voice = shown.voice
    with st.container(key="headline"):
        for column, (label, value, change, colour, help_) in zip(st.columns(4), _figures(now, then, voice), strict=True):
            column.metric(label, value, change, delta_color=colour, help=help_, delta_arrow="auto" if change else "off")
    st.caption(_basis(shown, now))


def _figures(
    now: dict[str, Any], then: dict[str, Any] | None, voice: Voice
) -> list[tuple[str, str, str | None, Any, str | None]]:
    rate = voice.rate(now["succeeded"], now["tried"], now["low"], now["high"]) if now["tried"] else "–"
    median = "–" if now["median_seconds"] is None else voice.seconds(now["median_seconds"])
    cost = "–" if now["cost"] is None else voice.money(now["cost"], now["currency"])
    if now["cost"] is not None and now["estimated"]:
        cost = _("about {amount}").format(amount=cost)
    priced = _("{priced} of {all} say what they cost; {estimated} of these are estimates.").format(
        priced=voice.number(now["priced"]), all=voice.number(now["operations"]), estimated=voice.number(now["estimated"])
    )
    timed = _("{timed} of {all} say how long they took.").format(
        timed=voice.number(now["timed"]), all=voice.number(now["operations"])
    )
    tried = _("{succeeded} of {tried} that nobody stopped; in parentheses the 95 % interval.").format(
        succeeded=voice.number(now["succeeded"]), tried=voice.number(now["tried"])
    )
    return [
        (_("Operations"), voice.number(now["operations"]), _change(now, then, "operations", voice), "off", None),
        (_("Success"), rate, _points(now, then, voice), "normal", tried),
        (_("Median time"), median, _change(now, then, "median_seconds", voice), "inverse", timed),
        (_("Cost"), cost, _change(now, then, "cost", voice), "off", priced),
    ]


def _change(now: dict[str, Any], then: dict[str, Any] | None, name: str, voice: Voice) -> str | None:
    """Return by how much a figure has changed, None where one of the two is not known."""
    if then is None or now[name] is None or not then[name]:
        return None
    if name == "cost" and now["currency"] != then["currency"]:
        return None
    return _signed(now[name] / then[name] - 1, voice)


def _points(now: dict[str, Any], then: dict[str, Any] | None, voice: Voice) -> str | None:
    """Return the change of success in points, None where either was counted on too few to tell."""
    from opstore.analytics.voice import FEW

    if then is None or min(now["tried"], then["tried"]) < FEW:
        return None
    points = 100 * (now["succeeded"] / now["tried"] - then["succeeded"] / then["tried"])
    return _("{points} points").format(points=f"{'-' if points < 0 else '+'}{voice.number(abs(points), 1)}")


def _signed(change: float, voice: Voice) -> str:
    if change > 9.99:
        return _("× {times}").format(times=voice.number(change + 1, 1))
    return f"{'-' if change < 0 else '+'}{voice.share(abs(change))}"


def _basis(shown: Told, now: dict[str, Any]) -> str:
    """Return what the figures stand on: the days, what they are compared with, what could not be read."""
    from opstore.analytics import numbers

    voice, told = shown.voice, []
    ends = numbers.span(shown.selection)
    if ends:
        days = dict.fromkeys(map(voice.day, ends))
        told.append(f"{' – '.join(days)}.")
    if shown.before is not None:
        count = voice.number(len(shown.before))
        told.append(_("Changes are against the period of the same length before, with {count} operations.").format(count=count))
    else:
        told.append(_("Choose a period to see the change against the one before."))
    if now["other_currencies"]:
        told.append(_("{count} are in other currencies and left out.").format(count=voice.number(now["other_currencies"])))
    if shown.problems:
        told.append(
            _("{count} operations of the folder cannot be read and are in no figure.").format(count=voice.number(shown.problems))
        )
    return " ".join(told)


# -- charts --------------------------------------------------------------------------------------------------------------


def charts(service: Service, shown: Told) -> None:
    """Show the charts in the order of the questions: how much, how well, how fast, how dear, what for, which way, where to."""
    from opstore.analytics import figures, topics

    behind.follow_mark(shown.query)
    if not len(shown.selection):
        results.nothing(service)
        return
    section(_("How much"))
    _pair(shown, figures.over_time, figures.by_type)
    section(_("How well"))
    by = _by("success-by")
    _pair(shown, partial(figures.success, by=by), figures.errors, after=_examples)
    section(_("How fast"))
    by = _by("times-by")
    _pair(shown, partial(figures.times, by=by), partial(figures.times, by=by, column="predict_seconds"))
    section(_("How dear"))
    _pair(shown, figures.cost_over_time, figures.cost_by_model)
    section(_("What for"))
    prompts(service, shown)
    _pair(shown, topics.words, topics.parameters)
    _pair(shown, partial(topics.rhythm, zone=words.zone()))
    section(_("How good"))
    _pair(shown, topics.ratings, partial(topics.win_rates, votes=service.reviews.rows()))
    section(_("Which way"))
    _pair(shown, topics.calibration, topics.workflows)
    section(_("How large"))
    _pair(shown, topics.storage)


def section(title: str) -> None:
    """Begin a question."""
    st.subheader(title, anchor=False)


def _by(key: str) -> str:
    names = {"operation_type": _("by type"), "model": _("by model")}
    chosen = st.segmented_control(
        _("Grouped"),
        list(names),
        default="operation_type",
        required=True,
        format_func=names.__getitem__,
        key=key,
        label_visibility="collapsed",
    )
    return str(chosen or "operation_type")


def _pair(shown: Told, *makers: Callable[..., Chart], after: Callable[[Chart], None] = lambda made: None) -> None:
    """Show two charts beside each other; `after` adds something under the last one."""
    columns = st.columns(2, gap="large")
    for column, make in zip(columns, makers, strict=False):
        with column:
            made = _made(shown, make)
            chart(shown, made)
            if make is makers[-1]:
                after(made)


def _examples(made: Chart) -> None:
    """Show what the commonest failures of each cause say, in full."""
    line = Markup("<li><b>{}</b> <span>{}</span><q>{}</q></li>")
    told = made.table[made.table["example"].notna()].head(EXAMPLES)
    lines = Markup("").join(
        line.format(
            translations.error_kind_name(kind, _),
            _("{count} of {all}").format(count=words.number(n), all=words.number(every)),
            _cut(words.stored(str(text))),
        )
        for kind, n, every, text in told[["error_kind", "of_them", "n", "example"]].itertuples(index=False)
    )
    if lines:
        show(Markup('<ul class="ops-examples" aria-label="{}">{}</ul>').format(_("What the commonest say"), lines))


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST_EXAMPLE else f"{plain[: LONGEST_EXAMPLE - 1]}…"


def _made(shown: Told, make: Callable[..., Chart]) -> Chart:
    """Return a chart, drawn once for the same rows, language and choices."""
    function, choices = (make.func, make.keywords) if isinstance(make, partial) else (make, {})
    key = (function.__module__, function.__name__, str(choices), shown.voice.language, shown.search)
    return shown.selection.once(key, lambda: make(shown.selection, shown.search, shown.voice))


def chart(shown: Told, made: Chart) -> None:
    """Show a chart: title, marks, the sentence under it, its data; a click on a mark goes to the operations behind it."""
    with st.container(key=f"chart-{made.key}", gap="xsmall"):
        parts.heading(made.title)
        if made.figure is None:
            parts.note(made.sentence)
            return
        counter = f"plots-{made.key}"
        key = f"plot-{made.key}-{shown.version}-{st.session_state.get(counter, 0)}"
        st.plotly_chart(
            made.figure,
            key=key,
            on_select=partial(behind.pick, key, counter),
            selection_mode="points",
            config={"displayModeBar": False, "scrollZoom": False},
            alt=f"{made.title}. {made.sentence}",
        )
        with st.container(horizontal=True, vertical_alignment="top", wrap=False, gap="small"):
            parts.small(made.sentence)
            _data(made)


def _data(made: Chart) -> None:
    with st.popover("", icon=":material/table:", help=_("The data of this chart"), width="content"):
        st.dataframe(made.table, hide_index=True)
        st.download_button(
            _("Download as CSV"),
            data=lambda: csv_of(made.table),
            file_name=f"opstore-{made.key}.csv",
            mime="text/csv",
            on_click="ignore",
            key=f"csv-{made.key}",
        )


def csv_of(table: Any) -> bytes:
    """Return a table as CSV that a spreadsheet reads as text and numbers: what could be a formula is made harmless."""
    harmless = table.copy()
    for name in harmless.columns:
        if not harmless[name].dtype.kind or harmless[name].dtype.kind not in "iufbM":
            harmless[name] = harmless[name].map(_harmless, na_action="ignore")
    text: str = harmless.to_csv(index=False, lineterminator="\r\n")
    return text.encode("utf-8-sig")


def _harmless(value: Any) -> Any:
    return guarded(value) if isinstance(value, str) else value


# -- prompts -------------------------------------------------------------------------------------------------------------


def prompts(service: Service, shown: Told) -> None:
    """Show the commonest prompts with an example picture each, and a way to their operations."""
    from opstore.analytics import content

    key = ("prompts", shown.voice.language, shown.query)
    tally = content.top_prompts(shown.selection)
    with st.container(key="chart-prompts", gap="xsmall"):
        parts.heading(_("Prompts asked for most"))
        if not len(tally.table):
            parts.note(_("No operation here has a prompt."))
            return
        rows = shown.selection.once(key, lambda: _prompt_rows(service, shown, tally.table, tally.extra["currency"]))
        config = {
            "picture": st.column_config.ImageColumn("", width="small"),
            "prompt": st.column_config.TextColumn(_("Prompt"), width="large"),
            "n": st.column_config.NumberColumn(_("Operations"), format="localized"),
            "success": st.column_config.TextColumn(_("Success")),
            "rating": st.column_config.TextColumn(_("Mean rating")),
            "cost": st.column_config.TextColumn(_("Cost")),
            "behind": st.column_config.LinkColumn("", display_text=":material/photo_library:", help=_("Library")),
        }
        st.dataframe(rows, column_config=config, hide_index=True, row_height=56, key="prompts-table")
        different = shown.voice.number(tally.extra["different"])
        what = _("Of {count} different prompts those asked for most; case, accents and punctuation do not count.").format(
            count=different
        )
        lacking = _("{missing} have no prompt.").format(missing=shown.voice.number(tally.missing)) if tally.missing else ""
        n = _("n = {n}.").format(n=shown.voice.number(tally.n))
        parts.small(" ".join(part for part in (what, n, lacking) if part))


def _prompt_rows(service: Service, shown: Told, table: Any, currency: str | None) -> Any:
    import pandas as pd

    from opstore.analytics.numbers import wilson

    rows = []
    for line in table.to_dict("records"):
        found = service.index.get(line["example"]) if line["example"] else None
        low, high = (float(end) for end in wilson(line["succeeded"], line["tried"]))
        rows.append(
            {
                "picture": parts.thumbnail_address(found.output) if found and found.output else "",
                "prompt": " ".join(line["prompt"].split()),
                "n": line["n"],
                "success": shown.voice.rate(line["succeeded"], line["tried"], low, high) if line["tried"] else "–",
                "rating": f"{shown.voice.number(line['rating'], 1)} ★" if line["rated"] else "–",
                "cost": shown.voice.money(line["cost"], currency) if line["priced"] else "–",
                "behind": _phrase(shown.query, line["prompt"]),
            }
        )
    return pd.DataFrame(rows)


def _phrase(query: str, prompt: str) -> str | None:
    """Return the address of the library on a prompt's words in their order."""
    phrase = " ".join(prompt.replace('"', " ").split())[:400]
    if not any(map(str.isalnum, phrase)):
        return None
    return "/library?" + urlencode({"q": f'{query} "{phrase}"'.strip()})
