"""What the stand-in of Replicate knows: predictions that ripen with time, files, faults to come, and a count of everything.

Nothing ticks: a prediction's state is computed from the clock whenever it is looked at, so that a stand-in that was stopped, or
whose clock was set on, answers as the real one would.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCHEMAS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "replicate_schemas.json").read_text())["models"]
RETENTION = 3600.0  # an hour after its creation a prediction forgets input, output and logs
WEB_RETENTION = 14 * 24 * 3600.0  # one that was made on the web site
FILE_LIFE = 24 * 3600.0
NEVER = 1e12


@dataclass
class Settings:
    """How the stand-in behaves; every field can be set while it runs."""

    token: str = "r8_standin_0123456789abcdefghijklmnopq"
    start: float = 0.3  # seconds in `starting`
    run: float = 0.3  # seconds in `processing`
    page_size: int = 100
    credit: float = 100.0
    low_credit: bool = False  # 6 creates a minute, a burst of 1
    creates_per_minute: int = 600
    others_per_minute: int = 3000
    enforce_rates: bool = False
    skew: float = 0.0  # seconds that its clock is ahead of this machine's: its stamps and its Date tell
    dated: bool = True  # whether its answers have a Date
    list_lag: float = 0.0  # seconds after which a prediction is in the list: a copy that lags behind
    shuffled: bool = False  # the list comes in no order
    api: str = ""
    delivery: str = ""


@dataclass
class Plan:
    """How one prediction will go: filled from `Settings` where it does not say."""

    status: str = "succeeded"
    output: str = "normal"  # normal, null, short, empty, data, object, two
    text: Any = None  # what a language model answers: a text, or its pieces
    error: Any = None
    start: float | None = None  # seconds; below zero: it never starts
    run: float | None = None
    count: int = 1
    source: str = "api"  # or web

    @property
    def life(self) -> float:
        """Return how many seconds its content is kept."""
        return WEB_RETENTION if self.source == "web" else RETENTION


@dataclass
class Fault:
    """What goes wrong with the next `count` requests of a kind, every `every`th of them; `after` the request took effect."""

    on: str
    kind: str
    count: int = 1
    every: int = 1
    each: bool = False  # once for each prediction, however many there are
    after: bool = False
    seconds: float = 0.0
    retry_after: Any = None
    header: str | None = None
    status: int = 500
    seen: int = 0
    done_for: list[str] = field(default_factory=list)

    def strikes(self, key: str) -> bool:
        """Say whether this request is hit, and count it."""
        if self.each:
            fresh = key not in self.done_for
            self.done_for.append(key)
            return fresh
        self.seen += 1
        if self.count < 1 or self.seen % self.every:
            return False
        self.count -= 1
        return True


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, detail: str, title: str = "", headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers or {}
        self.document = ({"title": title} if title else {}) | {"detail": detail, "status": status, **more}


@dataclass
class Record:
    """One prediction as it was asked for."""

    id: str
    model: str
    version: str
    input: dict[str, Any]
    created: float
    plan: Plan
    shape: str
    extension: str
    deadline: float | None = None
    canceled_at: float | None = None

    def moments(self) -> tuple[float, float]:
        """Return when it starts and when it ends, if nothing stops it."""
        start = self.plan.start or 0.0
        started = self.created + (NEVER if start < 0 else start)
        return started, started + (self.plan.run or 0.0)

    def state(self, now: float) -> tuple[str, float | None, float | None]:
        """Return the status at `now`, and when it started and ended."""
        started, ended = self.moments()
        stops = [
            (moment, why) for moment, why in ((self.canceled_at, "canceled"), (self.deadline, "aborted")) if moment is not None
        ]
        stop, why = min(stops, default=(NEVER * 2, ""))
        if stop <= now and stop < ended:
            return (why, None, stop) if stop < started else ("canceled", started, stop)
        if now < started:
            return "starting", None, None
        if now < ended:
            return "processing", started, None
        return self.plan.status, (None if self.plan.status == "aborted" else started), ended


class World:
    """All that the stand-in knows. Every method takes the one lock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.offset = 0.0
        self.accepted_at = -NEVER
        self.records: dict[str, Record] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.plans: list[Plan] = []
        self.requests: Counter[str] = Counter()
        self.times: dict[str, list[float]] = {"create": [], "other": []}
        self.deliveries: list[dict[str, Any]] = []
        self.seen_headers: list[dict[str, str]] = []

    def now(self) -> float:
        """Return the stand-in's own time; `offset` is time that has passed there and that nobody is told."""
        return time.time() + self.offset + self.settings.skew

    def date(self) -> float:
        """Return what it says the time is."""
        return time.time() + self.settings.skew

    # -- what happens before a request is looked at ----------------------------------------------------------------------

    def count(self, verb: str) -> None:
        with self.lock:
            self.requests[verb] += 1
            if verb != "delivery":
                self.times["create" if verb == "create" else "other"].append(time.monotonic())

    def fault(self, verb: str, key: str) -> Fault | None:
        with self.lock:
            return next((fault for fault in self.faults if fault.on == verb and fault.strikes(key)), None)

    def check_rate(self, verb: str) -> None:
        """Refuse what is over the limits that are set."""
        lane = "create" if verb == "create" else "other"
        with self.lock:
            last_minute = [moment for moment in self.times[lane] if moment > time.monotonic() - 60]
            limit = getattr(self.settings, f"{lane}s_per_minute")
            if lane == "create" and self.settings.low_credit and time.monotonic() - self.accepted_at < 10:
                raise Refused(
                    429,
                    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a "
                    "burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~5s.",
                    headers={"Retry-After": "5"},
                    retry_after=5,
                )
            if self.settings.enforce_rates and len(last_minute) > limit:
                raise Refused(429, "Request was throttled.", headers={"Retry-After": "1"}, retry_after=1)

    def busiest_minute(self, lane: str) -> int:
        """Return the most requests of a lane in any minute."""
        times, best, first = sorted(self.times[lane]), 0, 0
        for last, moment in enumerate(times):
            while times[first] <= moment - 60:
                first += 1
            best = max(best, last - first + 1)
        return best

    # -- predictions -----------------------------------------------------------------------------------------------------

    def create(self, model: str, version: str, body: Any, cancel_after: str | None) -> dict[str, Any]:
        """Accept a prediction, or refuse it as the real API does."""
        allowed = {"input", "stream", "webhook", "webhook_events_filter"} | ({"version"} if version != "hidden" else set())
        if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
            raise Refused(422, "- input: Invalid type. Expected: object", "Input validation failed")
        if set(body) - allowed:
            raise Refused(422, f"- Additional property {min(set(body) - allowed)} is not allowed", "Input validation failed")
        schema = SCHEMAS.get(model)
        if schema is None and version == "hidden":
            raise Refused(404, "The requested resource could not be found.", "Not found")
        if self.settings.credit <= 0:
            raise Refused(402, "You have insufficient credit to run this model.", "Insufficient credit")
        if schema:
            self._check_input(schema, body["input"])
        with self.lock:
            record = self._record(model, version, body["input"], schema, cancel_after)
            self.records[record.id] = record
            self.accepted_at = time.monotonic()
            return self.show(record)

    def _record(self, model: str, version: str, given: dict[str, Any], schema: Any, cancel_after: str | None) -> Record:
        plan = Plan(**asdict(self.plans[0])) if self.plans else Plan()
        if self.plans:
            self.plans[0].count -= 1
            self.plans = [plan for plan in self.plans if plan.count > 0]
        plan.start = self.settings.start if plan.start is None else plan.start
        plan.run = self.settings.run if plan.run is None else plan.run
        kind = schema["kind"] if schema else "image"
        usual = schema["fields"].get("output_format", {}).get("default", "png") if schema else "png"
        written = str(given.get("output_format", usual))
        extension = "mp4" if kind == "video" else {"jpeg": "jpg"}.get(written, written)
        created = self.now()
        deadline = created + max(5.0, _seconds(cancel_after)) if cancel_after else None
        shape = schema["output"] if schema else "string"
        name = f"{secrets.token_hex(13)}"
        return Record(name, model, version, given, created, plan, shape, extension, deadline)

    def _check_input(self, schema: dict[str, Any], given: dict[str, Any]) -> None:
        wrong = [(name, f"{name} is required") for name in schema["required"] if name not in given]
        for name, value in given.items():
            wanted = schema["fields"].get(name)
            said = "Additional property is not allowed" if wanted is None else self._misfit(wanted, value)
            if said:
                wrong.append((name, said))
        if wrong:
            fields = [{"type": "invalid", "field": f"input.{name}", "description": said} for name, said in wrong]
            detail = "".join(f"- input.{name}: {said}\n" for name, said in wrong)
            raise Refused(422, detail, "Input validation failed", invalid_fields=fields)

    def _misfit(self, wanted: dict[str, Any], value: Any) -> str | None:
        """Return what is wrong with a value, or None."""
        if "enum" in wanted:
            return None if value in wanted["enum"] else f"must be one of {wanted['enum']}"
        if wanted["type"] in ("integer", "number"):
            return self._misfit_number(wanted, value)
        if wanted["type"] == "uri":
            return self._misfit_address(value)
        if wanted["type"] == "array":
            return self._misfit_array(wanted, value)
        kind = {"string": str, "boolean": bool}[wanted["type"]]
        return None if isinstance(value, kind) else f"Invalid type. Expected: {wanted['type']}"

    @staticmethod
    def _misfit_number(wanted: dict[str, Any], value: Any) -> str | None:
        kinds = int if wanted["type"] == "integer" else int | float
        if not isinstance(value, kinds) or isinstance(value, bool):
            return f"Invalid type. Expected: {wanted['type']}"
        low, high = wanted.get("minimum", value), wanted.get("maximum", value)
        return None if low <= value <= high else f"Must be from {low} to {high}"

    def _misfit_array(self, wanted: dict[str, Any], value: Any) -> str | None:
        if not isinstance(value, list) or len(value) > wanted.get("maximum", 1000):
            return f"Invalid type. Expected: array of at most {wanted.get('maximum', 1000)}"
        if wanted["items"] != "uri":
            return None
        return next((said for said in map(self._misfit_address, value) if said), None)

    def _misfit_address(self, value: Any) -> str | None:
        if not isinstance(value, str) or not value.startswith(("http://", "https://", "data:")):
            return "Does not match format 'uri'"
        if value.startswith(f"{self.settings.api}/v1/files/") and value.rsplit("/", 1)[-1] not in self.files:
            return "The file was not found"
        return None

    def get(self, prediction_id: str) -> dict[str, Any]:
        """Return a prediction as it is now."""
        with self.lock:
            record = self.records.get(prediction_id)
            if record is None:
                raise Refused(404, "The requested resource could not be found.", "Not found")
            return self.show(record)

    def cancel(self, prediction_id: str) -> dict[str, Any]:
        """Stop a prediction, if it has not ended."""
        with self.lock:
            self.get(prediction_id)
            record = self.records[prediction_id]
            if record.state(self.now())[2] is None:
                record.canceled_at = self.now()
            return self.show(record)

    def page(self, cursor: int, created_after: str | None) -> dict[str, Any]:
        """Return one page of predictions, newest first."""
        with self.lock:
            since = datetime.fromisoformat(created_after.replace("Z", "+00:00")).timestamp() if created_after else 0.0
            until = self.now() - self.settings.list_lag
            listed = (record for record in self.records.values() if since <= record.created <= until)
            records = sorted(listed, key=lambda record: record.created if self.settings.shuffled else -record.created)
            end = cursor + self.settings.page_size
            more = f"{self.settings.api}/v1/predictions?cursor={end}" if end < len(records) else None
            if more and created_after:
                more += f"&created_after={created_after}"
            return {"previous": None, "next": more, "results": [self.show(record) for record in records[cursor:end]]}

    def show(self, record: Record) -> dict[str, Any]:
        """Return a prediction's JSON: keys are left out where the real API has nothing to say."""
        status, started, ended = record.state(self.now())
        removed = self.now() - record.created > record.plan.life
        address = f"{self.settings.api}/v1/predictions/{record.id}"
        shown: dict[str, Any] = {
            "id": record.id,
            "model": record.model,
            "version": record.version,
            "input": {} if removed else record.input,
            "logs": "" if removed else self._logs(record, status, started),
            "output": self._output(record) if status == "succeeded" and not removed else None,
            "data_removed": removed,
            "error": (record.plan.error or "The model failed.") if status == "failed" else None,
            "source": record.plan.source,
            "status": status,
            "created_at": stamp(record.created),
            "urls": {"get": address, "cancel": f"{address}/cancel", "web": f"https://replicate.com/p/{record.id}"},
        }
        if record.deadline:
            shown["deadline"] = stamp(record.deadline)
        if started and status != "starting":
            shown["started_at"] = stamp(started)
        if ended:
            shown["completed_at"] = stamp(ended)
            shown["metrics"] = {"total_time": round(ended - record.created, 6)}
            if started:
                shown["metrics"]["predict_time"] = round(ended - started, 6)
        return shown

    def _logs(self, record: Record, status: str, started: float | None) -> str:
        if started is None or status == "starting":
            return ""
        share = 1.0 if status not in ("processing",) else (self.now() - started) / max(record.plan.run or 0, 1e-6)
        steps = [f"{10 * step:3d}%|{'#' * step:<10}| {step}/10\n" for step in range(int(share * 10) + 1)]
        return f"Using seed: {record.input.get('seed', 42)}\n" + "".join(steps)

    def _output(self, record: Record) -> Any:
        if record.shape == "text":
            return record.plan.text
        address = f"{self.settings.delivery}/pbxt/{record.id}/out-0.{record.extension}"
        if record.plan.output == "data":
            import base64

            from tests.standin.samples import CONTENT_TYPES, sample

            body = base64.b64encode(sample(record.extension)).decode()
            address = f"data:{CONTENT_TYPES[record.extension]};base64,{body}"
        second = address.replace("out-0", "out-1")
        shaped = [address] if record.shape == "list" else address
        made = {"null": None, "empty": [], "object": {"image": address}, "two": [address, second], "short": [address, None]}
        return made.get(record.plan.output, shaped)

    # -- files -----------------------------------------------------------------------------------------------------------

    def upload(self, name: str, content_type: str, data: bytes) -> dict[str, Any]:
        """Keep a file."""
        if len(data) > 100_000_000:
            raise Refused(413, "Files must be less than 100MB in size")
        with self.lock:
            file_id = secrets.token_hex(12)
            digest = hashlib.sha256(data).hexdigest()
            self.files[file_id] = {
                "id": file_id,
                "name": name,
                "content_type": content_type,
                "size": len(data),
                "etag": digest[:32],
                "checksums": {"sha256": digest},
                "metadata": {},
                "created_at": stamp(self.now()),
                "expires_at": stamp(self.now() + FILE_LIFE),
                "urls": {"get": f"{self.settings.api}/v1/files/{file_id}"},
            }
            return self.files[file_id]

    def file(self, file_id: str, remove: bool = False) -> dict[str, Any]:
        """Return a file's record, and forget it where `remove` says so."""
        with self.lock:
            if file_id not in self.files:
                raise Refused(404, "File not found")
            return self.files.pop(file_id) if remove else self.files[file_id]

    # -- delivery --------------------------------------------------------------------------------------------------------

    def delivered(self, path: str) -> tuple[bytes, str]:
        """Return an output's bytes and type; nothing any more after an hour."""
        from tests.standin.samples import CONTENT_TYPES, sample

        parts = path.strip("/").split("/")
        with self.lock:
            record = self.records.get(parts[1]) if len(parts) == 3 else None
            if record is None or record.state(self.now())[0] != "succeeded" or self.now() - record.created > record.plan.life:
                raise Refused(404, "Not found")
        return sample(record.extension), CONTENT_TYPES[record.extension]

    # -- what tests ask --------------------------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Return all that was counted."""
        with self.lock:
            return {
                "creates_accepted": len(self.records),
                "requests": dict(self.requests),
                "busiest_minute": {lane: self.busiest_minute(lane) for lane in self.times},
                "predictions": [self.show(record) for record in self.records.values()],
                "files": list(self.files.values()),
                "deliveries": self.deliveries,
                "headers": self.seen_headers[-500:],
                "settings": asdict(self.settings),
            }

    def control(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do what a test asks for."""
        with self.lock:
            if what == "faults":
                self.faults.append(Fault(**body))
            elif what == "plans":
                self.plans.append(Plan(**body))
            elif what == "clock":
                self.offset += float(body["advance"])
            elif what == "settings":
                self.settings.__dict__.update(Settings(**{**asdict(self.settings), **body}).__dict__)
            elif what == "clear":
                self.faults, self.plans = [], []
            else:
                raise Refused(404, f"there is no control {what}")
            return {"ok": True}


def stamp(moment: float) -> str:
    """Return a moment as Replicate writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds(duration: str) -> float:
    """Return the seconds of a Cancel-After header: `30`, `90s`, `5m`, `1h30m45s`."""
    total, digits = 0.0, ""
    for character in duration:
        if character.isdigit():
            digits += character
        else:
            total, digits = total + float(digits or 0) * {"s": 1, "m": 60, "h": 3600}[character], ""
    return total + float(digits or 0)


def host_of(address: str) -> str:
    """Return host and port of an address."""
    return urlsplit(address).netloc
