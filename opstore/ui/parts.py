"""Pieces that several pages show; every stored text in them is escaped or literal, so that a prompt is only ever a prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from opstore.comparing.differences import word_changes
from opstore.errors import OpstoreError
from opstore.launcher import PAGES
from opstore.media import MediaType
from opstore.providers import registry
from opstore.providers.models import Model, ModelTable
from opstore.service import Service
from opstore.spending.budget import Spending, rounded_up
from opstore.spending.spent import money
from opstore.storage.operation import Operation
from opstore.ui import controls, presses, words
from opstore.ui.components.gallery import Tile
from opstore.ui.markup import Markup, css, show
from opstore.ui.streamlit_private import styles as streamlit_styles
from opstore.ui.words import _

#: Letters of a thing in the title of a tab, which shows some thirty, and the window list and history more.
TITLE = 80
STYLE = Path(__file__).with_name("style.css")
#: Pages that others lead to.
CREATE, LIBRARY, COMPARE, LINEAGE, REVIEW = (
    PAGES / f"{name}.py" for name in ("create", "library", "compare", "lineage", "review")
)


def button(label: str, *, key: str, disabled: bool = False, **options: Any) -> bool:
    """Show a button and say whether it was pressed: once a press, however many runs of the page it took to get here.

    Whoever is told so is not interrupted before the end of this run.
    """
    st.button(label, key=key, disabled=disabled, on_click=presses.note, args=(presses.noted(), key), **options)
    return _taken(key, disabled)


def submit(label: str, *, key: str, disabled: bool = False, **options: Any) -> bool:
    """Show the button of a form and say whether it was pressed, as `button` does."""
    st.form_submit_button(label, key=key, disabled=disabled, on_click=presses.note, args=(presses.noted(), key), **options)
    return _taken(key, disabled)


def _taken(key: str, disabled: bool) -> bool:
    pressed = presses.take(key) is not None
    if pressed and disabled:
        too_late()
    return pressed and not disabled


def saved(label: str, address: str) -> None:
    """Show a link that looks like a button, and behind which the browser saves what is at an address of ours."""
    show(Markup('<a class="ops-save" href="{}" download>{}</a>').format(address, label))


def too_late() -> None:
    """Say that what was pressed could not be done any more."""
    st.toast(_("That action was no longer available when your click arrived. Nothing was done."))


def press(key: str) -> None:
    """Press a button of the next run."""
    presses.note(presses.noted(), key)


def style() -> None:
    """Give the page the forms that Streamlit has no widget for, its grounds, and words where Streamlit has English only."""
    css(streamlit_styles.sheet() + STYLE.read_text() + controls.style())
    colours = "".join(
        f"--ops-{name}: light-dark({st.get_option(f'theme.light.{option}')}, {st.get_option(f'theme.dark.{option}')}); "
        for name, option in (("ground", "backgroundColor"), ("line", "borderColor"))
    )
    uploads = streamlit_styles.uploads(_("Choose files"), _("JPG, PNG, WebP, GIF, HEIC or AVIF, up to 10 MB each"))
    css(f"{streamlit_styles.app(colours)} {uploads}")


def entitle(page: str, thing: str = "") -> None:
    """Let the browser's tab name the page, and the thing it shows."""
    thing = " ".join(thing.split())
    short = thing if len(thing) <= TITLE else f"{thing[: TITLE - 1]}…"
    title = words.labelled(page, short) if short else page
    st.set_page_config(page_title=f"{title} · opstore")


# -- texts ---------------------------------------------------------------------------------------------------------------


def note(text: str, *, bad: bool = False) -> None:
    """Show a calm line, or what went wrong; the text is literal."""
    template = (
        Markup('<div class="ops-note bad" role="alert">{}</div>') if bad else Markup('<div class="ops-note" role="note">{}</div>')
    )
    show(template.format(text))


def heading(text: str) -> None:
    """Show what a part of the page is about; the text is literal."""
    show(Markup('<h3 class="ops-heading">{}</h3>').format(text))


