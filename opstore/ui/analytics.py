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

from opstore.analytics import COLUMNS
from opstore.errors import OpstoreError
from opstore.index.search_language import values, with_values
from opstore.service import Service
from opstore.ui import controls, drilldown, export, library, parts, scripts, search_results, words
from opstore.ui.chart_data import sent, shortened
from opstore.ui.components import charts as component
from opstore.ui.library import View
from opstore.ui.markup import Markup, css, show
from opstore.ui.opened_app import again, stay
from opstore.ui.words import _

if TYPE_CHECKING:
    from opstore.analytics.chart import Chart, Search
    from opstore.analytics.selection import Selection
    from opstore.language.chart_formatter import ChartFormatter

STYLE = Path(__file__).with_name("analytics.css")
#: Seconds between two looks for what is new: a look that finds nothing costs a tenth of a millisecond.
LOOK = 2.0
#: Seconds that a page waits for the frame before it shows how far it is.
PATIENCE = 2.0
PRESETS = ("today", "7d", "30d", "90d", "365d", "")


@dataclass(frozen=True)
class Told:
    """What a page is told from: the rows, their search, the viewer's language, and which state of all that it is."""

    selection: Selection
    before: Selection | None
    query: str
    state: tuple[object, ...]
    voice: ChartFormatter
    problems: int
    search: Search


# -- the frame -----------------------------------------------------------------------------------------------------------


def loaded(service: Service) -> bool:
    """Say whether the frame is there; where it takes long, show how far it is and come back."""
    if service.analytics.is_loaded():
        return True
    thread = threading.Thread(target=_load, args=(service,), name="opstore-analytics", daemon=True)
    thread.start()
    scripts.packed()  # meanwhile, for a browser that has none yet
    thread.join(PATIENCE)
    if service.analytics.is_loaded():
        return True
    if not thread.is_alive():
        service.analytics.held()  # raises what went wrong
    st.fragment(_waiting, run_every=1.0)(service, thread)
    return False


def _load(service: Service) -> None:
    try:
        service.analytics.held()
    except OpstoreError:
        return  # the page asks again, and shows it


def _waiting(service: Service, thread: threading.Thread) -> None:
    stay(service)
    if service.analytics.is_loaded() or not thread.is_alive():
        again()
    done, total = service.analytics.progress() or (0, 0)
    text = _("Reading for the charts (once only): {done} of {total}").format(
        done=words.number(done), total=words.number(total) if total else "…"
    )
    st.progress(done / total if total else 0.0, text=text)


def told(service: Service, current: View) -> Told:
    """Return what the page is told from."""
    from opstore.language.chart_formatter import ChartFormatter

    others = _others(service)  # first: what changes from here on is met by the next look
    held = service.analytics.held()
    before = service.analytics.before(current.query)
    return Told(
        selection=service.analytics.select(current.query, held),
        before=None if before is None else service.analytics.select(before, held),
        query=current.query,
        state=(held.version, *others),
        voice=ChartFormatter(words.language()),
        problems=held.problems,
        search=service.analytics.search(current.query),
    )


def follow(service: Service, shown: Told) -> None:
    """Draw the page again when something has happened."""
    st.fragment(_look, run_every=LOOK)(service, shown.state)


def _look(service: Service, state: tuple[object, ...]) -> None:
    stay(service)
    # Not only after a look that found something: another window's look may have found it, or a run that was asked for not come.
    if (service.analytics.version(), *_others(service)) != state:
        again()


def _others(service: Service) -> tuple[object, ...]:
    """Return what is told beside the frame: the votes, and the day from which periods are counted."""
    return service.reviews.version(), service.analytics.today()


# -- filter bar ----------------------------------------------------------------------------------------------------------


def bar(service: Service, current: View) -> None:
    """Show the search box and the periods; the other filters are the library's, at the side."""
    css(STYLE.read_text("utf-8"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="search-row"):
        st.text_input(
            _("Search"),
            **controls.heard("search", lambda text: library.go(q=text)),
            type="search",
            live="300ms",
            label_visibility="collapsed",
            placeholder=_("All operations"),
        )
        asked = values(current.query, "date")
        preset = asked[0] if len(asked) == 1 and asked[0] in PRESETS else None if asked else ""
        if st.session_state.get("period-of") != current.query or controls.key_of("period") not in st.session_state:
            st.session_state["period-of"] = current.query
            controls.align("period", preset)
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
            **controls.heard("period", _chosen),
            format_func=names.__getitem__,
            label_visibility="collapsed",
        )
        export.offer(service, current.query, report=True)


def _chosen(chosen: str | None) -> None:
    query = with_values(st.session_state.get("good-search", ""), "date", [chosen] if chosen else [])
    library.go(q=query)


# -- headline ------------------------------------------------------------------------------------------------------------


