"""The commands that take things away or build them anew: trash, cleanup, rebuild; what removes can first be asked to say what."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from opstore.cli.common import confirm, days, megabytes, meter, print_json, printable, settings_of, size_text, store_of, verb
from opstore.clocks.leaps import Leaps
from opstore.errors import ClockLeapt, OpstoreError
from opstore.storage.names import is_operation_id
from opstore.storage.operation import Operation
from opstore.storage.store import Store
from opstore.storage.trash import KEPT, Trash, Trashed

if TYPE_CHECKING:
    from opstore.care import Care, Plan
    from opstore.care.cleanup import Cleaned


def add(verbs: Any) -> None:
    """Add these commands to the parser."""
    _add_trash(verbs)
    cleaning = verb(verbs, "cleanup", _cleanup, "move old operations to the trash, except what somebody cares for (docs/care.md)")
    cleaning.add_argument("--older-than", type=days, default=30, metavar="DAYS", help="at least this old (default 30)")
    cleaning.add_argument("--type", action="append", default=[], metavar="TYPE", help="only of this type; may be repeated")
    cleaning.add_argument("--success", choices=("yes", "no"), help="only those that ended with a result, or without")
    cleaning.add_argument(
        "--larger-than", type=megabytes, default=0.0, metavar="MB", help="only those with at least this many MB"
    )
    cleaning.add_argument("--query", default="", metavar="QUERY", help="only what this search finds (docs/search.md)")
    _removes(cleaning)
    verb(verbs, "rebuild", _rebuild, "build the index anew from the files")


def _add_trash(verbs: Any) -> None:
    group = verbs.add_parser("trash", help="list, fill, restore or empty the trash", description="The trash.")
    acts = group.add_subparsers(metavar="ACT", required=True)
    verb(acts, "list", _trash_list, "list what is in the trash, the last trashed first")
    for name, run, what in (
        ("put", _trash_put, "move operations to the trash"),
        ("restore", _trash_restore, "bring operations back from the trash"),
    ):
        act = verb(acts, name, run, what)
        act.add_argument("id", metavar="ID", nargs="+", help="an operation's id, such as 20251103143022_abc123de")
        act.add_argument("--dry-run", action="store_true", help="only say what would be moved")
    purging = verb(acts, "purge", _trash_purge, "remove for good what has been in the trash for long enough")
    purging.add_argument("--older-than", type=days, default=KEPT.days, metavar="DAYS", help=f"default {KEPT.days}; 0: everything")
    _removes(purging)


def _removes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    trusts(parser)


def trusts(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a person says that the clock is right."""
    parser.add_argument("--trust-clock", action="store_true", help="the clock leapt and is right: what is old may go")


def heed_clock(options: argparse.Namespace, store: Store) -> None:
    """Raise ClockLeapt where the clock leapt lately, unless the options say that it is right; a dry run is only told."""
    leaps = Leaps(store.data.top)
    if options.trust_clock:
        leaps.trust()
    try:
        leaps.check()
    except ClockLeapt as error:
        if not options.dry_run:
            raise
        print(error, file=sys.stderr)


def care_for(options: argparse.Namespace) -> Care:
    """Return what takes care of the data folder that the options name."""
    from opstore.app import care_of

    return care_of(settings_of(options), store_of(options))


# -- trash ---------------------------------------------------------------------------------------------------------------


def _trash_list(options: argparse.Namespace) -> int:
    trashed = Trash(store_of(options)).all()
    if options.json:
        print_json({"success": True, "count": len(trashed), "operations": [_record(item) for item in trashed]})
        return 0
    for item in trashed:
        print(_line(item))
    print(f"{len(trashed)} in the trash." if trashed else "The trash is empty.")
    return 0


def _record(item: Trashed) -> dict[str, Any]:
    return {"operationId": item.operation_id, "trashedAt": item.trashed_at.isoformat(), "operation": item.sidecar}


def _line(item: Trashed) -> str:
    operation = Operation.of(item.sidecar or {"operationId": item.operation_id})
    prompt = " ".join(printable(operation.prompt).split())
    return f"{item.operation_id}  {item.trashed_at:%Y-%m-%d}  {printable(operation.type):<26} {prompt[:80]}"


def _trash_put(options: argparse.Namespace) -> int:
    store = store_of(options)
    trash, users = Trash(store), _users(store, options.id)
    if users and not options.json:
        others = "1 other operation was" if len(users) == 1 else f"{len(users)} other operations were"
        named = ", ".join(users[:5]) + " …" * (len(users) > 5)
        print(f"{others} made from this, with copies of their own: {named}", file=sys.stderr)
    return _each(options, trash.put, trash.look, usedBy=users)


def _users(store: Store, ids: Sequence[str]) -> list[str]:
    """Return the operations, other than these, that have an output of one of these as an input."""
    from opstore.index import Index

    index, found = Index(store), set[str]()
    with contextlib.suppress(OpstoreError):  # an index that cannot be read keeps nobody from moving
        index.catch_up()
        found = {user for operation_id in ids if is_operation_id(operation_id) for user in index.used_as_input(operation_id)}
    return sorted(found - set(ids), reverse=True)


