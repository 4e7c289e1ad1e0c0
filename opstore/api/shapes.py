"""The shapes that several routes answer with, as schemas for the OpenAPI document and as the functions that fill them.

A sidecar is handed on as it is stored, whoever wrote it: of its keys only the id is certain.
"""

from __future__ import annotations

from typing import Any

from opstore.api.route_table import OPERATION_ID, TEXT, Parameter, Schema, done, listed, thing
from opstore.index import MAX_PAGE, ORDERS, STACKS
from opstore.service import JobView
from opstore.storage.operation import OPERATION_TYPES

NUMBER: Schema = {"type": "integer"}
ERROR: Schema = {
    "type": "object",
    "properties": {"success": {"const": False}, "error": {"type": "string", "description": "a sentence for a person"}},
    "required": ["success", "error"],
}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}

SIDECAR: Schema = {
    "type": "object",
    "description": "A sidecar as it is stored (docs/format.md). Old and foreign ones may lack keys, and hold other types.",
    "properties": {
        "operationId": OPERATION_ID,
        "timestamp": {"description": "ISO 8601, milliseconds, UTC"},
        "operationType": {"description": "one of the types, or what another program wrote", "examples": list(OPERATION_TYPES)},
        "prompt": {},
        "parameters": {},
        "inputFiles": {"description": "names below /api/files/"},
        "outputFile": {"description": "a name below /api/files/, or null"},
        "success": {},
        "error": {},
        "annotations": {"description": "tags, favorite, rating, note"},
    },
    "required": ["operationId"],
}
JOB: Schema = thing(
    operationId=OPERATION_ID,
    operationType=TEXT,
    prompt=TEXT,
    state={"enum": ["queued", "creating", "running", "fetching"]},
    model=TEXT,
    seconds={"type": "number", "description": "since it was asked for"},
    share={"type": ["number", "null"], "description": "done, from 0 to 1; null if nobody knows"},
    cancel={"type": "boolean", "description": "whether it was asked to stop"},
    batchId=_MAYBE_TEXT,
)
CARD: Schema = thing(
    id=OPERATION_ID,
    time=TEXT,
    type=TEXT,
    status=TEXT,
    prompt=TEXT,
    model=_MAYBE_TEXT,
    output=_MAYBE_TEXT,
    thumbnail=_MAYBE_TEXT,
    video={"type": "boolean"},
    rating={"type": ["integer", "null"]},
    favorite={"type": "boolean"},
    tags=listed(TEXT),
    batchId=_MAYBE_TEXT,
    inputs=NUMBER,
    stack=NUMBER,
)
COUNT: Schema = thing(
    n=NUMBER,
    exact={"type": "boolean", "description": "false: there may be more, also while the index is being made (/api/health)"},
)
PAGE = done(total=COUNT, next=_MAYBE_TEXT, rows=listed(CARD), version=TEXT)
PAGE["properties"]["meant"] = {**TEXT, "description": "if nothing is found: a search that finds something and is nearly that"}
HEALTH = done(jobs=NUMBER, version=TEXT, index=thing(done=NUMBER, total={"type": ["integer", "null"]}, ready={"type": "boolean"}))
STATS = done(asOf=TEXT, search=TEXT, unreadable=NUMBER, headline={"type": "object"}) | {
    "description": "What `python -m opstore stats --json` prints: a headline, and tables of rows; what is not known is null"
}
#: What a stored file may be; what is none of these is handed over as bytes to save.
FILES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/avif",
    "image/heic",
    "video/mp4",
    "video/webm",
    "application/octet-stream",
)

QUERY = Parameter("q", "a search (docs/search.md); without it everything")
MARK = Parameter("mark", "of what `q` finds only what a mark of a chart counts (docs/analytics.md)")
LIMIT = Parameter("limit", "how many at most; 50 by default", {"type": "integer", "minimum": 0, "maximum": 10_000})
SEARCH = (
    QUERY,
    Parameter("order", "newest by default", {"enum": ["", *ORDERS]}),
    Parameter("limit", f"how many; 100 by default, at most {MAX_PAGE}", LIMIT.schema),
    Parameter(
        "cursor",
        "`next` of the page before",
        {"type": "string", "pattern": r"^([0-9]{1,9}~[0-9]{1,18}~[0-9]{14}_[0-9a-f]{6,8})?$"},
    ),
    Parameter("group", "one row a stack", {"enum": ["", *STACKS]}),
    MARK,
)


def job_record(job: JobView) -> dict[str, Any]:
    """Return an operation under way as JOB says."""
    return {
        "operationId": job.id,
        "operationType": job.type,
        "prompt": job.prompt,
        "state": job.state,
        "model": job.model,
        "seconds": round(job.seconds, 3),
        "share": job.progress.share,
        "cancel": job.cancel,
        "batchId": job.batch_id,
    }
