"""The page of what was handed on, one file of HTML: behind a link, or the index of an offline bundle; no control of the app.

Style and program stand in it, so that a policy by their hashes lets nothing else run and nothing be loaded but its own pictures.
Every stored text goes through `Markup.format`, which escapes it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from babel.dates import format_date
from markupsafe import Markup

from opstore import browser
from opstore.language.formats import Formatter
from opstore.language.translations import choice_name, parameter_name, status_name, translated, type_name
from opstore.media.provenance import IN_WORDS
from opstore.shares.record import Scope
from opstore.shares.redaction import Item, Picture
from opstore.storage.operation import timestamp

_HERE = Path(__file__).parent
_CSS = browser.DIVIDER.read_text("utf-8") + (_HERE / "page.css").read_text("utf-8")
_JS = browser.script(_HERE / "compare.js")

#: Where a picture is: (picture, whether the small copy of it) → address.
Address = Callable[[Picture, bool], str]


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever reads the page, and where its pictures are for them."""

    language: str
    address: Address

    def say(self, text: str) -> str:
        """Return a text in the reader's language."""
        return translated(text, self.language)

    @property
    def spoken(self) -> Formatter:
        """Return the reader's language."""
        return Formatter(self.language)

    def count(self, one: str, many: str, count: int) -> str:
        """Return the form for `count` in the reader's language."""
        return self.spoken.ngettext(one, many, count)


# -- whole pages ---------------------------------------------------------------------------------------------------------


def gallery(
    scope: Scope, items: Sequence[Item], reader: Reader, expires: datetime | None = None, *, offline: bool = False
) -> str:
    """Return the page that shows `items`, and says what is missing; `offline` for one that is opened as a file."""
    _, ngettext = reader.say, reader.count
    title = scope.title or _title(scope, items, reader)
    about = [ngettext("{count} result", "{count} results", len(items))] if len(items) > 1 and scope.title else []
    if expires:
        about.append(_("until {day}").format(day=format_date(expires, "medium", locale=reader.language)))
    if not items:
        about.append(_("This content was removed."))
    elif missing := len(scope.operations) - len(items):
        about.append(
            ngettext(
                "{count} result is missing: removed, or unreadable.",
                "{count} results are missing: removed, or unreadable.",
                missing,
            )
        )
    if unread := sum(item.unread for item in items):
        about.append(ngettext("{count} file could not be read.", "{count} files could not be read.", unread))
    head = Markup("<header><h1>{}</h1>{}</header>").format(title, _line("p", " · ".join(about)))
    if scope.kind == "comparison" and len(items) > 1:
        body = _comparison(items, reader)
    else:
        body = _sheet(items, reader) + Markup("").join(_section(item, len(items) > 1, reader) for item in items)
    foot = Markup("<footer>opstore</footer>")
    content = Markup("{}<main>{}</main>{}<script>{}</script>").format(head, body, foot, Markup(_JS))
    return _document(title, content, reader.language, offline=offline)


def sentence(text: str, language: str) -> str:
    """Return the page that says one thing: that a link has ended, say."""
    return _document("opstore", Markup('<main class="alone"><h1>opstore</h1><p>{}</p></main>').format(text), language)


def password(wrong: str, language: str) -> str:
    """Return the page that asks for a password; `wrong` is what was wrong with the last one, if anything."""
    _ = Reader(language, lambda _picture, _small: "").say
    form = Markup(
        '<main class="alone"><h1>{}</h1>{}<form method="post"><label for="password">{}</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>'
        '<button type="submit">{}</button></form></main>'
    )
    told = Markup('<p class="bad" role="alert">{}</p>').format(wrong) if wrong else Markup("")
    return _document("opstore", form.format(_("This link asks for a password."), told, _("Password"), _("Open")), language)


def policy(*, offline: bool = False) -> str:
    """Return what the page may do: show its own pictures and run its own program; no request goes anywhere else."""
    own = "'self' file:" if offline else "'self'"
    post = "" if offline else " form-action 'self'; frame-ancestors 'none';"
    return (
        f"default-src 'none'; img-src {own}; media-src {own}; style-src {_hash(_CSS)}; script-src {_hash(_JS)};"
        f"{post} base-uri 'none'"
    )


@functools.cache
def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _document(title: str, body: Markup, language: str, *, offline: bool = False) -> str:
    # A file has no headers to carry the policy.
    meta = Markup('<meta http-equiv="Content-Security-Policy" content="{}">').format(policy(offline=True)) if offline else ""
    document = Markup(
        '<!doctype html>\n<html lang="{}">\n<head>\n<meta charset="utf-8">{}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        '<meta name="referrer" content="no-referrer">\n<title>{}</title>\n<style>{}</style>\n</head>\n'
        "<body>\n{}\n</body>\n</html>\n"
    )
    return str(document.format(language, meta, title, Markup(_CSS), body))


# -- parts ---------------------------------------------------------------------------------------------------------------


def _title(scope: Scope, items: Sequence[Item], reader: Reader) -> str:
    _ = reader.say
    if scope.kind == "comparison":
        return _("Comparison")
    if len(items) == 1:
        return type_name(items[0].type, reader.say)
    return reader.count("{count} result", "{count} results", len(items))


