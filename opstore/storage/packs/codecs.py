"""How a file's bytes are kept in a pack, each way reversible to the last bit on any machine, now and in ten years.

| codec | what | undone by |
|---|---|---|
| `plain` | the bytes | nothing |
| `zstd` | a Zstandard frame | `zstd -d` |
| `zstd-dictionary` | a Zstandard frame that needs the pack's dictionary | `zstd -d -D dictionary` |
| `jxl` | a JPEG as JPEG XL with its reconstruction data (ISO/IEC 18181) | `djxl in.jxl out.jpg` |

PNGs stay as they are: their bytes depend on the very deflate that wrote them, and no standard says which bytes that makes: a pack
that another zlib could not undo would be no pack. Every encoding is undone and compared before it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opstore.errors import said

if TYPE_CHECKING:
    import zstandard

#: Larger files stay loose: a packed one is read whole into memory.
MAX_BYTES = 128 * 1024 * 1024
#: What an encoding must save to be worth undoing at every read.
_WORTH = 0.97
#: Sidecars of a month look alike: a dictionary holds the form that they share. From fewer it cannot be made.
DICTIONARY_BYTES, MIN_SAMPLES, MAX_SAMPLES = 112_640, 64, 2_000
_LEVEL_TEXT, _LEVEL = 15, 6
#: Keys of sidecars, and those whose values are names from a list of opstore's or a provider's.
_KEY, _WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}\Z"), re.compile(r"[A-Za-z0-9][\w./:-]{0,63}\Z", re.ASCII)
_CHOSEN = {"schema", "operationType", "provider", "model", "status", "role", "mediaType", "currency", "errorKind", "source"}
_JPEG = b"\xff\xd8\xff"
#: What is compressed already, by its first bytes: PNG, RIFF (WebP), GIF, ISO media (from the fifth byte), Matroska.
_PACKED = (b"\x89PNG", b"RIFF", b"GIF8", b"\x1aE\xdf\xa3")


class Undecodable(Exception):
    """What a pack holds cannot be undone; the argument says why."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file's bytes as a pack keeps them: `size` and `sha256` are those of the file."""

    codec: str
    data: bytes
    size: int
    sha256: bytes


class Codec:
    """Encodes and decodes with one pack's dictionary; only what is no text may be given to it by two threads at once."""

    def __init__(self, dictionary: bytes | None) -> None:
        """Use `dictionary`, none where the pack has none."""
        import zstandard

        self._dictionary = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        self._with = zstandard.ZstdDecompressor(dict_data=self._dictionary) if self._dictionary else None
        self._without = zstandard.ZstdDecompressor()
        self._compressor: zstandard.ZstdCompressor | None = None

    def encode(self, data: bytes, *, text: bool) -> Encoded:
        """Return `data` encoded as well as is worth it; `text` for a sidecar."""
        if text:
            codec, packed = self._compressed(data)
        elif data.startswith(_JPEG):
            codec, packed = "jxl", _jxl(data)
        elif data.startswith(_PACKED) or data[4:8] == b"ftyp":
            codec, packed = "plain", data
        else:
            import zstandard

            codec, packed = "zstd", zstandard.ZstdCompressor(_LEVEL).compress(data)
        if len(packed) > len(data) * _WORTH:
            codec, packed = "plain", data
        return Encoded(codec, packed, len(data), hashlib.sha256(data).digest())

    def decode(self, encoded: Encoded) -> bytes:
        """Return the file's bytes; raise Undecodable where they are not what was packed."""
        if not 0 <= encoded.size <= MAX_BYTES:
            raise Undecodable(said("its size makes no sense"))
        data = self._undone(encoded)
        if len(data) != encoded.size or hashlib.sha256(data).digest() != encoded.sha256:
            raise Undecodable(said("its bytes are not those that were packed"))
        return data

    def _compressed(self, data: bytes) -> tuple[str, bytes]:
        if self._compressor is None:
            import zstandard

            # Made once: to digest the dictionary takes longer than to compress a sidecar.
            if self._dictionary:
                self._dictionary.precompute_compress(level=_LEVEL_TEXT)
            self._compressor = zstandard.ZstdCompressor(_LEVEL_TEXT, dict_data=self._dictionary)
        return ("zstd-dictionary" if self._dictionary else "zstd"), self._compressor.compress(data)

    def _undone(self, encoded: Encoded) -> bytes:
        if encoded.codec == "plain":
            return encoded.data
        if encoded.codec == "jxl":
            return _jpeg(encoded.data)
        decompressor = {"zstd": self._without, "zstd-dictionary": self._with}.get(encoded.codec)
        if decompressor is None:
            raise Undecodable(said("it is packed in a way that is not known here"))
        import zstandard

        try:
            # Asked before: a frame may claim any size, and as much memory would be taken.
            if zstandard.frame_content_size(encoded.data) != encoded.size:
                raise Undecodable(said("its size is not the one that was packed"))
            return decompressor.decompress(encoded.data)
        except zstandard.ZstdError as error:
            raise Undecodable(said("it cannot be decompressed")) from error


def dictionary_of(sidecars: Sequence[bytes]) -> bytes | None:
    """Return what these sidecars share, None where they are too few or have too little in common.

    It outlives them in its pack: so it is made of their form alone, and of nothing that anybody wrote into them.
    """
    import zstandard

    forms: list[bytes | bytearray | memoryview] = [form for sidecar in sidecars if (form := _form(sidecar)) is not None]
    if len(forms) < MIN_SAMPLES:
        return None
    # A dictionary beyond a tenth of what it was made from costs more than it saves.
    size = min(DICTIONARY_BYTES, sum(map(len, forms)) // 10)
    try:
        return zstandard.train_dictionary(size, forms).as_bytes()
    except zstandard.ZstdError:
        return None


def _form(sidecar: bytes) -> bytes | None:
    """Return a sidecar with its keys and the words that opstore itself chooses from, None for what is none."""
    try:
        return json.dumps(_blank(json.loads(sidecar)), ensure_ascii=False, indent=2).encode() + b"\n"
    except (ValueError, RecursionError):
        return None


def _blank(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _blank(item, name) for name, item in value.items() if _KEY.match(name)}
    if isinstance(value, list):
        return [_blank(item) for item in value]
    if isinstance(value, str):
        return value if key in _CHOSEN and _WORD.match(value) else ""
    return value if value is None or isinstance(value, bool) else 0


def _jxl(data: bytes) -> bytes:
    """Return a JPEG as JPEG XL if that gives the very same file back, else `data`."""
    import imagecodecs

    try:
        packed = bytes(imagecodecs.jpegxl_encode_jpeg(data, numthreads=1))
        return packed if _jpeg(packed) == data else data
    except (RuntimeError, ValueError, Undecodable):  # one that JPEG XL does not know, or that is cut short
        return data


def _jpeg(data: bytes) -> bytes:
    import imagecodecs

    try:
        return bytes(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1))
    except (RuntimeError, ValueError) as error:
        raise Undecodable(said("it cannot be decompressed")) from error