def small(text: str) -> None:
    """Show a sentence under something; the text is literal."""
    show(Markup('<p class="ops-small">{}</p>').format(text))


def show_error(error: OpstoreError) -> None:
    """Show what happened in the viewer's language: the one place where an error becomes something on screen."""
    note(words.told(error), bad=True)


def plain(text: str) -> str:
    """Return a text that stays what it is where Streamlit would read Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()<>#+-.!|~:$@" else letter for letter in text)


def prompt(text: str) -> None:
    """Show a prompt, whole and literal."""
    show(Markup('<p class="ops-prompt" dir="auto">{}</p>').format(text))


def changes(before: str, after: str) -> None:
    """Show a prompt as a change of another one, word by word."""
    gone, new = Markup('<del aria-label="{}">{}</del>'), Markup('<ins aria-label="{}">{}</ins>')
    pieces = Markup("").join(
        gone.format(_("removed"), text) if kind == "gone" else new.format(_("added"), text) if kind == "new" else text
        for kind, text in word_changes(before, after)
    )
    show(Markup('<p class="ops-prompt ops-changes" dir="auto">{}</p>').format(pieces))


def facts(rows: Mapping[str, str | None], *, stacked: bool = False) -> None:
    """Show names and values as a table, each value under its name where `stacked`; rows without a value are left out."""
    row = Markup('<tr><th scope="row">{}</th><td>{}</td></tr>')
    cells = Markup("").join(row.format(name, value) for name, value in rows.items() if value)
    show(Markup('<table class="ops-facts {}">{}</table>').format("stacked" if stacked else "", cells))


def sidecar(operation: Operation) -> None:
    """Show an operation's sidecar as it is stored."""
    st.code(json.dumps(operation.sidecar, ensure_ascii=False, indent=2), language="json", wrap_lines=True)


# -- pictures ------------------------------------------------------------------------------------------------------------


def file_address(name: str) -> str:
    """Return the address of a stored media file; the name has passed the grammar, so nothing in it needs quoting."""
    return f"/api/files/{name}?shown=1" if name.endswith(".heic") else f"/api/files/{name}"


def thumbnail_address(name: str) -> str:
    """Return the address of a stored file's thumbnail."""
    return f"/api/thumbnails/{name}"


def media(service: Service, name: str, alt: str, caption: str = "", *, of: Operation) -> None:
    """Show a picture or video of an operation by its true pixels; what is missing or no picture is said in words."""
    try:
        kind = service.media(name)
    except OpstoreError as error:
        show_error(error)
        return
    if kind is None:
        note(_("This file is not a picture or video that can be shown."))
        return
    label = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
    ratio, element = _ratio(of, name), _element(name, alt, kind)
    if ratio:
        sized = Markup('<figure class="ops-media sized" style="--ratio: {}">{}{}</figure>')
        show(sized.format(f"{ratio:.4f}", element, label))
    else:
        show(Markup('<figure class="ops-media">{}{}</figure>').format(element, label))


def _ratio(operation: Operation, name: str) -> float | None:
    """Return width by height as the sidecar has them, so that a picture's place is known before it has arrived."""
    files = operation.sidecar.get("files")
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, Mapping) and entry.get("name") == name:
            wide, high = entry.get("width"), entry.get("height")
            if isinstance(wide, int) and isinstance(high, int) and 0 < wide <= 100_000 and 0 < high <= 100_000:
                return wide / high
    return None


def _element(name: str, alt: str, kind: MediaType) -> Markup:
    if kind.kind == "video":
        player = Markup('<video src="{}" poster="{}" controls loop muted playsinline preload="metadata" aria-label="{}"></video>')
        return player.format(file_address(name), thumbnail_address(name), alt)
    return Markup('<img src="{}" alt="{}">').format(file_address(name), alt)