def _line(tag: str, text: str) -> Markup:
    if not text:
        return Markup("")
    return {"p": Markup("<p>{}</p>"), "h2": Markup("<h2>{}</h2>"), "caption": Markup("<figcaption>{}</figcaption>")}[tag].format(
        text
    )


def _sheet(items: Sequence[Item], reader: Reader) -> Markup:
    """Return all of them small, each a way to its place."""
    if len(items) < 2:
        return Markup("")
    tile = Markup('<a href="#n{}" aria-label="{}">{}<span aria-hidden="true">{}</span></a>')
    tiles = []
    for item in items:
        shown = next(iter(item.of("result", "between", "input")), None)
        picture = Markup('<img src="{}" alt="" loading="lazy">').format(reader.address(shown, True)) if shown else Markup("")
        tiles.append(tile.format(item.number, reader.spoken.labelled(str(item.number), _alt(item, reader)), picture, item.number))
    return Markup('<nav class="sheet">{}</nav>').format(Markup("").join(tiles))


def _section(item: Item, numbered: bool, reader: Reader) -> Markup:
    head = _line("h2", f"{item.number}. {type_name(item.type, reader.say)}") if numbered else Markup("")
    prompt = Markup('<p class="prompt">{}</p>').format(item.prompt) if item.prompt else Markup("")
    facts = _table({name: [text] for name, text in _facts(item, reader).items()})
    return Markup('<section id="n{}">{}{}{}{}</section>').format(item.number, head, _stage(item, reader), prompt, facts)


def _stage(item: Item, reader: Reader) -> Markup:
    """Return the results: over what they were made from where both are pictures, else as they are."""
    _ = reader.say
    results, inputs = item.of("result", "between"), item.of("input")
    if not results:
        about = _("This operation has no result.") if item.status == "stored" else status_name(item.status, _)
        return _line("p", about) + _row(inputs, item, reader)
    stills = [picture for picture in results if picture.media.kind == "image"]
    before = [picture for picture in inputs if picture.media.kind == "image"]
    if stills and before and results[0] in stills:
        left = [(picture, _named(picture, reader) if len(before) > 1 else _("Before")) for picture in before]
        right = [(picture, _named(picture, reader) if len(stills) > 1 else _("After")) for picture in stills]
        alts = {picture.key: _alt(item, reader) for picture in (*before, *stills)}
        rest = [picture for picture in results if picture not in stills]
        return _compare(left, right, alts, reader) + _row(rest, item, reader)
    from_ = Markup("").join(_figure(picture, item, reader, small=True) for picture in inputs)
    return _row(results, item, reader) + (Markup('<div class="from">{}</div>').format(from_) if from_ else Markup(""))


def _row(pictures: Sequence[Picture], item: Item, reader: Reader) -> Markup:
    if not pictures:
        return Markup("")
    return Markup('<div class="row">{}</div>').format(Markup("").join(_figure(one, item, reader) for one in pictures))


def _figure(picture: Picture, item: Item, reader: Reader, *, small: bool = False, caption: str = "") -> Markup:
    shown = caption or (_named(picture, reader) if small or picture.number > 1 or picture.role != "result" else "")
    element = _element(picture, _alt(item, reader), reader, small=small)
    return Markup('<figure class="whole">{}{}</figure>').format(element, _line("caption", shown))


def _element(picture: Picture, alt: str, reader: Reader, *, small: bool = False) -> Markup:
    size = _size(picture)
    if picture.media.kind == "video" and not small:
        video = Markup(
            '<video src="{}" poster="{}" controls loop muted playsinline preload="metadata" aria-label="{}"{}></video>'
        )
        return video.format(reader.address(picture, False), reader.address(picture, True), alt, size)
    image = Markup('<img src="{}" alt="{}" loading="lazy"{}>').format(reader.address(picture, small), alt, size)
    return Markup('<a href="{}">{}</a>').format(reader.address(picture, False), image) if small else image


def _size(picture: Picture) -> Markup:
    if not picture.width or not picture.height:
        return Markup("")
    return Markup(' width="{}" height="{}"').format(picture.width, picture.height)


def _compare(
    left: Sequence[tuple[Picture, str]], right: Sequence[tuple[Picture, str]], alts: Mapping[str, str], reader: Reader
) -> Markup:
    """Return two pictures over each other, the first of each side; the others are a button away."""
    _ = reader.say
    (first, one), (second, other) = left[0], right[0]
    image = Markup('<img class="{}" src="{}" alt="{}"{}>')
    pair = Markup(
        '<div class="pair">{}{}<span class="tag l">{}</span><span class="tag r">{}</span><button type="button" class="divider"'
        ' role="slider" aria-label="{}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="50"></button></div>'
    ).format(
        image.format("right", reader.address(second, False), reader.spoken.labelled(other, alts[second.key]), _size(second)),
        image.format("left", reader.address(first, False), reader.spoken.labelled(one, alts[first.key]), _size(first)),
        one,
        other,
        _("Compare: how much of the left picture is shown"),
    )
    view = Markup('<button type="button" data-view="{}" aria-pressed="{}">{}</button>')
    views = view.format("over", "true", _("Slider")) + view.format("beside", "false", _("Side by side"))
    choices = Markup("").join(
        Markup('<span role="group" aria-label="{}"><i aria-hidden="true">{}</i>{}</span>').format(
            name, name, _choices(side, pictures, alts, reader)
        )
        for side, name, pictures in (("left", _("Left"), left), ("right", _("Right"), right))
        if len(pictures) > 1
    )
    note = _("The two have different shapes: each is shown whole, in the middle.")
    figure = Markup(
        '<figure class="compare">{}<p class="note" hidden>{}</p><div class="controls">{}<span>{}</span></div></figure>'
    )
    return figure.format(pair, note, choices, views)


