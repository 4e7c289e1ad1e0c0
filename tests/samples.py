"""What the tests of the store have in common: small real files, names and values that mean harm, and a look at a whole folder."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from opstore import Store
from opstore.storage.files import digest
from opstore.storage.job import Job, Step

DATA = Path(__file__).parent / "data"
#: The id that the documents use, a later one, and one of the specification's own examples, with 6 hex digits.
ID = "20251103143022_abc123de"
LATER = "20251103143023_abc123df"
SHORT = "20251103143022_abc123"
MOMENT = datetime(2025, 11, 3, 14, 30, 22, 123000, tzinfo=UTC)


def file(name: str) -> bytes:
    """Return a file of tests/data/files: pixel.png, .jpg, .webp, .gif (3 × 2 pixels), clip.mp4 (half a second)."""
    return (DATA / "files" / name).read_bytes()


def sidecar_file(name: str) -> bytes:
    """Return a file of tests/data/sidecars."""
    return (DATA / "sidecars" / name).read_bytes()


PNG, JPG, WEBP, GIF, MP4 = (file(name) for name in ("pixel.png", "pixel.jpg", "pixel.webp", "pixel.gif", "clip.mp4"))


#: An operation as a caller gives it.
EDIT: Mapping[str, Any] = {
    "operationId": ID,
    "operationType": "image_edit_multiple",
    "prompt": "remplace le personnage de l’image 2 par celui de l’image 1 🦊",
    "parameters": {"aspectRatio": "16:9", "outputFormat": "webp", "outputQuality": 95, "guidance": 0.1},
    "inputImages": [JPG, PNG],
    "outputs": WEBP,
    "workflowAnalysis": {"workflow": {"id": "image_edit_multiple"}, "confidence": 0.95},
    "batchId": None,
    "origin": {"app": "éditeur", "seed": 2**64},
}


def annotate(sidecar: dict[str, Any]) -> None:
    """Tag an operation."""
    sidecar["annotations"]["tags"].append("vu")
    sidecar["annotations"]["favorite"] = True


def fixed_store(root: Path) -> Store:
    """Return a store under `root` whose clock stands still."""
    return Store(root / "data", clock=lambda: MOMENT)


def plant(store: Store, name: str | bytes, data: bytes) -> Path:
    """Write a file into the store's folder as another program would."""
    store.initialize_storage()
    path = Path(os.fsdecode(os.path.join(os.fsencode(store.operations.path), os.fsencode(name))))
    path.write_bytes(data)
    return path


