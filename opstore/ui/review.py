"""The parts of the blind review: the reviews there are, the booth, and what the votes come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from opstore.access.roles import LOCAL, Person
from opstore.analytics.ranking import Standing, win_rates
from opstore.comparing.differences import differing, spelt
from opstore.comparing.reviews import MAX_NAME, Pair, Review, Reviews, Voter
from opstore.errors import OpstoreError
from opstore.index.prompts import prompt_key
from opstore.index.terms import fold_name
from opstore.service import Service
from opstore.storage.names import is_video
from opstore.storage.operation import Operation
from opstore.ui import parts, presses, words
from opstore.ui.components.choices import choices
from opstore.ui.components.vote import booth, cast_in
from opstore.ui.markup import Markup, show
from opstore.ui.words import _, ngettext

#: Characters of a prompt in a table of results.
MAX_PROMPT = 80


def begin(service: Service) -> None:
    """Begin a review of what was chosen in the library, or of a search, and show those there are."""
    chosen = st.session_state.get("review-ids", [])
    parts.note(
        _("Two results at a time, without naming the model: choose the better one. Results of the same prompt come first.")
    )
    if service.may(Reviews.begin):
        _form(service, chosen)
    else:
        parts.note(_("Your role shows review results; the reviewer role is needed to start one or to vote."))
    found = service.reviews.all()
    if found:
        st.subheader(_("Reviews"), anchor=False)
        opened = choices([(review.title, "", review.id) for review in found], key="reviews")
        if opened:
            _open(opened)


def _form(service: Service, chosen: list[str]) -> None:
    with st.form("begin-review", border=False):
        title = st.text_input(_("Title"), max_chars=60)
        query = (
            ""
            if chosen
            else st.text_input(_("Search for the results to compare"), placeholder=_("castle type:text_to_image date:7d"))
        )
        if chosen:
            st.caption(ngettext("{count} chosen in the library", "{count} chosen in the library", len(chosen)))
        if parts.submit(_("Start"), type="primary", key="begin"):
            _begin(service, title, chosen, query)


def _begin(service: Service, title: str, chosen: list[str], query: str) -> None:
    begun = st.session_state.setdefault("review-begun", [])
    if presses.doubled(f"begin {title} {chosen} {query}") and begun:
        _open(begun[-1])
    try:
        review = service.reviews.begin(title, ids=chosen) if chosen else service.reviews.begin(title, query=query)
    except OpstoreError as error:
        parts.show_error(error)
    else:
        begun[:] = [review.id]
        st.session_state.pop("review-ids", None)
        _open(review.id)


def _open(review_id: str) -> None:
    st.query_params["id"] = review_id
    st.rerun()


# -- voting --------------------------------------------------------------------------------------------------------------


def vote(service: Service, review_id: str) -> None:
    """Let a person vote in a review, and show its results to who asks; raise OperationNotFound for one that is not there."""
    review = service.reviews.get(review_id)
    parts.entitle(_("Blind review"), review.title)
    votes = service.may(Reviews.vote)
    with st.container(horizontal=True, vertical_alignment="bottom", key="review-strip"):
        name = _voter(service.person) if votes else ""
        view = (
            "results"
            if not votes
            else st.segmented_control(
                _("View"),
                ["vote", "results"],
                default="vote",
                required=True,
                format_func={"vote": _("Vote"), "results": _("Results")}.__getitem__,
                key="review-view",
                label_visibility="collapsed",
            )
        )
        st.page_link(parts.REVIEW, label=_("All reviews"), query_params={})
    if view == "results":
        results(service, review)
        return
    try:
        voter = Voter(name or _("somebody"), service.person.identity)
    except OpstoreError as error:
        parts.show_error(error)
        return
    _cast(service.reviews, review, voter)
    _pair(service, review, voter)


def _voter(person: Person) -> str:
    """Return what votes are shown under: nobody who has signed in votes under another's name."""
    if person != LOCAL:
        return person.name[:MAX_NAME]
    return st.text_input(_("Your name"), key="voter", max_chars=60, width=220, persist_state="session")


def _cast(reviews: Reviews, review: Review, voter: Voter) -> None:
    """Take in what has just arrived from the booth, before the next pair is drawn: the component tells it once."""
    cast = cast_in("booth")
    if cast is None or st.session_state.get("cast-turn") == cast.turn:
        return  # none, or one that came twice
    st.session_state["cast-turn"] = cast.turn
    try:
        if cast.choice == "undo":
            reviews.take_back(review.id, voter)
        else:
            reviews.vote(review.id, voter, Pair(cast.left, cast.right), cast.choice)
    except OpstoreError as error:
        parts.show_error(error)


