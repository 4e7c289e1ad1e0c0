"""Repair: for each problem that `verify` finds one careful step that mends it; only what nobody ever saw whole is deleted.

| problem | what is done |
|---|---|
| leftover | a temp or lock file of an interrupted save is removed: the save was never acknowledged |
| orphan | its operation lies in the trash: the move there is completed; else a sidecar is written that says it was adopted |
| missing, truncated, changed | the result is fetched again where the provider still has it; it must have the hash that is known |
| truncated, changed | what is there goes to `quarantine/` |
| unparsable, mismatch, unsafe | the file goes to `quarantine/`; media that are alone by that are adopted |
| a pack that is unparsable | what can be read of it comes back as loose files, then it goes to `quarantine/` |
| foreign name | left as it is: readers pass over such names |

Every step is one durable act, and decided anew from what is there: a repair that was killed is repeated. Of what goes to
`quarantine/` nothing is lost: it lies there under its own name, and can be looked at and put back by hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from opstore import media
from opstore.care.progress import Report, quiet
from opstore.errors import FetchError, OpstoreError, ProviderError, said
from opstore.fetch import FetchPolicy, fetch
from opstore.jobs.whole_results import is_whole
from opstore.providers import Provider
from opstore.storage.files import Folder, digest, is_passing, leftover_of
from opstore.storage.names import EXTENSIONS, FileName, output_name, own_name, parse_name, sidecar_name, time_of
from opstore.storage.operation import OPERATION_TYPES, Operation, timestamp
from opstore.storage.packs import PACKING
from opstore.storage.saving import described
from opstore.storage.store import Store
from opstore.storage.trash import Trash
from opstore.storage.verify import Problem, stands

Step = Literal["remove", "adopt", "finish", "fetch", "quarantine", "leave"]
_FETCHED = ("missing", "truncated", "changed")
#: Media younger than this (seconds) may belong to a request whose record is about to be written.
_SETTLED = 600.0
_BROKEN = ("truncated", "changed", "unparsable", "mismatch", "unsafe")


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is, or would be, done about a problem; `done` is None where it was only planned, False where it did not help."""

    problem: Problem
    step: Step
    done: bool | None = None
    detail: str = ""


