"""Small documents that are asked for at every act: read once while they stay, seen at once when they change, changed by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from opstore.clocks.leaps import Leaps
from opstore.errors import FileMissing, OperationBusy, OperationExists
from opstore.shares.signing_keys import Keys
from opstore.storage import document
from opstore.storage.document import Document
from opstore.storage.files import Folder
from opstore.storage.preferences import PreferenceFile


def test_of_two_who_change_it_the_second_is_told(tmp_path: Path) -> None:
    one, other = (Document(Folder(tmp_path / "data"), "kept.json", 100) for _ in range(2))
    assert one.find() is None and other.find() is None
    one.write(b"first", None)
    with pytest.raises(OperationExists):
        other.write(b"second", None)
    assert other.read() == b"first"
    other.write(b"second", b"first")
    with pytest.raises(OperationBusy):
        one.write(b"third", b"first")
    assert one.read() == b"second"
    (tmp_path / "data" / "kept.json").unlink()
    with pytest.raises(FileMissing):
        one.write(b"third", b"second")


def settings(folder: Folder) -> Callable[[], object]:
    PreferenceFile(folder).save(parallel=2)
    return PreferenceFile(folder).load


def keys(folder: Folder) -> Callable[[], object]:
    share = "0123456789abcdef"
    token, mine = Keys(folder).sign(share), Keys(folder)
    return lambda: mine.share_of(token)


def clock(folder: Folder) -> Callable[[], object]:
    Leaps(folder).look()
    return Leaps(folder).standing


@pytest.mark.parametrize("asking", [settings, keys, clock])
def test_what_is_asked_for_at_every_act_is_read_once_while_it_stays(
    asking: Callable[[Folder], Callable[[], object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "SETTLED_SECONDS", 0.0)
    reads: list[str] = []
    read = Folder.read

    def counted(self: Folder, name: str, limit: int | None = None) -> bytes:
        reads.append(name)
        return read(self, name, limit)

    ask = asking(Folder(tmp_path))
    monkeypatch.setattr(Folder, "read", counted)
    first = ask()
    reads.clear()
    assert ask() == first and reads == []


def test_settings_that_another_process_changes_hold_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "SETTLED_SECONDS", 0.0)
    mine, theirs = PreferenceFile(Folder(tmp_path)), PreferenceFile(Folder(tmp_path))
    assert mine.load().parallel == 4
    for number in (2, 3):
        theirs.save(parallel=number)
        assert mine.load().parallel == number
