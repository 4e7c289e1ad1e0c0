"""A branch run again on another image: the operations of a family made anew, one after the other, each from the last's result.

A request is one file in `branches/`, with the new image beside it, until all its operations are made; any process that runs takes
it up, under a lock. An operation's id is chosen, and durable, before it is asked for: a crash between two steps repeats nothing,
and pays for nothing twice, whatever has become of the operation since.

The runner of jobs does not do this, for a branch is no job: no provider is asked for it, it has no result, cost or sidecar, and
no job waits for another. What it does, a person could do by hand: wait for an operation, then run the next again on its result.
So it asks by `Service.again`, like a person, under the models, budget and settings of that moment, and the jobs that come of it
are the runner's like all others.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from opstore.access.roles import Role, act, acting, on_behalf, part
from opstore.errors import FileMissing, InvalidRequest, OperationNotFound, OpstoreError, said
from opstore.jobs import JobFolder
from opstore.lineage.families import Family, Lineage
from opstore.storage.files import digest, is_passing
from opstore.storage.names import check_name, check_operation_id, generate_operation_id, input_name, parse_name, sidecar_name
from opstore.storage.operation import Operation
from opstore.storage.saving import MAX_INPUT_BYTES, check_image
from opstore.storage.store import Store

log = logging.getLogger("opstore.lineage.branches")

#: Seconds between two looks at what is under way.
EVERY = 1.0
#: Longer than this no chain is: a ring in foreign data, or a mistake.
MAX_STEPS = 20
MAX_RECORD_BYTES = 1_000_000

#: Makes an operation like another one, from other images, as one of a batch: (id, images, parents, batch id, new id).
Again = Callable[[str, tuple[bytes, ...], tuple[str, ...], str, str], str]


@dataclass(frozen=True, slots=True)
class Step:
    """An operation to be made again.

    `sources` says for each input whose new result it is, None where it is what it was before, "" where it is the new image.
    `made` is the id of the new one, as soon as it is chosen.
    """

    of: str
    sources: tuple[str | None, ...]
    made: str | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch under way; `error` is why it stands still, in English, `created_by` who began it, where that is recorded."""

    id: str
    image: str
    steps: tuple[Step, ...]
    error: str | None = None
    created_by: str | None = None

    def encode(self) -> bytes:
        """Return the record's bytes."""
        known = {name: value for name, value in asdict(self).items() if name != "created_by" or value is not None}
        return json.dumps(known, ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Branch:
        """Read a record; raise ValueError for what is none."""
        try:
            found = json.loads(data)
            steps = tuple(Step(check_operation_id(s["of"]), tuple(s["sources"]), s["made"]) for s in found["steps"])
            image, by = str(check_name(found["image"])), found.get("created_by")
            return cls(check_operation_id(found["id"]), image, steps, found["error"], by if isinstance(by, str) else None)
        except (KeyError, TypeError, OpstoreError, RecursionError) as error:
            raise ValueError("no record of a branch") from error


def plan(family: Family, start: str, number: int = 1) -> tuple[Step, ...]:
    """Return the operations to make anew, in order, so that the family's centre comes out of another image as input of `start`.

    `start` is an ancestor of the centre, or the centre itself; `number` is the input of it that is replaced, from 1.
    """
    affected, waiting = {start}, [start]
    while waiting:
        for child in family.children(waiting.pop()):
            if child not in affected:
                affected.add(child)
                waiting.append(child)
    wanted, waiting = {family.centre}, [family.centre]
    while waiting:
        for parent in family.parents(waiting.pop()):
            if parent not in wanted:
                wanted.add(parent)
                waiting.append(parent)
    if not {start, family.centre} <= affected & wanted:
        raise InvalidRequest(reason=said("the branch does not lead from {start} to {end}", start=start, end=family.centre))
    chosen = _in_order(family, affected & wanted, start)
    if len(chosen) > MAX_STEPS:
        raise InvalidRequest(
            reason=said("the branch has {count} operations; at most {limit}", count=len(chosen), limit=MAX_STEPS)
        )
    return tuple(_step(family, name, start, number, chosen) for name in chosen)


def _in_order(family: Family, names: set[str], start: str) -> list[str]:
    """Return members behind their parents, from `start` on; ids do not tell which came first within a second."""
    order, left = [start], sorted(names - {start})
    while left:
        free = (name for name in left if not any(parent in left for parent in family.parents(name)))
        order.append(next(free, left[0]))  # a ring in foreign data is cut somewhere
        left.remove(order[-1])
    return order


def _step(family: Family, name: str, start: str, number: int, chosen: list[str]) -> Step:
    operation = family.members[name]
    if operation is None or not operation.inputs:
        raise InvalidRequest(reason=said("{name} is not there, or has no input", name=name))
    sources: list[str | None] = [None] * len(operation.inputs)
    for parent in family.parents(name):
        if parent not in chosen:
            continue
        link = family.links[parent, name]
        # Where the bytes do not tell which input a declared parent gave, it can only be the one there is.
        places = link.inputs or ((1,) if len(operation.inputs) == 1 else ())
        if not places:
            raise InvalidRequest(reason=said("which input of {name} came from {parent} is not known", name=name, parent=parent))
        for place in places:
            sources[place - 1] = parent
    if name == start:
        if not 1 <= number <= len(sources):
            raise InvalidRequest(reason=said("{name} has no input {number}", name=name, number=number))
        sources[number - 1] = ""
    return Step(name, tuple(sources))


@part(Role.ADMIN)
class Branches:
    """The branches under way in one store."""

    def __init__(self, store: Store, lineage: Lineage, jobs: JobFolder, again: Again) -> None:
        """Make operations by `again`; nothing happens by itself before `start`."""
        self._store = store
        self._lineage = lineage
        self._jobs = jobs
        self._again = again
        self._folder = store.data.folder("branches")
        self._trash = store.data.folder("trash")
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take up what is under way, now and from now on."""
        if self._thread is None:
            self._ended.clear()
            self._thread = threading.Thread(target=self._run, name="opstore-branches", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop; what is under way is taken up at the next start."""
        self._ended.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    @act(Role.CREATOR)
    def begin(self, operation_id: str, start: str, image: bytes, number: int = 1) -> str:
        """Run the branch from `start` to an operation again with `image` as input `number` of `start`, and return its id.

        Durable when it returns. Raise InvalidRequest where it cannot be told how, UnsupportedMedia for no picture.
        """
        kind = check_image(image, 1)
        steps = plan(self._lineage.family(operation_id), start, number)
        branch_id = generate_operation_id()
        branch = Branch(branch_id, input_name(branch_id, 1, kind.extension), steps, created_by=acting().recorded)
        self._folder.make()
        self._folder.create(branch_id, [{branch.image: image}, {sidecar_name(branch_id): branch.encode()}])
        self._wake.set()
        return branch_id

    @act(*Role)
    def all(self) -> list[Branch]:
        """Return the branches under way, oldest first; what is no record of one is passed over."""
        names = (parse_name(name) for name in self._folder.names())
        found = (self._read(name.operation_id) for name in names if name and name.role == "sidecar")
        return sorted((branch for branch in found if branch), key=lambda branch: branch.id)

    @act(Role.CREATOR)
    def go_on(self, branch_id: str) -> None:
        """Try once more what a branch stands still at: the failed operation is made anew."""
        with self._folder.locked(f"branch-{check_operation_id(branch_id)}"):
            branch = self._read(branch_id)
            if branch is None:
                raise OperationNotFound(operation_id=branch_id)
            steps = tuple(replace(step, made=None) if step.made and self._failed(step.made) else step for step in branch.steps)
            self._write(branch, replace(branch, steps=steps, error=None))
        self._wake.set()

    @act(Role.CREATOR)
    def forget(self, branch_id: str) -> None:
        """Make nothing more of a branch; what was made stays."""
        with self._folder.locked(f"branch-{check_operation_id(branch_id)}"):
            branch = self._read(branch_id)
            if branch is None:
                raise OperationNotFound(operation_id=branch_id)
            self._remove(branch)

    # -- the thread ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.turn()
            except OpstoreError as error:
                log.warning("branches: %s", error)  # a full disk, say: the next turn finds out
            self._wake.wait(EVERY)
            self._wake.clear()

    def turn(self) -> None:
        """Bring every branch as far on as it can be now."""
        for known in self.all():
            if known.error:
                continue
            with self._folder.locked(f"branch-{known.id}"):
                branch = self._read(known.id)  # another process may have been quicker
                if branch and not branch.error:
                    self._advance(branch)

    def _advance(self, branch: Branch) -> None:
        try:
            for at, step in enumerate(branch.steps):
                if step.made is None:
                    step = replace(step, made=generate_operation_id())
                    steps = (*branch.steps[:at], step, *branch.steps[at + 1 :])
                    branch = self._write(branch, replace(branch, steps=steps))
                is_newest = not any(later.made for later in branch.steps[at + 1 :])
                if is_newest and not self._is_asked_for(str(step.made)):
                    self._ask_for(branch, step)
                if step.made in {job.operation_id for job in self._jobs.all()}:
                    return
                if step.made and self._failed(step.made):
                    raise InvalidRequest(reason=said("{name} was not made", name=step.made))
            self._remove(branch)
        except OpstoreError as error:
            if is_passing(error):
                raise
            self._write(branch, replace(branch, error=str(error)))

    def _is_asked_for(self, operation_id: str) -> bool:
        """Say whether an operation was asked for: in the order in which one goes, from its record to the trash, and back."""
        folders = (self._jobs.folder, self._store.operations, self._trash, self._store.operations)
        return any(folder.has(sidecar_name(operation_id)) for folder in folders)

    def _ask_for(self, branch: Branch, step: Step) -> None:
        old = Operation.of(self._store.get_operation_metadata(step.of))
        new_ids = {item.of: item.made for item in branch.steps}
        images, parents = [], []
        for name, source in zip(old.inputs, step.sources, strict=True):
            if source == "":
                images.append(self._folder.read(branch.image, MAX_INPUT_BYTES))
            elif source is None:
                images.append(self._store.read_file(name))
            else:
                new = Operation.of(self._store.get_operation_metadata(new_ids[source] or source))
                parents.append(new.id)
                images.append(self._store.read_file(_still_of(new)))
        with on_behalf(branch.created_by):
            self._again(step.of, tuple(images), tuple(dict.fromkeys(parents)), branch.id, str(step.made))

    def _failed(self, operation_id: str) -> bool:
        if self._jobs.folder.has(sidecar_name(operation_id)):  # asked first: one that ends meanwhile has its sidecar by then
            return False
        try:
            return Operation.of(self._store.get_operation_metadata(operation_id)).status != "stored"
        except OperationNotFound:
            return True

    # -- records ---------------------------------------------------------------------------------------------------------

    def _read(self, branch_id: str) -> Branch | None:
        try:
            return Branch.decode(self._folder.read(sidecar_name(branch_id), MAX_RECORD_BYTES))
        except (FileMissing, ValueError):
            return None

    def _write(self, old: Branch, new: Branch) -> Branch:
        self._folder.replace(old.id, sidecar_name(old.id), new.encode(), digest(old.encode()))
        return new

    def _remove(self, branch: Branch) -> None:
        self._folder.remove(branch.id, [sidecar_name(branch.id), branch.image])


def _still_of(operation: Operation) -> str:
    """Return the result that can be an input: a picture, of a chain with a video the one in between."""
    for name in (*operation.outputs, *operation.intermediates):
        if not name.endswith((".mp4", ".webm")):
            return name
    raise InvalidRequest(reason=said("{name} has no picture to go on with", name=operation.id))