def headline(shown: Told) -> None:
    """Show the four figures at the top, with the change against the period of the same length before."""
    from opstore.analytics import usage_tables

    now = usage_tables.headline(shown.selection)
    then = usage_tables.headline(shown.before) if shown.before is not None else None
    voice = shown.voice
    with st.container(key="headline"):
        for column, (label, value, change, colour, help_) in zip(st.columns(4), _figures(now, then, voice), strict=True):
            column.metric(label, value, change, delta_color=colour, help=help_, delta_arrow="auto" if change else "off")
    st.caption(_basis(shown, now))


def _figures(
    now: dict[str, Any], then: dict[str, Any] | None, voice: ChartFormatter
) -> list[tuple[str, str, str | None, Any, str | None]]:
    rate = voice.rate(now["succeeded"], now["tried"], now["low"], now["high"]) if now["tried"] else "–"
    median = "–" if now["median_seconds"] is None else voice.seconds(now["median_seconds"])
    cost = "–" if now["cost"] is None else voice.money(now["cost"], now["currency"])
    if now["cost"] is not None and now["estimated"]:
        cost = _("about {amount}").format(amount=cost)
    priced = _("Cost known for {priced} of {all} operations, of these estimates: {estimated}.").format(
        priced=voice.number(now["priced"]), all=voice.number(now["operations"]), estimated=voice.number(now["estimated"])
    )
    timed = _("Time known for {timed} of {all} operations.").format(
        timed=voice.number(now["timed"]), all=voice.number(now["operations"])
    )
    tried = _("{succeeded} of {tried} operations that were not canceled; in parentheses, the 95% interval.").format(
        succeeded=voice.number(now["succeeded"]), tried=voice.number(now["tried"])
    )
    return [
        (_("Operations"), voice.number(now["operations"]), _change(now, then, "operations", voice), "off", None),
        (_("Success"), rate, _points(now, then, voice), "normal", tried),
        (_("Median time"), median, _change(now, then, "median_seconds", voice), "inverse", timed),
        (_("Cost"), cost, _change(now, then, "cost", voice), "off", priced),
    ]


def _change(now: dict[str, Any], then: dict[str, Any] | None, name: str, voice: ChartFormatter) -> str | None:
    """Return by how much a figure has changed, None where one of the two is not known."""
    if then is None or now[name] is None or not then[name]:
        return None
    if name == "cost" and now["currency"] != then["currency"]:
        return None
    return _signed(now[name] / then[name] - 1, voice)


def _points(now: dict[str, Any], then: dict[str, Any] | None, voice: ChartFormatter) -> str | None:
    """Return the change of success in points, None where either was counted on too few to tell."""
    from opstore.language.chart_formatter import TOLD_AS_COUNTS

    if then is None or min(now["tried"], then["tried"]) < TOLD_AS_COUNTS:
        return None
    points = 100 * (now["succeeded"] / now["tried"] - then["succeeded"] / then["tried"])
    return _("{points} pp").format(points=f"{'-' if round(points, 1) < 0 else '+'}{voice.number(abs(points), 1)}")


def _signed(change: float, voice: ChartFormatter) -> str:
    if change > 9.99:
        return _("× {times}").format(times=voice.number(change + 1, 1))
    return f"{'-' if round(change, 2) < 0 else '+'}{voice.share(abs(change))}"


def _basis(shown: Told, now: dict[str, Any]) -> str:
    """Return what the figures stand on: the days, what they are compared with, what could not be read."""
    from opstore.analytics import usage_tables

    voice, sentences = shown.voice, []
    ends = usage_tables.span(shown.selection)
    if ends:
        days = dict.fromkeys(map(voice.day, ends))
        sentences.append(f"{' – '.join(days)}.")
    if shown.before is not None:
        count = voice.number(len(shown.before))
        sentences.append(
            _("Changes are against the previous period of the same length; operations: {count}.").format(count=count)
        )
    else:
        sentences.append(_("Choose a period to see the change against the previous one."))
    if now["other_currencies"]:
        sentences.append(
            voice.ngettext(
                "{count} in another currency is not counted.",
                "{count} in other currencies are not counted.",
                now["other_currencies"],
            )
        )
    if shown.problems:
        sentences.append(
            voice.ngettext(
                "{count} operation of the folder cannot be read and is not counted.",
                "{count} operations of the folder cannot be read and are not counted.",
                shown.problems,
            )
        )
    return " ".join(sentences)


# -- charts --------------------------------------------------------------------------------------------------------------


