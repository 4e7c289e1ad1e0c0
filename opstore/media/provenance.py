"""What made a picture, in the words of IPTC's vocabulary of digital source types: every copy that leaves carries it in its XMP.

Told from the operation and from what it was made of: who edits a picture that a trained model made does not wash the mark off.
A provider that opstore does not know counts as a trained model. https://cv.iptc.org/newscodes/digitalsourcetype/
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from opstore.errors import OpstoreError, said
from opstore.media import sniff, xmp
from opstore.storage.operation import Operation
from opstore.storage.store import Store

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
#: Made by a generative model; edited, or made of something else, by one.
TRAINED, EDITED = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
#: Made by an algorithm that learnt nothing; edited by one.
ALGORITHM, ALTERED = "algorithmicMedia", "algorithmicallyEnhanced"
#: The codes that a copy may carry: what a file from elsewhere says of a camera or a person is left where it is.
SOURCES = (TRAINED, EDITED, "compositeSynthetic", ALGORITHM, ALTERED)
#: What people are told of each.
IN_WORDS: Mapping[str, str] = {
    TRAINED: said("made by generative AI"),
    EDITED: said("edited by generative AI, or made by it from other pictures"),
    SOURCES[2]: said("put together, generative AI among its sources"),
    ALGORITHM: said("made by an algorithm, without generative AI"),
    ALTERED: said("edited by an algorithm, without generative AI"),
}
_GENERATIVE = SOURCES[:3]
_LOCAL = "local"
_DECLARED = re.compile(rb"cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,60})")
#: Where files keep their XMP and their content credentials: near the beginning, or at the end.
_LOOKED_AT = 262_144
#: How far up a family is asked.
_MOST_STEPS = 24
#: What made the results of an operation, asked with so many steps left: a family is no tree, and each is asked once.
_Known = dict[tuple[str, int], str]


def address(source: str) -> str:
    """Return the address of a source type, as XMP has it."""
    return VOCABULARY + source


def declared(file: BinaryIO) -> str:
    """Return the source type that a file names itself, in XMP or content credentials; empty where it names none of ours."""
    mentions = _DECLARED.findall(file.read(_LOOKED_AT))
    size = file.seek(0, io.SEEK_END)
    if size > _LOOKED_AT:
        file.seek(max(_LOOKED_AT, size - _LOOKED_AT))
        mentions += _DECLARED.findall(file.read(_LOOKED_AT))
    named = {name.decode() for name in mentions}
    return next((source for source in SOURCES if source in named), "")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a file that says its source type: how many bytes it has, and they themselves, once, piece by piece."""

    size: int
    parts: Generator[bytes]


class Provenance:
    """What made the pictures of one store."""

    def __init__(self, store: Store) -> None:
        """Ask the sidecars and files of `store`."""
        self._store = store

    def of(self, operation: Operation) -> str:
        """Return the source type of an operation's results; empty if nobody knows what made them."""
        return self._made(operation, _MOST_STEPS, {})

    def of_input(self, operation: Operation, name: str) -> str:
        """Return the source type of what an operation was given; empty for a photograph, say."""
        return self._given(operation, name, _MOST_STEPS, {})

    def _of_file(self, operation: Operation, name: str) -> str:
        """Return the source type of any file of an operation."""
        return self.of_input(operation, name) if name in operation.inputs else self.of(operation)

    def copy(self, operation: Operation, name: str, opening: Callable[[], BinaryIO] | None = None) -> Copy | None:
        """Return a file of an operation, or what `opening` opens in its place, as it says its source type.

        None where it can leave as it is. May raise as `open_file`.
        """
        opened = opening or partial(self._store.open_file, name)

        def parts() -> Generator[bytes]:
            with opened() as file:
                yield from xmp.pieces(file, splices)

        with opened() as file:
            splices = self.splices(operation, name, file)
            return Copy(xmp.size(file, splices), parts()) if splices else None

    def splices(self, operation: Operation, name: str, file: BinaryIO) -> list[xmp.Splice]:
        """Return what is to be put into a file of an operation so that it says its source type; none where it says it already."""
        kind = sniff(file.read(4096))
        file.seek(0)
        named = declared(file)
        source = stronger(self._of_file(operation, name), named)
        return xmp.with_source(file, kind, address(source)) if kind and source and source != named else []

    def _made(self, operation: Operation, steps: int, known: _Known) -> str:
        asked = operation.id, steps
        if asked not in known:
            known[asked] = self._made_of(operation, [self._given(operation, name, steps, known) for name in operation.inputs])
        return known[asked]

    def _made_of(self, operation: Operation, sources: Sequence[str]) -> str:
        if operation.provider == _LOCAL:
            if not sources:
                return ALGORITHM
            if any(source in _GENERATIVE for source in sources):
                return TRAINED if all(source == TRAINED for source in sources) else EDITED
            return ALGORITHM if all(source == ALGORITHM for source in sources) else ALTERED
        if "imported" in operation.sidecar and not (operation.provider or operation.model or operation.prompt):
            return self._named(operation.output) if operation.output else ""  # somebody's picture
        return TRAINED if all(source == TRAINED for source in sources) else EDITED

    def _given(self, operation: Operation, name: str, steps: int, known: _Known) -> str:
        content = _hash(operation, name)
        for parent in operation.parents[:_MOST_STEPS] if content and steps else ():
            try:
                maker = Operation.of(self._store.get_operation_metadata(parent))
            except OpstoreError:
                continue
            if content in {_hash(maker, made) for made in (*maker.outputs, *maker.intermediates)}:
                return self._made(maker, steps - 1, known)
        return self._named(name)

    def _named(self, name: str) -> str:
        try:
            with self._store.open_file(name) as file:
                return declared(file)
        except OpstoreError:
            return ""


def stronger(told: str, named: str) -> str:
    """Return what a copy says where an operation tells one source type and the file itself names another."""
    return named if named in _GENERATIVE and told not in _GENERATIVE else told or named


def _hash(operation: Operation, name: str) -> str | None:
    files = operation.sidecar.get("files")
    entries: list[Mapping[str, Any]] = [entry for entry in files if isinstance(entry, Mapping)] if isinstance(files, list) else []
    found = next((entry.get("sha256") for entry in entries if entry.get("name") == name), None)
    return found if isinstance(found, str) else None