def _trash_restore(options: argparse.Namespace) -> int:
    trash = Trash(store_of(options))
    return _each(options, trash.restore, partial(trash.look, back=True))


def _each(options: argparse.Namespace, act: Any, look: Any, **more: Any) -> int:
    """Do something to every id, or look whether it could be done; what fails is told, and the others are done all the same."""
    done: list[str] = []
    failed: dict[str, OpstoreError] = {}
    for operation_id in dict.fromkeys(options.id):
        try:
            (look if options.dry_run else act)(operation_id)
            done.append(operation_id)
        except OpstoreError as error:
            failed[operation_id] = error
    if options.json:
        told = {operation_id: str(error) for operation_id, error in failed.items()}
        report = {"success": not failed, "dryRun": options.dry_run, "count": len(done), "operations": done, "failed": told}
        print_json(report | more)
    else:
        for operation_id in done:
            print(operation_id)
        for problem in failed.values():
            print(f"opstore: {printable(str(problem))}")
        print(f"{len(done)} {'would be ' if options.dry_run else ''}moved." if done or not failed else "Nothing was moved.")
    return max((problem.exit_code for problem in failed.values()), default=0)


def _trash_purge(options: argparse.Namespace) -> int:
    store, age = store_of(options), timedelta(days=options.older_than)
    trash = Trash(store)
    if age:
        heed_clock(options, store)
    due = trash.due(age)
    sizes = {operation_id: trash.bytes(operation_id) for operation_id in due}
    if options.dry_run:
        return _purged(options, due, sizes, "would be removed for good")
    if not due or confirm(options, f"Remove {len(due)} operations ({size_text(sum(sizes.values()))}) for good?"):
        gone = trash.purge(age)
        stay = set(due).difference(gone).intersection(trash.due(age))  # and was not restored meanwhile
        return _purged(options, gone, sizes, "removed for good", sorted(stay))
    return 1


def _purged(
    options: argparse.Namespace, ids: Sequence[str], sizes: Mapping[str, int], what: str, stay: Sequence[str] = ()
) -> int:
    size = sum(sizes.get(operation_id, 0) for operation_id in ids)
    if options.json:
        told = {"success": not stay, "dryRun": options.dry_run, "count": len(ids), "bytes": size, "operations": list(ids)}
        print_json(told | {"left": list(stay)})
    else:
        for operation_id in ids:
            print(operation_id)
        for operation_id in stay:
            print(f"{operation_id} stays: it could not be removed")
        print(f"{len(ids)} {what}, {size_text(size)}.")
    return 1 if stay else 0


# -- cleanup -------------------------------------------------------------------------------------------------------------


def _cleanup(options: argparse.Namespace) -> int:
    from opstore.care import Rule

    success = None if options.success is None else options.success == "yes"
    rule = Rule(options.older_than, tuple(options.type), success, round(options.larger_than * 1_000_000), options.query)
    care = care_for(options)
    cleanup = care.cleanup
    if rule.days:
        heed_clock(options, care.store)
    with meter(options) as report:
        plan = cleanup.plan(rule, report)
    if options.dry_run or not plan.leaving:
        return _told_of(options, plan)
    if not options.json:
        _told_of(options, plan)
    if not confirm(options, f"Move {len(plan.leaving)} operations ({size_text(plan.bytes)}) to the trash?"):
        return 1
    with meter(options) as report:
        done = cleanup.apply(plan, report)
    if options.json:
        return _told_of(options, plan, done)
    for operation_id, reason in done.left.items():
        print(f"{operation_id} stays: {printable(reason)}")
    print(f"{len(done.moved)} moved to the trash, {size_text(done.bytes)}; `trash restore` brings them back.")
    return 1 if done.left else 0


def _told_of(options: argparse.Namespace, plan: Plan, done: Cleaned | None = None) -> int:
    """Tell what a cleanup would move, or has moved, with `--json` in the same words."""
    moving = [fact for fact in plan.leaving if done is None or fact.id in done.moved]
    size = plan.bytes if done is None else done.bytes
    if options.json:
        rows = [{"operationId": fact.id, "operationType": fact.type, "bytes": fact.bytes} for fact in moving]
        told = {"count": len(rows), "bytes": size, "kept": dict(plan.kept), "operations": rows}
        left = {} if done is None else dict(done.left)
        print_json({"success": not left, "dryRun": options.dry_run} | told | {"left": left})
        return 1 if left else 0
    for fact in moving:
        print(f"{fact.id}  {printable(fact.type):<26} {size_text(fact.bytes):>10}")
    for reason, number in sorted(plan.kept.items()):
        print(f"{number} stay: {reason}")
    print(f"{len(moving)} would be moved to the trash, {size_text(size)}.")
    return 0


# -- rebuild -------------------------------------------------------------------------------------------------------------


def _rebuild(options: argparse.Namespace) -> int:
    from opstore.index import Index

    index = Index(store_of(options))
    with meter(options) as report:
        report(0, None, "building the index")
        index.rebuild()
    total = index.count("")
    if options.json:
        print_json({"success": True, "count": total.n, "exact": total.exact, "problems": len(index.problems())})
    else:
        print(f"The index holds {total} operations; {len(index.problems())} sidecars cannot be read.")
    index.stop()
    return 0