def tile(operation: Operation) -> Tile:
    """Return an operation as a tile of a gallery."""
    shown = operation.output or (operation.inputs[0] if operation.inputs else None)
    video = (operation.output or "").endswith((".mp4", ".webm"))
    tones = {"stored": "", "failed": "failed", "result missing": "failed", "unknown": "unknown"}
    playing = "▶" if video else ""
    badge = playing if operation.status == "stored" else words.status_name(operation.status)
    title = " ".join(operation.prompt.split()) or words.type_name(operation.type)
    return Tile(
        id=operation.id,
        source=thumbnail_address(shown) if shown else None,
        alt=words.labelled(words.type_name(operation.type), title[:120]),
        title=title[:120],
        badge=badge,
        tone=tones.get(operation.status, "quiet"),
    )


# -- facts of an operation -----------------------------------------------------------------------------------------------


def cost_text(cost: Mapping[str, Any] | None) -> str | None:
    """Return what an operation cost, an estimate saying so; None where it is not known."""
    if not cost or money(cost) is None:
        return None
    if not cost["amount"] and not cost.get("estimated"):
        return _("free")
    currency = cost.get("currency")
    currency = currency if isinstance(currency, str) else None
    return words.spoken().cost(cost["amount"], currency, estimated=bool(cost.get("estimated")))


def price_text(model: Model) -> str:
    """Return a model's list price in words, or that it is not known."""
    price = model.price
    if price is None or price.amount is None:
        return _("several, by its parameters") if price is not None else _("unknown")
    if not price.amount:
        return _("free")
    units = {
        "image": _("an image"),
        "second_of_video": _("a second of video"),
        "second_of_compute": _("a second of computing"),
        "run": _("a run"),
    }
    return f"{words.money(price.amount, price.currency)} {units[price.per]}"


def models(table: ModelTable) -> None:
    """Show every model with what it makes and its price, and what is wrong in the table."""
    prices = [
        {
            _("Model"): model.name,
            _("Operation types"): ", ".join(words.type_name(kind) for kind in model.types),
            _("Price"): price_text(model),
            _("Price as of"): model.price.date if model.price else None,
        }
        for model in table.by_name.values()
    ]
    st.dataframe(prices, hide_index=True, width="stretch")
    for problem in table.problems:
        note(problem, bad=True)
    st.caption(_("To add a model or correct a price, edit models.toml in the data folder (see docs/models.md)."))


def with_absent(titles: Mapping[str, str], chosen: str) -> dict[str, str]:
    """Return choices with their titles, one more for what is `chosen` and not to be had here: it stays until another is."""
    return {**titles, **({} if chosen in titles else {chosen: _("{name} (not available here)").format(name=chosen)})}


def tokens(settings: Mapping[str, str]) -> None:
    """Say of each provider that needs a token whether it is there, and nothing else of it."""
    for item in registry.elsewhere():
        if item.broken:
            continue
        if item.is_set_up(settings):
            text = _("A {provider} API token is set. It is read from the environment, and is never shown, stored or logged.")
        else:
            text = _(
                "No {provider} API token is set. To use its models, start opstore with the variable {variable}; the "
                "token itself is never shown, stored or logged."
            )
        note(text.format(provider=item.title, variable=item.token))


def faults(service: Service) -> None:
    """Say what of the settings and providers cannot be used; what is wrong with models stands beside these."""
    for problem in service.setup_problems():
        if problem not in service.table.problems:
            note(words.stored(problem), bad=True)


def spent(spending: Spending) -> None:
    """Show what was spent and what is bound, in one line."""
    st.caption(
        _(
            "Spent: {today} today, {month} this month (UTC, estimates included); {bound} reserved for operations in progress."
        ).format(
            today=words.money(rounded_up(spending.today)),
            month=words.money(rounded_up(spending.month)),
            bound=words.money(rounded_up(spending.bound)),
        )
    )
    if spending.month_others:
        text = _("Not in these sums, since nothing is converted: what was paid this month in another currency ({currencies}).")
        st.caption(text.format(currencies=", ".join(sorted(spending.month_others))))
