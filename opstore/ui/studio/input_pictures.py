"""Pictures given to a request: dropped, pasted, or taken from the library; each shown in the order in which it counts.

The upload widget forgets what it holds when another page is shown; what it held is kept then, as pasted pictures are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from opstore.errors import OpstoreError
from opstore.media import renderings
from opstore.service import Service
from opstore.storage.names import is_video, parse_name
from opstore.storage.saving import MAX_INPUT_BYTES, MAX_INPUTS, check_image
from opstore.ui import parts
from opstore.ui.components.gallery import gallery
from opstore.ui.components.paste import brought
from opstore.ui.opened_app import stay
from opstore.ui.words import _

#: In the session while the picker is open: the page is run anew meanwhile, where a job has ended, say.
_PICKING = "picking"
PICTURE_TYPES = ["jpg", "jpeg", "png", "webp", "gif", "heic", "heif", "avif"]


@dataclass(frozen=True, slots=True)
class Given:
    """A picture given, and the operations whose outputs it is, if it is any's; `sound` says whether it can be used."""

    data: bytes
    parents: tuple[str, ...] = ()
    sound: bool = True


@dataclass(slots=True)
class Gathered:
    """Pictures on the server's side of the page: what the upload widget holds, what is kept beside it, what is picked by name.

    An object that is only changed, never stored anew: a page's run may end at any word to Streamlit.
    """

    held: list[bytes] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    picked: list[str] = field(default_factory=list)
    #: Why what was picked is not given any more; told until somebody has heard of it from Generate, too.
    lost: list[OpstoreError] = field(default_factory=list)
    #: Raised for a new upload widget, which holds nothing.
    round: int = 0


def gathered() -> Gathered:
    """Return the pictures gathered in this session."""
    found: Gathered = st.session_state.setdefault("gathered", Gathered())
    return found


def leave() -> None:
    """Keep what the upload widget holds: another page is shown, and the widget goes with this one."""
    _stop_picking()
    found = gathered()
    if found.held:
        found.kept[:0], found.held, found.round = found.held, [], found.round + 1


def images(service: Service) -> list[Given]:
    """Show the ways to give pictures; return those given, in order."""
    files = gathered()
    uploaded = st.file_uploader(
        _("Images"),
        type=PICTURE_TYPES,
        accept_multiple_files=True,
        max_upload_size=MAX_INPUT_BYTES // 1024 // 1024,  # as in .streamlit/config.toml
        key=f"upload-{files.round}",
        help=_("Drop files here, or paste a picture anywhere on this page."),
    )
    files.held = [file.getvalue() for file in uploaded or ()]
    came = brought(key="paste")
    files.kept += came.pasted
    _tell_refused(came.refused)
    given = [Given(data) for data in (*files.held, *files.kept)] + _picked(service)
    sound = _preview(service, [item.data for item in given], removable=bool(files.kept or files.picked))
    return [Given(item.data, item.parents, fine) for item, fine in zip(given, sound, strict=True)][:MAX_INPUTS]


def _tell_refused(names: Sequence[str]) -> None:
    """Say which files the browser did not hand over, and that nothing is made while they stand there."""
    st.session_state["refused-files"] = len(names)
    for name in names:
        if name.rpartition(".")[2].lower() in PICTURE_TYPES:
            said = _("“{name}” is larger than {limit} MB, or did not arrive whole. Remove it to continue.")
        else:
            said = _("“{name}” is not a picture in JPG, PNG, WebP, GIF, HEIC or AVIF. Remove it to continue.")
        parts.note(said.format(name=name, limit=MAX_INPUT_BYTES // 1024 // 1024), bad=True)


def refused() -> bool:
    """Say whether a file that the browser refused still stands among those given."""
    return bool(st.session_state.get("refused-files"))


def _picked(service: Service) -> list[Given]:
    pictures: list[Given] = []
    form = gathered()
    for name in list(form.picked):
        try:
            pictures.append(Given(service.store.read_file(name), _parents(service, name)))
        except OpstoreError as error:
            form.lost.append(error)
            form.picked.remove(name)
    for why in form.lost:
        parts.show_error(why)
    return pictures


def forget_lost() -> bool:
    """Say whether a picture that was picked is not given any more; from here on that is no news."""
    lost = gathered().lost
    news = bool(lost)
    lost.clear()
    return news


def _parents(service: Service, name: str) -> tuple[str, ...]:
    """Return whose output a stored file is: an input that is used once more has the parents it had."""
    named = parse_name(name)
    if named is None:
        return ()
    if named.role == "output":
        return (named.operation_id,)
    try:
        return service.operation(named.operation_id).parents
    except OpstoreError:
        return ()


def _preview(service: Service, pictures: Sequence[bytes], removable: bool) -> list[bool]:
    """Show the pictures given, in the order in which they count; one that cannot be used is told at once."""
    sound: list[bool] = []
    with st.container(horizontal=True, vertical_alignment="center"):
        for number, data in enumerate(pictures, 1):
            try:
                small = _small(data, number)
            except OpstoreError as error:
                parts.show_error(error)
                sound.append(False)
            else:
                sound.append(True)
                st.image(small, width=80, alt=_("Image {number}").format(number=number))
        if parts.button(_("From the library"), key="pick"):
            st.session_state[_PICKING] = True
        if st.session_state.get(_PICKING):
            _pick(service)
        if removable and parts.button(_("Remove all images"), type="tertiary", key="remove-images"):
            use_only(())
            st.rerun()
    return sound


@st.cache_data(max_entries=100, show_spinner=False)
def _small(data: bytes, number: int) -> bytes:
    """Return a thumbnail of a picture that can be used; kept, since the page runs anew at every pause in typing."""
    check_image(data, number)
    return renderings.thumbnail(data, 160)


def _stop_picking() -> None:
    st.session_state.pop(_PICKING, None)


def _pick(service: Service) -> None:
    @st.dialog(_("Pick a picture from the library"), width="large", on_dismiss=_stop_picking)
    def picker() -> None:
        stay(service)
        pictures = [item for item in service.latest(24, "stored") if item.output and not is_video(item.output)]
        if not pictures:
            parts.note(_("The library has no pictures yet. Make one first, or upload a file."))
        chosen = gallery([parts.tile(item) for item in pictures], key="picker", tile_size=140)
        if chosen:  # which may be none of the newest any more
            _use_result(service, chosen)

    picker()


def _use_result(service: Service, operation_id: str) -> None:
    try:
        output = service.operation(operation_id).output
    except OpstoreError as error:
        parts.show_error(error)
        return
    if output:
        use(output)
        _stop_picking()
        st.rerun()


def use(name: str) -> None:
    """Put a stored picture among those given on the Create page."""
    picked = gathered().picked
    if name not in picked:
        picked.append(name)


def use_only(names: Sequence[str]) -> None:
    """Let these stored pictures be all that is given."""
    found = gathered()
    found.picked, found.kept, found.held, found.lost, found.round = list(names), [], [], [], found.round + 1
