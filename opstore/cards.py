"""What a tile of the library shows of an operation, and a page of tiles, the same for the grid and for programs."""

from __future__ import annotations

from typing import Any

from opstore.errors import InvalidRequest, said
from opstore.index import Row
from opstore.service import Service, shown_by
from opstore.storage.names import is_video
from opstore.storage.operation import timestamp

#: Characters of a prompt on a tile; the whole of it is one click away.
MAX_CARD_PROMPT = 160
#: Tiles of a page, as the grid asks for them.
TILES = 100


def cards(
    service: Service,
    query: str,
    *,
    order: str = "newest",
    group: str = "",
    mark: str = "",
    after: str | None = None,
    size: int = TILES,
    pictures: bool = True,
) -> dict[str, Any]:
    """Return a page of what a search finds, or what is behind a `mark` of a chart, as the grid takes it.

    The total is not exact while the index is being made: more may be found then.
    `pictures`: whoever asks will look at them next, so they are made ahead. Raise InvalidQuery, or InvalidRequest for an order
    or a group that is none, or that a mark does not have.
    """
    # Before the rows: what changes in between is seen again, never overlooked.
    version, is_whole = service.index.version(), service.is_indexed()
    if mark:
        if group or order != "newest":
            raise InvalidRequest(reason=said("the operations of a chart mark are listed newest first and cannot be grouped"))
        page = service.analytics.page(query, mark, after=after, size=size)
    else:
        page = service.index.search(query, order=order, after=after, size=size, stack=group or None)
    rows = page.rows[:size]
    if pictures:
        service.expect(rows)
    better = service.index.meant(query) if not page.total.n and not mark else None
    return {
        "success": True,
        **({"meant": better} if better else {}),
        "total": {"n": page.total.n, "exact": page.total.exact and is_whole},
        "next": page.next if size else None,
        "rows": [card(row, page.stacks.get(row.id, 1)) for row in rows],
        "version": version,
    }


def card(row: Row, stack: int = 1) -> dict[str, Any]:
    """Return what a tile shows of an operation, and of the `stack` behind it."""
    shown = shown_by(row)
    return {
        "id": row.id,
        "time": timestamp(row.moment),
        "type": row.type,
        "status": row.status,
        "prompt": row.prompt[:MAX_CARD_PROMPT],
        "model": row.model,
        "output": row.output,
        "thumbnail": f"/api/thumbnails/{shown}" if shown else None,
        "video": is_video(row.output),
        "rating": row.rating,
        "favorite": row.favorite,
        "tags": list(row.tags),
        "batchId": row.batch_id,
        "inputs": row.inputs,
        "stack": stack,
    }
