"""The one table of fields: how each is read from a sidecar, kept and found by the index, charted, exported and shown.

Whatever names fields follows from it: the index's columns and marked words, the search language, facets, filters, the frame,
what charts are grouped by, exports, what the drawer and `opstore show` say of one operation, and the tables of docs/search.md and
docs/analytics.md (`opstore.analytics.documented`). A field that is a name, a number or a flag in a sidecar costs one entry. What
an entry says: `field_entry`.
"""

from __future__ import annotations

from operator import attrgetter

from opstore.errors import said
from opstore.index import charted
from opstore.index import sidecar as read
from opstore.index.charted import ChartReader
from opstore.index.field_entry import Column, Field, Kept, Kind, Search, Shown
from opstore.index.sidecar import MILLION, THOUSAND
from opstore.storage.operation import STATUSES, Operation


def _column(name: str, kind: Kind, unit: str, what: str, reader: ChartReader) -> Field:
    """Return a field that is a column of the frame and of exports, and nothing else."""
    return Field(name, column=Column(name, kind, unit, what, reader))


TABLE: tuple[Field, ...] = (
    Field(
        "type",
        Kept(str, read.type_of, "INTEGER NOT NULL", "name", "name"),
        Search(
            "type",
            "name",
            (
                ("type:text_to_image", "one type of operation; `text-to-image` is the same"),
                ("type:text_to_video,edit_then_video", "any of several: commas, no spaces"),
            ),
            is_loose=True,
            may_be_any=True,
            is_facet=True,
            label=said("Type"),
        ),
        Column(
            *("operation_type", "category", "", "as stored, old and foreign types too; `unknown` if none is"),
            groups=said("by type"),
        ),
        shown=Shown("type", "type", said("Type")),
    ),
    Field(
        "status",
        Kept(str, lambda source: source.status, "INTEGER NOT NULL", "name", "name"),
        Search(
            "status",
            "name",
            (("status:failed", 'stored, failed, canceled, aborted, expired, unknown, `"result missing"`'),),
            called=("state", "statut", "etat"),
            names=STATUSES,
            is_loose=True,
            may_be_any=True,
            is_facet=True,
            label=said("Status"),
        ),
        Column(
            "status",
            "category",
            "",
            "how it ended: `stored`, `failed`, `canceled`, `aborted`, `expired`, `unknown`, `result missing`",
        ),
        shown=Shown("status", "status", said("Status")),
    ),
    Field(
        "model",
        Kept(str | None, read.model_name, "INTEGER", "name", "name"),
        Search(
            "model",
            "name",
            (
                ("model:qwen-image", "a model, with or without its owner (`qwen/qwen-image`)"),
                ("model:qwen*", "what begins so"),
            ),
            called=("modele",),
            may_be_any=True,
            is_facet=True,
            label=said("Model"),
        ),
        Column("model", "category", "", "the model that made the main output", groups=said("by model")),
        shown=Shown("model", label=said("Model")),
    ),
    Field(
        "provider",
        Kept(str | None, read.name_at("provider"), "INTEGER", "name", "name"),
        Search(
            "provider",
            "name",
            (("provider:local", "who made it"),),
            called=("fournisseur",),
            may_be_any=True,
            is_facet=True,
            label=said("Provider"),
        ),
        Column("provider", "category", "", "who made it"),
        shown=Shown("provider", label=said("Provider")),
    ),
    Field(
        "tags",
        Kept(tuple[str, ...], read.tags_of, "TEXT", "names", "names"),
        Search(
            "tag",
            "name",
            (
                ("tag:sea", "a tag"),
                ('tag:"holiday 2025"', "a tag with a space"),
                ("tag:*", "what has a tag at all; a star alone asks the same of every field of names"),
            ),
            called=("tags", "collection", "etiquette"),
            may_be_any=True,
            is_facet=True,
            label=said("Tag or collection"),
        ),
        Column("tags", "texts", "", "tags and collections, in the order of the alphabet; an empty list if there are none"),
        shown=Shown("tags", "texts"),
    ),
    Field(
        "tagged",
        search=Search("tagged", "flag", (("tagged:no", "what has no tag"),), denied=("untagged",), having="tag"),
    ),
    Field(
        "rating",
        Kept(int | None, read.rating_of, "INTEGER", mark="count"),
        Search("rating", "number", (("rating:>=4", "four or five stars"),), called=("stars", "etoiles"), is_facet=True),
        Column("rating", "whole", "1 to 5", "stars"),
        shown=Shown("rating"),
    ),
    Field(
        "rated",
        search=Search(
            "rated",
            "flag",
            (("rated:no", "what has no stars yet; `rated:yes` the others"),),
            denied=("unrated",),
            having="rating",
        ),
    ),
    Field(
        "favorite",
        Kept(bool, read.is_favorite, "INTEGER NOT NULL", "flag", "yes"),
        Search(
            "favorite",
            "flag",
            (("favorite:yes", "favourites; `favorite:no` the others"),),
            called=("fav", "favori", "favoris"),
            is_facet=True,
        ),
        Column("favorite", "flag", "", "whether it is a favorite; missing if nobody said", charted.favorite),
        shown=Shown("favorite", "flag"),
    ),
    Field(
        "moment",
        search=Search(
            "date",
            "date",
            (
                ("date:2025-11-03", "a day, a month (`2025-11`) or a year (`2025`), in UTC, as in the id"),
                ("date:2025-11..2025-12", "from the beginning of November to the end of December"),
                ("date:>=2025-11-03", "that day and later"),
                ("date:today", "also `yesterday`, and `7d`: today and the six days before"),
            ),
            called=("day", "jour"),
        ),
        column=Column(
            "timestamp",
            "moment",
            "UTC",
            "when it was asked for: the sidecar's `timestamp`, else the time in the id",
            charted.moment,
        ),
        shown=Shown("time", "moment", said("Created")),
    ),
    Field(
        "cost",
        Kept(int | None, read.cost_of, "INTEGER", mark="coarse", unit=MILLION),
        Search(
            "cost",
            "number",
            (("cost:>0.1", "dearer than ten cents; without a known cost it is not found"),),
            called=("price", "cout", "prix"),
        ),
        Column("cost", "number", "`currency`", "what it cost", charted.amount),
        shown=Shown("cost", "cost", said("Cost"), attrgetter("cost")),
    ),
    Field(
        "currency",
        Kept(str | None, read.currency_of, "INTEGER", "name"),
        column=Column("currency", "category", "", "of `cost`", charted.currency),
    ),
    Field(
        "elapsed",
        Kept(int | None, read.thousandths_at("elapsedSeconds"), "INTEGER", mark="coarse", unit=THOUSAND),
        Search(
            "elapsed",
            "number",
            (("elapsed:>60", "took more than a minute, from the request to the stored result"),),
            called=("time", "seconds", "duration", "duree"),
        ),
        Column(
            "elapsed_seconds",
            "number",
            "s",
            "wall time from the request to the stored result; never `duration`",
            charted.number_at("elapsedSeconds"),
        ),
        shown=Shown("elapsed", "seconds", said("Elapsed")),
    ),
    Field(
        "inputs",
        Kept(int, read.count_of_inputs, "INTEGER NOT NULL", mark="count"),
        Search("inputs", "number", (("inputs:2", "two input images"),), called=("entrees",), is_facet=True),
        Column("input_count", "whole", "files", "input images", charted.input_count),
        shown=Shown("inputs", "texts", read=attrgetter("inputs")),
    ),
    Field(
        "error",
        Kept(str | None, read.error_of, "INTEGER", "name", "name"),
        Search(
            "error",
            "name",
            (
                (
                    "error:nsfw",
                    "why it failed: `nsfw`, `timeout`, `rate-limit`, `payment`, `network`, `memory`, `invalid-input`, "
                    "`needs-a-model`, `storage`, `crash`, … and whatever another program says",
                ),
            ),
            called=("erreur",),
            is_loose=True,
            may_be_any=True,
            is_facet=True,
        ),
        Column("error_kind", "category", "", "the cause under which the failure counts, missing if nothing failed"),
        shown=Shown("errorKind"),
    ),
    Field(
        "id",
        search=Search("id", "id", (("id:20251103143022_abc123de", "one operation; `id:202511` those whose id begins so"),)),
        column=Column("operation_id", "text", "", "the operation's id, never missing", lambda source: source.entry.id),
        shown=Shown("id", label=said("Id")),
    ),
    Field(
        "parents",
        Kept(tuple[str, ...], read.parents_of, "", "ids"),
        Search("parent", "id", (("parent:20251103143022_abc123de", "what was made from that operation's result"),)),
        Column("parents", "texts", "", "ids of operations whose output is an input here, an empty list if there are none"),
        shown=Shown("parents", "texts", said("Created from"), attrgetter("parents")),
    ),
    Field(
        "batch",
        Kept(str | None, read.name_at("batchId"), "", "batch", "yes"),
        Search(
            "batch",
            "name",
            (("batch:20251103143022_abc123de", "the variants of one request; `batch:*` those of any"),),
            called=("lot",),
            may_be_any=True,
        ),
        Column("batch_id", "text", "", "shared by the variants of one request"),
        shown=Shown("batchId"),
    ),
    Field(
        "source",
        Kept(int | None, read.inputs_hash, "INTEGER"),
        Search(
            "images",
            "id",
            (("images:20251103143022_abc123de", "what was made from the same input images, that one included"),),
        ),
    ),
    Field(
        "confidence",
        Kept(int | None, read.confidence_of, "INTEGER", mark="coarse", unit=MILLION),
        Search("confidence", "number", (("confidence:<0.7", "where the workflow analysis was not sure"),), called=("confiance",)),
        Column("confidence", "number", "0 to 1", "how sure the analysis was of it", charted.confidence),
        shown=Shown("confidence", "number"),
    ),
    Field(
        "overridden",
        Kept(bool, read.is_overridden, "INTEGER NOT NULL", "flag", "yes"),
        Search(
            "overridden",
            "flag",
            (
                (
                    "overridden:yes",
                    "where a person chose another workflow than the one proposed; `overridden:no` the others",
                ),
            ),
        ),
        Column(
            "overridden",
            "flag",
            "",
            "whether a person chose another type; missing if nothing was proposed",
            charted.overridden,
        ),
        shown=Shown("overridden", "flag"),
    ),
    Field(
        "note",
        Kept(str | None, read.note_of, "TEXT", mark="yes"),
        Search(
            "note",
            "name",
            (
                (
                    "note:cover",
                    'a word of the note; `note:"for the cover"` several in a row, `note:cov*` a beginning, '
                    "`note:*` any note at all",
                ),
            ),
            called=("comment", "commentaire"),
            may_be_any=True,
        ),
        Column("note", "text", "", "the note", charted.note),
        shown=Shown("note"),
    ),
    Field(
        "seed",
        Kept(int | None, read.used_seed, "INTEGER", "seed", "none"),
        Search(
            "seed",
            "seed",
            (("seed:42", "made with this seed; `seed:42,43` either of two, `seed:*` any seed at all"),),
            called=("graine",),
            may_be_any=True,
        ),
        Column("seed", "text", "", "the seed that was used, in digits: large ones fit into no column of numbers", charted.seed),
    ),
    Field(
        "size",
        Kept(str | None, read.size_of, "INTEGER", "name", "name"),
        Search(
            "size",
            "size",
            (
                (
                    "size:1024x768",
                    "width and height of the result in pixels; `size:1024x*` every height, `size:1024*` what begins so, "
                    "`size:*` any size that is known; `×` is the same as `x`",
                ),
                ("size:landscape", "wider than high; also `size:portrait` and `size:square`"),
            ),
            called=("taille", "dimensions", "pixels", "resolution"),
            may_be_any=True,
        ),
        shown=Shown("size"),
    ),
    Field(
        "created_by",
        Kept(str | None, read.name_at("createdBy"), "INTEGER", "name", "name"),
        Search(
            "by",
            "name",
            (
                (
                    'by:"Ada Lovelace"',
                    "who asked for it, where people sign in; `by:ada*` whose name begins so, `by:*` any name at all",
                ),
            ),
            called=("creator", "author", "createdby", "createur", "auteur", "par"),
            may_be_any=True,
            is_facet=True,
            label=said("Created by"),
            is_rare=True,
        ),
        Column("created_by", "category", "", "who asked for it, where people sign in"),
        shown=Shown("createdBy", label=said("Created by")),
    ),
    Field(
        "output",
        Kept(str | None, lambda source: source.output, "INTEGER", "output"),
        shown=Shown("outputs", "texts", read=attrgetter("outputs")),
    ),
    _column(
        "success", "flag", "", "the sidecar's own `success`; whether there is a result, `status` says", charted.flag_at("success")
    ),
    Field("prompt", column=Column("prompt", "text", "", "the whole prompt", charted.text_at("prompt")), shown=Shown("prompt")),
    _column(
        *("prompt_key", "whole", "", "the same number for prompts that differ in case, accents, spaces or punctuation only"),
        charted.key_of_prompt,
    ),
    Field("error_text", column=Column("error", "text", "", "the error's text", charted.text_at("error")), shown=Shown("error")),
    _column("workflow_id", "category", "", "the type that the analysis proposed", charted.workflow),
    _column("outputs", "whole", "files", "results that the sidecar names, 0 where it names none", charted.output_count),
    _column("media", "category", "", "`image` or `video`: what the main output is, by its name", charted.media),
    _column("predict_seconds", "number", "s", "computing time that the provider reported, all steps together", charted.predicted),
    _column(
        "clip_seconds",
        "number",
        "s",
        "length of clip that was asked for: the sidecar's `duration`",
        charted.number_at("duration"),
    ),
    _column(
        "cost_estimated",
        "flag",
        "",
        "whether `cost` is an estimate; missing if there is no cost or it does not say",
        charted.is_estimated,
    ),
    _column("bytes_in", "whole", "bytes", "stored inputs together", charted.bytes_of("input")),
    _column("bytes_between", "whole", "bytes", "stored intermediate results together", charted.bytes_of("intermediate")),
    _column("bytes_out", "whole", "bytes", "stored outputs together", charted.bytes_of("output")),
    _column("width", "whole", "pixels", "of the main output", charted.width),
    _column("height", "whole", "pixels", "of the main output", charted.height),
    Field(
        "parameters",
        column=Column(
            "parameters",
            "category",
            "",
            "what was asked for, as JSON in the order of names: without seeds, texts and nested values",
            charted.parameters,
        ),
        shown=Shown("parameters", "parameters", read=Operation.parameters),
    ),
)
BY_NAME = {field.name: field for field in TABLE}
#: What can be asked for, by the name that a search calls it.
SEARCHES: dict[str, Search] = {field.search.name: field.search for field in TABLE if field.search}
#: Filters that are a choice of names in use, and what they are called.
FILTERS = {name: search.label for name, search in SEARCHES.items() if search.label}