def charts(service: Service, shown: Told) -> None:
    """Show the charts in the order of the questions: how much, how well, how fast, how dear, what for, which way, where to."""
    from opstore.analytics import content_charts, usage_charts

    if not len(shown.selection):
        search_results.nothing(service, shown.query)
        return
    section(_("Volume"))
    _row("how-much", shown, usage_charts.over_time, usage_charts.by_type)
    section(_("Success"))
    by = _by("success-by")
    _row("how-well", shown, partial(usage_charts.success, by=by), usage_charts.errors)
    section(_("Speed"))
    by = _by("times-by")
    _row("how-fast", shown, partial(usage_charts.times, by=by), partial(usage_charts.times, by=by, column="predict_seconds"))
    section(_("Cost"))
    _row("how-dear", shown, usage_charts.cost_over_time, usage_charts.cost_by_model)
    section(_("Prompts and settings"))
    prompts(service, shown)
    _row("what-for", shown, content_charts.words, content_charts.parameters, partial(content_charts.rhythm, zone=words.zone()))
    section(_("Ratings and votes"))
    _row("how-good", shown, content_charts.ratings, partial(content_charts.win_rates, votes=service.reviews.rows()))
    section(_("Routing"))
    _row("which-way", shown, content_charts.calibration, content_charts.workflows)
    section(_("Storage"))
    _row("how-large", shown, content_charts.storage)


def section(title: str) -> None:
    """Begin a question."""
    st.subheader(title, anchor=False)


def _by(key: str) -> str:
    names = {column.name: _(column.groups) for column in COLUMNS if column.groups}
    chosen = st.segmented_control(
        _("Group by"),
        list(names),
        default=next(iter(names)),
        required=True,
        format_func=names.__getitem__,
        key=key,
        label_visibility="collapsed",
    )
    return str(chosen or next(iter(names)))


def _row(key: str, shown: Told, *makers: Callable[..., Chart]) -> None:
    """Show charts beside each other; a mark that is chosen leads to the operations behind it."""
    component.charts(key=f"charts-{key}", drawn=[_made(shown, make) for make in makers], on_pick=drilldown.pick)


def _made(shown: Told, make: Callable[..., Chart]) -> dict[str, Any]:
    """Return a chart as the browser gets it, made once for the same rows, language and choices."""
    function, choices = (make.func, make.keywords) if isinstance(make, partial) else (make, {})
    key = (function.__module__, function.__name__, str(choices), shown.voice.language, shown.search)
    return shown.selection.once(key, lambda: sent(make(shown.selection, shown.search, shown.voice), shown.voice))


# -- prompts -------------------------------------------------------------------------------------------------------------


def prompts(service: Service, shown: Told) -> None:
    """Show the commonest prompts with an example picture each; each leads to its operations."""
    from opstore.analytics import content_tables

    tally = content_tables.top_prompts(shown.selection)
    parts.heading(_("Most used prompts"))
    if not len(tally.table):
        parts.note(_("No operation here has a prompt."))
        return
    key = ("prompts", shown.voice.language, shown.query)
    show(shown.selection.once(key, lambda: _prompt_table(service, shown, tally.table, tally.extra["currency"])))
    what = _("Different prompts: {count}; here are the most used, ignoring case, accents and punctuation.").format(
        count=shown.voice.number(tally.extra["different"])
    )
    lacking = shown.voice.ngettext("{count} has no prompt.", "{count} have no prompt.", tally.missing) if tally.missing else ""
    n = _("n = {n}.").format(n=shown.voice.number(tally.n))
    parts.small(" ".join(part for part in (what, n, lacking) if part))


def _prompt_table(service: Service, shown: Told, table: Any, currency: str | None) -> Markup:
    """Return the rows as a table of links: a grid drawn on a canvas has none that keys reach."""
    head = Markup("").join(
        Markup('<th scope="col">{}</th>').format(name)
        for name in ("", _("Prompt"), _("Operations"), _("Success"), _("Mean rating"), _("Cost"))
    )
    rows = Markup("").join(_prompt_row(service, shown, line, currency) for line in table.to_dict("records"))
    return Markup('<div class="ops-prompts"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(head, rows)


def _prompt_row(service: Service, shown: Told, line: dict[str, Any], currency: str | None) -> Markup:
    from opstore.analytics.usage_tables import wilson

    example = service.index.get(line["example"]) if line["example"] else None
    low, high = (float(end) for end in wilson(line["succeeded"], line["tried"]))
    prompt, voice = shortened(line["prompt"]), shown.voice
    address = _same_prompt(shown.query, line["prompt"])
    picture = Markup('<img src="{}" alt="" loading="lazy">')
    row = Markup("<tr><td>{}</td><th scope='row'>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>")
    return row.format(
        picture.format(parts.thumbnail_address(example.output)) if example and example.output else "",
        Markup('<a href="{}" target="_self">{}</a>').format(address, prompt),
        voice.number(line["n"]),
        voice.rate(line["succeeded"], line["tried"], low, high) if line["tried"] else "–",
        f"{voice.number(line['rating'], 1)} ★" if line["rated"] else "–",
        voice.money(line["cost"], currency) if line["priced"] else "–",
    )


def _same_prompt(query: str, prompt: str) -> str:
    """Return the address of the library on just the operations that a line counts: a phrase would also find longer prompts."""
    from opstore.analytics.drilldown import Mark
    from opstore.index.prompts import prompt_key

    mark = Mark("prompt", " ".join(prompt.split())[:60], str(prompt_key(prompt)))
    return "/library?" + urlencode({"q": query, "mark": str(mark)}, errors="replace")