class Repair:
    """The repairs of one store."""

    def __init__(
        self,
        store: Store,
        trash: Trash,
        providers: Callable[[], Mapping[str, Provider]],
        policy: FetchPolicy,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Mend `store`; `providers` are asked for results that are missing here, which are fetched under `policy`."""
        self._store = store
        self._trash = trash
        self._providers = providers
        self._policy = policy
        self._clock = clock
        self.quarantine = store.data.folder("quarantine")

    def plan(self, *, deep: bool = False, report: Report = quiet) -> list[Remedy]:
        """Say what would be done; changes nothing, and asks no provider."""
        report(0, None, said("looking for problems"))
        return [Remedy(problem, self._step(problem)) for problem in self._store.verify(deep=deep)]

    def apply(self, *, deep: bool = False, report: Report = quiet) -> list[Remedy]:
        """Mend what can be mended; what a first round lays bare (media whose sidecar was no good) a second one takes up."""
        remedies: list[Remedy] = []
        seen: set[tuple[str, str]] = set()
        for _ in range(3):
            plan = [item for item in self.plan(deep=deep, report=report) if (item.problem.kind, item.problem.name) not in seen]
            if not plan:
                break
            for number, remedy in enumerate(plan):
                report(number, len(plan), said("repairing"))
                seen.add((remedy.problem.kind, remedy.problem.name))
                remedies.append(self._mend(remedy))
        return remedies

    # -- which step ------------------------------------------------------------------------------------------------------

    def _step(self, problem: Problem) -> Step:
        if problem.kind == "leftover":
            return "remove"
        if problem.kind == "orphan":
            in_trash = self._trash.folder.has(sidecar_name(problem.operation_id or ""))
            return "finish" if in_trash and not self._store.operations.has(sidecar_name(problem.operation_id or "")) else "adopt"
        if problem.kind in _FETCHED and self._source(problem):
            return "fetch"
        return "quarantine" if problem.kind in _BROKEN else "leave"

    def _mend(self, remedy: Remedy) -> Remedy:
        steps: Mapping[Step, Callable[[Problem], str]] = {
            "remove": self._remove,
            "adopt": self._adopt,
            "finish": self._finish,
            "fetch": self._fetch,
            "quarantine": self._set_aside,
            "leave": lambda problem: _refuse(said("nothing can be done about it here")),
        }
        try:
            return replace(remedy, done=True, detail=steps[remedy.step](remedy.problem))
        except _Cannot as reason:
            return replace(remedy, done=False, detail=reason.args[0])
        except OpstoreError as error:
            if is_passing(error):
                raise
            return replace(remedy, done=False, detail=str(error))

    # -- the steps -------------------------------------------------------------------------------------------------------

    def _remove(self, problem: Problem) -> str:
        folder = self._folder_of(problem)
        # Under the lock of the save that made it, so that none at work loses anything.
        folder.remove(leftover_of(problem.name) or "repair", [problem.name])
        return said("removed")

    def _finish(self, problem: Problem) -> str:
        self._trash.finish(str(problem.operation_id))
        return said("the move to the trash is complete now")

    def _set_aside(self, problem: Problem) -> str:
        folder, library = self._folder_of(problem), self._store.operations
        with contextlib.ExitStack() as held:
            if problem.folder == "packed":
                held.enter_context(self._store.data.top.locked(PACKING))  # or what is packed at this moment went with it
                library.rescue(problem.name)
            elif problem.operation_id:
                held.enter_context(
                    folder.locked(problem.operation_id) if folder is self._store.pending else library.held([problem.operation_id])
                )
                if not stands(folder, problem):
                    return said("it is gone already")
            name = folder.set_aside(problem.name, self.quarantine, problem.name)
        if problem.operation_id:
            self._store.changed(problem.operation_id)
        return said("moved to quarantine/{name}", name=name)

    def _adopt(self, problem: Problem) -> str:
        """Write a sidecar for media without one; name a result that a sidecar does not name; set an input aside."""
        with self._store.operations.held([str(problem.operation_id)]):  # nobody moves it while it is looked at and written
            return self._adopt_alone(problem)

    def _adopt_alone(self, problem: Problem) -> str:
        operation_id, parts = str(problem.operation_id), parse_name(problem.name)
        folder = self._store.operations
        age = folder.age(problem.name)
        if age is None or parts is None:
            return said("it is gone already")
        if age < _SETTLED or self._store.pending.has(sidecar_name(operation_id)):
            return _refuse(said("it is too young: somebody may be saving it at this moment"))
        outcome = said("its metadata file names it now")
        if self._step(problem) == "finish":
            return self._finish(problem)
        if not folder.has(sidecar_name(operation_id)):
            self._write_sidecar(operation_id, parts)
            outcome = said("a metadata file was written for it")
        view = Operation.of(self._store.get_operation_metadata(operation_id))
        if problem.name in (*view.inputs, *view.outputs, *view.intermediates):
            return outcome
        if parts.role == "input":
            return self._set_aside(problem)  # what an operation was made from is only what its sidecar says
        data = folder.read(problem.name)
        self._store.rewrite(operation_id, lambda sidecar: _name_output(sidecar, parts, data))
        return outcome

    def _write_sidecar(self, operation_id: str, found: FileName) -> None:
        names = [*self._store.media_names(operation_id), str(found)]
        old = self._store.operations.present([f"{operation_id}_in.{extension}" for extension in EXTENSIONS])
        moment = timestamp(time_of(operation_id) or self._clock())
        known: dict[str, Any] = {
            "timestamp": moment,
            "completedAt": moment,
            "operationType": "unknown",
            "inputFiles": old,
            "adopted": {"at": timestamp(self._clock()), "by": "repair"},
        }
        if not any("_out" in name for name in names):
            known |= {"success": False, "error": said("Only its inputs were found, by a repair."), "status": "unknown"}
        self._store.save(operation_id, known)

    def _fetch(self, problem: Problem) -> str:
        """Fetch a result again; what is there instead, and is broken, goes to the quarantine first."""
        operation_id = str(problem.operation_id)
        sidecar = self._store.get_operation_metadata(operation_id)
        addresses = self._addresses(sidecar)
        if problem.kind != "missing":
            recorded = _entry(sidecar, problem.name).get("sha256")
            return self._replace(problem, addresses, recorded)
        if problem.name == sidecar_name(operation_id):
            return self._fill(operation_id, sidecar, addresses)
        data = self._got(addresses, problem.name, _entry(sidecar, problem.name).get("sha256"))
        self._put_in(operation_id, problem.name, data)
        self._store.changed(operation_id)
        return said("downloaded again")

    def _replace(self, problem: Problem, addresses: list[str], recorded: object) -> str:
        try:
            data = self._got(addresses, problem.name, recorded)
        except _Cannot:
            return self._set_aside(problem)
        aside = self._set_aside(problem)
        self._put_in(str(problem.operation_id), problem.name, data)
        return f"{aside}; {said('downloaded again')}"

    def _put_in(self, operation_id: str, name: str, data: bytes) -> None:
        """Give an operation a file that it lacks, if it is still there: fetching may have taken minutes."""
        with self._store.operations.held([operation_id]):
            if not self._store.operations.has(sidecar_name(operation_id)):
                _refuse(said("it is gone already"))
            self._store.operations.create(operation_id, [{name: data}])

    def _fill(self, operation_id: str, sidecar: dict[str, Any], addresses: list[str]) -> str:
        """Give an operation that says success the result that its maker could not download."""
        wanted = OPERATION_TYPES.get(str(sidecar.get("operationType")))
        data = self._got(addresses, None, None, wanted.result if wanted else None)
        kind = media.sniff(data)
        name = output_name(operation_id, 1, kind.extension if kind else "jpg")
        self._put_in(operation_id, name, data)
        parts = parse_name(name)

        def fill(stored: dict[str, Any]) -> None:
            stored["outputFile"] = name
            if parts:
                _name_output(stored, parts, data)

        self._store.rewrite(operation_id, fill)
        return said("downloaded again")

    # -- where a result may still be -------------------------------------------------------------------------------------

    def _source(self, problem: Problem) -> bool:
        """Say whether there is anybody to ask for a result."""
        parts = parse_name(problem.name)
        if problem.operation_id is None or parts is None or parts.role == "input":
            return False
        try:
            sidecar = self._store.get_operation_metadata(problem.operation_id)
        except OpstoreError:
            return False
        return bool(sidecar.get("resultUrl")) or any(self._asked(step) for step in _steps(sidecar))

    def _asked(self, step: Mapping[str, Any]) -> Provider | None:
        """Return who can be asked for the result of a step."""
        name, prediction = step.get("provider"), step.get("predictionId")
        return self._providers().get(name) if isinstance(name, str) and isinstance(prediction, str) and prediction else None

    def _addresses(self, sidecar: Mapping[str, Any]) -> list[str]:
        """Return where results of an operation may be, those of its last step first."""
        addresses: list[str] = []
        for step in reversed(_steps(sidecar)):
            provider = self._asked(step)
            if provider:
                with contextlib.suppress(ProviderError):  # gone there, or not reached: the stored address may still do
                    outputs = provider.status(str(step["predictionId"])).outputs
                    addresses += [output for output in outputs if isinstance(output, str)]
        stored = sidecar.get("resultUrl")
        return [*addresses, *([stored] if isinstance(stored, str) and stored not in addresses else [])]

    def _got(self, addresses: list[str], name: str | None, recorded: object, wanted: str | None = None) -> bytes:
        """Return the first whole result of the right hash, or kind where no hash is known; else raise, and say why."""
        parts = parse_name(name)
        kind = wanted or ("video" if parts and parts.extension in ("mp4", "webm") else "image")
        reason = said("the provider does not have it any more")
        for address in addresses:
            try:
                data = fetch(address, self._policy)
            except FetchError as error:
                reason = said("{reason}", reason=str(error))
                continue
            if digest(data) == recorded if isinstance(recorded, str) else is_whole(data, kind):
                return data
            reason = said("what was fetched is not what was saved")
        raise _Cannot(reason)

    def _folder_of(self, problem: Problem) -> Folder:
        folders = {"pending": self._store.pending, "packed": self._store.operations.packs.folder}
        return folders.get(problem.folder, self._store.operations)


class _Cannot(Exception):
    """A step that does not help; its argument says why."""


def _refuse(reason: str) -> str:
    raise _Cannot(reason)


def _steps(sidecar: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = sidecar.get("steps")
    return [step for step in found if isinstance(step, Mapping)] if isinstance(found, list) else []


def _entry(sidecar: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = sidecar.get("files")
    for entry in found if isinstance(found, list) else []:
        if isinstance(entry, Mapping) and entry.get("name") == name:
            return entry
    return {}


def _name_output(sidecar: dict[str, Any], parts: FileName, data: bytes) -> None:
    """Describe a result in a sidecar; beside a video a picture is the one between the two steps."""
    found = sidecar.get("files")
    known = found if isinstance(found, list) else []
    files = [entry for entry in known if not (isinstance(entry, Mapping) and entry.get("name") == str(parts))]
    main = own_name(sidecar.get("outputFile"), parts.operation_id)
    if main is None and sidecar.get("success") is True:
        sidecar["outputFile"] = str(parts)
        main = parts
    between = main is not None and main != parts and main.extension in ("mp4", "webm") and parts.extension not in ("mp4", "webm")
    sidecar["files"] = [*files, described(str(parts), data, "intermediate" if between else "output") | {"adopted": True}]