def _choices(side: str, pictures: Sequence[tuple[Picture, str]], alts: Mapping[str, str], reader: Reader) -> Markup:
    button = Markup(
        '<button type="button" data-side="{}" data-source="{}" data-label="{}" data-alt="{}" data-wide="{}" data-high="{}"'
        ' aria-pressed="{}">{}</button>'
    )
    return Markup("").join(
        button.format(
            *(side, reader.address(picture, False), label, reader.spoken.labelled(label, alts[picture.key])),
            *(picture.width or "", picture.height or "", "true" if place == 0 else "false", label),
        )
        for place, (picture, label) in enumerate(pictures)
    )


def _comparison(items: Sequence[Item], reader: Reader) -> Markup:
    """Return two to four results against each other, and the table of what differs."""
    _ = reader.say
    letters = dict(zip((item.number for item in items), ascii_uppercase, strict=False))
    shown = [(item, found[0]) for item in items if (found := item.of("result", "between"))]
    stills = [(picture, letters[item.number]) for item, picture in shown if picture.media.kind == "image"]
    alts = {picture.key: _alt(item, reader) for item, picture in shown}
    if len(stills) == len(shown) > 1:
        left, right = (stills[:1], stills[1:]) if len(stills) == 2 else (stills, [stills[1], stills[0], *stills[2:]])
        stage = _compare(left, right, alts, reader)
    else:
        figures = (_figure(picture, item, reader, caption=letters[item.number]) for item, picture in shown)
        stage = Markup('<div class="row together">{}</div>').format(Markup("").join(figures))
        if sum(picture.media.kind == "video" for _item, picture in shown) > 1:
            stage += Markup('<div class="controls"><button type="button" class="play">{}</button></div>').format(
                _("Play all together")
            )
    rows: dict[str, list[Any]] = {"": [letters[item.number] for item in items]}
    known = [({_("Prompt"): item.prompt} if item.prompt else {}) | _facts(item, reader) for item in items]
    for name in dict.fromkeys(name for facts in known for name in facts):
        rows[name] = [facts.get(name, "") for facts in known]
    same = ("", _("Created"), _("Id"))
    return Markup("<section>{}{}</section>").format(stage, _table(rows, same) if len(rows) > 1 else Markup(""))


def _table(rows: Mapping[str, Sequence[Any]], same: Sequence[str] = ()) -> Markup:
    """Return names and values; a row whose values differ is set apart, but for those where that says nothing."""
    if not rows:
        return Markup("")
    lines = []
    for name, values in rows.items():
        cells = Markup("").join(Markup("<td>{}</td>").format(value) for value in values)
        differs = name not in same and len(set(values)) > 1
        lines.append(Markup('<tr class="{}"><th scope="row">{}</th>{}</tr>').format("differs" if differs else "", name, cells))
    several = "several" if max(map(len, rows.values())) > 1 else ""
    return Markup('<table class="{}">{}</table>').format(several, Markup("").join(lines))


def _facts(item: Item, reader: Reader) -> dict[str, Any]:
    _ = reader.say
    rows: dict[str, Any] = {_("Origin"): reader.say(IN_WORDS[item.source])} if item.source else {}
    rows |= {_("Model"): item.model} if item.model else {}
    rows |= {parameter_name(name, _): _value(value, reader) for name, value in (item.parameters or {}).items()}
    if item.moment:
        told = Markup('<time datetime="{}">{}</time>')
        rows[_("Created")] = told.format(timestamp(item.moment), reader.spoken.minute(item.moment))
    if item.id:
        rows[_("Id")] = item.id
    return rows


def _value(value: object, reader: Reader) -> str:
    if isinstance(value, bool):
        _ = reader.say
        return _("yes") if value else _("no")
    return reader.spoken.decimal(value) if isinstance(value, float) else choice_name(value, reader.say)


def _named(picture: Picture, reader: Reader) -> str:
    _ = reader.say
    if picture.role == "input":
        return _("Input image {number}").format(number=picture.number)
    if picture.role == "between":
        return _("Intermediate")
    return f"{_('Result')} {picture.number}" if picture.number > 1 else _("Result")


def _alt(item: Item, reader: Reader) -> str:
    name = type_name(item.type, reader.say)
    return reader.spoken.labelled(name, " ".join(item.prompt.split())[:200]) if item.prompt else name