def tree(root: Path, *, times: bool = False) -> Mapping[str, object]:
    """Return everything below `root`: path → kind and content, and where asked the time of the last change."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*"), key=str) if root.exists() else []:
        state = path.lstat()
        content: object = stat.S_IFMT(state.st_mode)
        if stat.S_ISREG(state.st_mode):
            content = digest(path.read_bytes())
        elif stat.S_ISLNK(state.st_mode):
            content = os.readlink(path)
        found[str(path.relative_to(root))] = (content, state.st_mtime_ns) if times else content
    return found


class Sly(str):
    """A valid id or name that shows itself as another one."""

    def __str__(self) -> str:
        return "../../sly"

    def __format__(self, spec: str) -> str:
        return "../../sly"


class Member(str, Enum):  # noqa: UP042 # StrEnum is the harmless one
    """What enums over text are: text whose str() is something else."""

    IMAGE = "text_to_image"


_HOSTILE: tuple[Any, ...] = (
    "", " ", ".", "..", "../../x", "/etc/passwd", "a/b", "~", "abc123de",
    f"../{ID}", f"{ID}/..", f"/{ID}", f"{ID}/", f"x/{ID}", f"{ID}\n", f"\n{ID}", f"{ID}\r\n", f" {ID}", f"{ID} ", f"{ID}\t",
    f"{ID}\0", f"\0{ID}", f"{ID}\0.json", f"{ID}\u2028", f"{ID}\u2029", f"{ID}\x85", f"{ID}\x0b", f"{ID}\u200b", f"\ufeff{ID}",
    "２０２５１１０３１４３０２２_abc123de", "20251103143022_abc123d５", "٢٠٢٥١١٠٣١٤٣٠٢٢_abc123de", "20251103143022_ａbc123de",
    "20251103143022_ABC123DE", "20251103143022_abc123dE", "20251103143022_abc12", "20251103143022_abc123def", "20251103143022_",
    "20251103143022abc123de", "20251103143022-abc123de", "20251103143022_abc123dg", "2025110314302_abc123de",
    "202511031430222_abc123de", "-0251103143022_abc123de", "+0251103143022_abc123de", "20251103 43022_abc123de",
    f"{ID}*", f"{ID}%00", f"{ID}\ud800", "\ud800", f"{ID};{ID}", "{0}", "{value}", "%s",
    "2" * 5_000, "../" * 2_000, "x" * 1_000_000,
    None, True, False, 0, 1, -1, 20251103143022, 10**5_000, 1.5, math.nan, b"", ID.encode(), bytearray(ID.encode()),
    memoryview(ID.encode()), [], [ID], (), (ID,), {}, {ID: ID}, {ID}, object(), type, Path(ID), Path("../../x"), MOMENT, print,
)  # fmt: skip

#: Ids that no reader may take.
HOSTILE_IDS: tuple[Any, ...] = (*_HOSTILE, f"{ID}.json", f"{ID}_in_1.jpg")

#: File names that no reader may take.
HOSTILE_NAMES: tuple[Any, ...] = (
    *_HOSTILE, ID,
    f"{ID}.", f"{ID}.JSON", f"{ID}.json\n", f"{ID}.json/", f"../{ID}.json", f"./{ID}.json", f"/{ID}.json", f"x/{ID}.json",
    f"{ID}.json.tmp", f".{ID}.json", f".{ID}.json.0a1b2c3d.tmp", f".{ID}.lock", f"{ID}.json\0", f"{ID}.jsоn", f"{ID}.jsonx",
    f"{ID}_in.", f"{ID}_in.svg", f"{ID}_in.html", f"{ID}_in.exe", f"{ID}_in.jpg.exe", f"{ID}_in.JPG", f"{ID}_in_0.jpg",
    f"{ID}_in_01.jpg", f"{ID}_in_-1.jpg", f"{ID}_in_1 .jpg", f"{ID}_in_１.jpg", f"{ID}_in_10000.jpg", f"{ID}_in_.jpg",
    f"{ID}_in_1_2.jpg", f"{ID}_in_1.jpg\n", f"{ID}_in_1.jpg/../x", f"{ID}_out_0.jpg", f"{ID}_out_1.jpg", f"{ID}_out.jpg\0",
    f"{ID}_out..jpg", f"{ID}_out/.jpg", f"{ID}_OUT.jpg", f"{ID}_thumb.jpg", f"{ID}in.jpg", f"{ID}_in_{'1' * 5_000}.jpg",
    f"{ID}_out.jpg\u2028", f"{ID}_out.jpg\ud800", f"{ID.upper()}_out.jpg", "20251103143022_abc12_out.jpg", Path(f"{ID}_out.jpg"),
    f"{ID}_out.jpg".encode(), [f"{ID}_out.jpg"],
)  # fmt: skip

#: Values that JSON, or any other reader of it, cannot hold, each with a word that its refusal must contain.
UNSTORABLE: Mapping[str, tuple[Any, str]] = {
    "lone surrogate": ("\ud800", "surrogate"),
    "half an emoji": ("ok \ude00", "surrogate"),
    "surrogate in a key": ({"\udfff": 1}, "surrogate"),
    "NaN": (math.nan, "nan"),
    "infinity": (math.inf, "inf"),
    "minus infinity": ([-math.inf], "inf"),
    "1e999": (float("1e999"), "inf"),
    "deep lists": (None, "nested"),
    "deep objects": (None, "nested"),
    "deep mixture": (None, "nested"),
    "100,000 digits": (10**100_000, "digits"),
    "310 digits": (10**310, "digits"),
    "bytes": (b"x", "bytes"),
    "set": ({1}, "set"),
    "datetime": (MOMENT, "datetime"),
    "date": (date(2025, 11, 3), "date"),
    "decimal": (Decimal("1.5"), "Decimal"),
    "path": (Path("x"), "Path"),
    "complex": (1j, "complex"),
    "object": (object(), "object"),
    "number as a key": ({1: "x"}, "key"),
    "null as a key": ({None: "x"}, "key"),
    "tuple as a key": ({(1, 2): "x"}, "key"),
    "too large": ("x" * 5_000_000, "MB"),
}


def nested(kind: str, depth: int = 1_100) -> Any:
    """Return `deep lists`, `deep objects` or a `deep mixture`."""
    value: Any = 1
    for level in range(depth):
        as_list = kind == "deep lists" or (kind == "deep mixture" and level % 2)
        value = [value] if as_list else {"a": value}
    return value


def unstorable(kind: str) -> tuple[Any, str]:
    """Return a value of UNSTORABLE and the word that its refusal must contain."""
    value, word = UNSTORABLE[kind]
    return (nested(kind), word) if kind.startswith("deep") else (value, word)


def record_of(operation_id: str) -> bytes:
    """Return the record of an operation that waits for its turn."""
    step = Step("text_to_image", "a calm sea", "local", "local/painter", {})
    return Job(operation_id, "queued", "2025-11-03T14:30:24.000Z", {}, (step,)).encode()