def _pair(service: Service, review: Review, voter: Voter) -> None:
    reviews = service.reviews
    mine = reviews.votes(review.id, voter)
    upcoming = reviews.upcoming(review, voter)
    st.caption(ngettext("{count} vote cast", "{count} votes cast", sum(not vote.skipped for vote in mine)))
    if not upcoming:
        parts.note(_("All done: you have seen every pair. The results are one click away."))
        if mine and parts.button(_("Undo the last vote"), key="take-back"):
            reviews.take_back(review.id, voter)
            st.rerun()
        return
    pair, *further = upcoming
    sides = {name: reviews.operation(item) for name, item in (("left", pair.left), ("right", pair.right))}
    prompts = list(dict.fromkeys(item.prompt for item in sides.values() if item))
    booth(
        key="booth",
        pair={**{name: _side(item) for name, item in sides.items() if item}, "prompt": "\n".join(prompts)},
        ahead=[_side(item)["src"] for two in further for item in map(reviews.operation, (two.left, two.right)) if item],
        undo=bool(mine),
        turn=[len(mine), st.session_state.get("cast-turn")],
        words={
            "left": _("Left is better"),
            "right": _("Right is better"),
            "tie": _("Equal"),
            "skip": _("Skip"),
            "undo": _("Undo"),
            "votes": _("Vote"),
        },
    )


def _side(operation: Operation) -> dict[str, Any]:
    name = operation.output or ""
    return {"id": operation.id, "src": parts.file_address(name), "video": is_video(name)}


# -- results -------------------------------------------------------------------------------------------------------------


def results(service: Service, review: Review) -> None:
    """Show what the votes of a review come to, by model, prompt or a parameter."""
    votes = [vote for vote in service.reviews.votes(review.id) if not vote.skipped]
    if not votes:
        parts.note(_("Nobody has voted yet."))
        return
    found = {
        item: service.reviews.operation(item) for item in dict.fromkeys(one for vote in votes for one in (vote.left, vote.right))
    }
    operations = {name: operation for name, operation in found.items() if operation}
    names = ["model", "prompt", *_differing(list(operations.values()))]
    by = st.segmented_control(
        _("By"),
        names,
        default="model",
        required=True,
        format_func=lambda name: {"model": _("Model"), "prompt": _("Prompt")}.get(name) or words.parameter_name(name),
        key="review-by",
    )
    rows = [{"left": vote.left, "right": vote.right, "winner": vote.winner} for vote in votes]
    standings = win_rates(rows, naming(operations, by or "model"))
    people = len({vote.person for vote in votes})
    told = [ngettext("{count} vote", "{count} votes", len(votes)), ngettext("{count} person", "{count} people", people)]
    st.caption(" · ".join(told))
    if standings:
        _standings(standings)
    else:
        parts.note(_("No vote compared two results that differ in this."))


def _differing(operations: list[Operation]) -> list[str]:
    return [name for name, _values in differing(operations) if name not in ("operationType", "model", "provider")]


def naming(operations: dict[str, Operation], by: str) -> Callable[[str], str | None]:
    """Return what says the name of an operation's model, prompt or parameter; what a search takes for one has one name."""
    shown: dict[str | int, str] = {}

    def name(operation_id: str) -> str | None:
        operation = operations.get(operation_id)
        if operation is None:
            return None
        if by == "model":
            model = operation.model or _("unknown")
            return shown.setdefault(fold_name("model", model), model)
        if by == "prompt":
            return shown.setdefault(prompt_key(operation.prompt), " ".join(operation.prompt.split()))
        value = operation.parameters().get(by)
        return None if value is None else shown.setdefault(spelt(value), str(words.choice_name(value)))

    return name


def _standings(standings: list[Standing]) -> None:
    """Show win rates as bars with their intervals, in the order of the intervals' low ends."""
    head = (_("Win rate"), _("95% interval"), _("Votes"))
    line = Markup(
        '<tr><th scope="row">{}</th><td><span class="ops-rate" style="--rate: {}; --low: {}; --high: {}"><i></i></span></td>'
        "<td>{}</td><td>{}</td><td>{}</td></tr>"
    )
    body = Markup("").join(
        line.format(
            str(item.name)[:MAX_PROMPT],
            *(f"{value:.4f}" for value in (item.rate, item.low, item.high)),
            _percent(item.rate),
            words.spoken().interval(item.low, item.high),
            words.number(item.votes),
        )
        for item in standings
    )
    columns = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in head)
    table = Markup('<table class="ops-facts ops-standings"><thead><tr><th></th><th></th>{}</tr></thead><tbody>{}</tbody></table>')
    show(table.format(columns, body))
    st.caption(
        _(
            "Chance of beating an average entry in this list (Bradley-Terry), ordered by the low end of the "
            "interval; where intervals overlap, nothing is decided yet."
        )
    )


def _percent(share: float) -> str:
    return words.spoken().share(share)
