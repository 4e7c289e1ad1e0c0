"""What the page Storage does: every act of care in the background, with a result that can be shown long after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, astuple, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from opstore.care.cleanup import Rule
from opstore.care.compression import Compressed
from opstore.care.long_acts import Act, Acts
from opstore.care.progress import Report
from opstore.care.pruning import Keep
from opstore.care.repair import Remedy
from opstore.care.survey import survey
from opstore.errors import OpstoreError, said
from opstore.storage.operation import OPERATION_TYPES

if TYPE_CHECKING:
    from opstore.care import Care

_VIDEO = tuple(name for name, row in OPERATION_TYPES.items() if row.result == "video")
#: What the page looks into by itself, by name.
RULES: Mapping[str, Rule] = {
    "old": Rule(),
    "failed": Rule(7, succeeded=False),
    "videos": Rule(90, types=_VIDEO),
    "large": Rule(larger_than=20_000_000),
}
#: Of a long list as many are kept for the page; the commands show all.
_SHOWN = 200


class BackgroundCare:
    """The acts of one data folder's care."""

    def __init__(self, care: Care) -> None:
        """Do what `care` can do, in the background."""
        self._care = care
        self.acts = Acts(care.store.cache / "acts")

    def last(self, kind: str) -> Act | None:
        """Return the last act of a kind."""
        return self.acts.last(kind)

    def running(self) -> Act | None:
        """Return the act at work."""
        return self.acts.running()

    def states(self) -> frozenset[tuple[str, str, str, str | None]]:
        """Return what is another as soon as an act has begun or ended."""
        return self.acts.states()

    def look(self) -> None:
        """Measure the folder, and what each of RULES would free."""

        def work(report: Report) -> Mapping[str, Any]:
            seen = survey(self._care.store, report)
            plans = {name: self._care.cleanup.plan(rule, seen=seen) for name, rule in RULES.items()}
            return {
                "operations": len(seen.facts),
                "bytes": seen.bytes,
                "kinds": dict(seen.by_kind),
                "months": [[month, kind, size] for (month, kind), size in sorted(seen.by_month.items())],
                "rules": {name: {"count": len(plan.leaving), "bytes": plan.bytes} for name, plan in plans.items()},
            }

        self.acts.start("look", work)

    def plan(self, rule: Rule) -> None:
        """Say what a rule would move to the trash."""

        def work(report: Report) -> Mapping[str, Any]:
            found = self._care.cleanup.plan(rule, report)
            ids = [fact.id for fact in found.leaving]
            told = {"rule": asdict(rule), "count": len(ids), "bytes": found.bytes, "kept": dict(found.kept)}
            return told | {"list": self.acts.keep_list("plan", ids)}

        self.acts.start("plan", work)

    def clean(self, rule: Rule, shown: str) -> None:
        """Do what a rule says, with no other operations than those in the list of the plan that was `shown`."""

        def work(report: Report) -> Mapping[str, Any]:
            ids, plan = self.acts.kept_list("plan", shown), self._care.cleanup.plan(rule, report)
            leaving = tuple(fact for fact in plan.leaving if fact.id in ids)
            done = self._care.cleanup.apply(replace(plan, leaving=leaving), report)
            return {"count": len(done.moved), "bytes": done.bytes, "left": len(done.left)}

        self.acts.start("clean", work)

    def verify(self, *, deep: bool = False) -> None:
        """Look for problems, and say what would be done about each."""
        self.acts.start("verify", lambda report: _remedies(self._care.repair.plan(deep=deep, report=report)) | {"deep": deep})

    def repair(self, *, deep: bool = False) -> None:
        """Mend what can be mended, then look again."""

        def work(report: Report) -> Mapping[str, Any]:
            done = self._care.repair.apply(deep=deep, report=report)
            return _remedies(done) | {"deep": deep, "mended": sum(bool(remedy.done) for remedy in done)}

        self.acts.start("repair", work)

    def back_up(self, target: str) -> None:
        """Take a backup."""

        def work(report: Report) -> Mapping[str, Any]:
            taken = self._care.back_up(target, report)
            outcome: dict[str, Any] = {"left_out": len(taken.left_out), "target": target}
            try:
                pruned = self._care.prune_by_rule(target, report)
                outcome |= {"pruned": len(pruned.gone), "freed": pruned.bytes} if pruned else {}
            except OpstoreError as error:  # the backup is taken all the same
                outcome["stayed"] = str(error)
            return asdict(taken) | outcome

        self.acts.start("backup", work)

    def prune(self, target: str, keep: Keep, *, shown: Collection[str] | None = None) -> None:
        """Remove old backups for good, of those that were `shown`, or say which would go where none were yet."""

        def work(report: Report) -> Mapping[str, Any]:
            done = self._care.prune(target, keep, report, dry=shown is None, among=shown)
            counts = {"count": len(done.gone), "kept": len(done.kept), "bytes": done.bytes, "contents": done.contents}
            return counts | {"gone": done.gone, "target": target, "keep": astuple(keep)}

        self.acts.start("prunable" if shown is None else "prune", work)

    def restore(self, source: str, snapshot: str, *, dry: bool) -> None:
        """Bring a backup back, or say what would come back."""

        def work(report: Report) -> Mapping[str, Any]:
            done = self._care.restore(source, snapshot, report, dry=dry)
            counts = {"operations": len(done.operations), "files": done.files, "same": done.same}
            wrong = {**done.conflicts, **done.damaged}
            return counts | {"snapshot": snapshot, "dry": dry, "conflicts": len(wrong), "rows": list(wrong.items())[:_SHOWN]}

        self.acts.start("restore", work)

    def take_in(self, source: str, *, dry: bool) -> None:
        """Import a folder or a zip archive, or say what would come in."""

        def work(report: Report) -> Mapping[str, Any]:
            done = self._care.take_in(source, report, dry=dry)
            counts = {"operations": len(done.operations), "same": done.same, "left": len(done.left)}
            return counts | {"dry": dry, "rows": list(done.left.items())[:_SHOWN]}

        self.acts.start("import", work)

    def take_history(self, name: str, days: int, *, dry: bool) -> None:
        """Import what the account at a provider made in the last days, or say what would come in."""

        def work(report: Report) -> Mapping[str, Any]:
            done = self._care.take_history(name, days, report, dry=dry)
            counts = {"operations": len(done.operations), "same": done.same, "left": len(done.left), "without": done.without}
            return counts | {"dry": dry, "rows": list(done.left.items())[:_SHOWN]}

        self.acts.start("history", work)

    def plan_packing(self, days: int) -> None:
        """Say what packing the months that ended so many days ago would save."""
        self.acts.start("packable", lambda report: _months(self._care.compression.plan(days, report=report)) | {"days": days})

    def pack(self, days: int) -> None:
        """Pack them."""
        self.acts.start("pack", lambda report: _months(self._care.compression.apply(days, report=report)) | {"days": days})

    def unpack(self, month: str | None) -> None:
        """Bring a packed month back as plain files, or all."""
        self.acts.start("unpack", lambda report: _months(self._care.compression.unpack(month, report)))

    def empty_trash(self) -> None:
        """Remove for good what is in the trash now."""

        def work(report: Report) -> Mapping[str, Any]:
            report(0, None, said("emptying the trash"))
            return {"count": len(self._care.trash.purge(timedelta(0)))}

        self.acts.start("empty", work)

    def rebuild(self) -> None:
        """Build the index anew."""

        def work(report: Report) -> Mapping[str, Any]:
            report(0, None, said("building the index"))
            self._care.index.rebuild()
            return {"count": self._care.index.held()}

        self.acts.start("rebuild", work)


def _remedies(found: Sequence[Remedy]) -> dict[str, Any]:
    rows = [[remedy.problem.kind, remedy.problem.name, remedy.step, remedy.detail] for remedy in found[:_SHOWN]]
    return {"count": len(found), "kinds": dict(Counter(remedy.problem.kind for remedy in found)), "rows": rows}


def _months(found: Compressed) -> dict[str, Any]:
    rows = [[month.month, month.operations, month.before, month.after] for month in found.months]
    left = list(found.left.items())[:_SHOWN]
    return {"count": found.operations, "saved": found.saved, "months": rows, "left": len(found.left), "rows": left}
