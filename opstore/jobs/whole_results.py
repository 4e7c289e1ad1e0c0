"""Whether the bytes of a result are whole: a picture decodes to its last line, a video has every frame that it announces.

HTTP cannot always tell: a server that sends no length and closes early looks like one that has finished.
"""

from __future__ import annotations

import io

from opstore import media
from opstore.errors import InvalidInput, UnsupportedMedia
from opstore.media import renderings


def is_whole(data: bytes, wanted: str) -> bool:
    """Say whether `data` is a whole file of the kind `wanted`, `image` or `video`."""
    kind = media.sniff(data)
    if kind is None or kind.kind != wanted:
        return False
    try:
        if kind.kind == "video":
            renderings.thumbnail(data, 32)
            return _has_all_packets(data, kind)
        media.check_image(data, 1)
    except UnsupportedMedia:
        return False
    except InvalidInput:
        return True  # too many pixels to be decoded here; it was paid for, and its header can be read
    return True


def _has_all_packets(data: bytes, kind: media.MediaType) -> bool:
    """Count a video's packets against what its index says, without decoding them (a WebM has no index: all is read then)."""
    import av

    try:
        with av.open(io.BytesIO(data), mode="r", format=kind.extension) as container:
            stream = container.streams.video[0]
            whole = [packet.size > 0 and not packet.is_corrupt for packet in container.demux(stream) if packet.dts is not None]
            return bool(whole) and all(whole) and len(whole) >= stream.frames
    except (av.FFmpegError, ValueError, IndexError):
        return False
