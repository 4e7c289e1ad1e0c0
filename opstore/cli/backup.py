"""The commands that put everything somewhere safe and bring it back: backup, restore."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opstore.cli.care import care_for, heed_clock, trusts
from opstore.cli.common import confirm, count, meter, print_json, printable, settings_of, size_text, verb
from opstore.errors import InvalidInput, said
from opstore.storage.data_folder import DataFolder
from opstore.storage.preferences import KEEP
from opstore.storage.store import Store

if TYPE_CHECKING:
    from opstore.care import Care, Pruned
    from opstore.care.vault import LocalVault

_PERIODS = {"daily": "days", "weekly": "weeks", "monthly": "months"}


def add(verbs: Any) -> None:
    """Add these commands to the parser."""
    backing = verb(verbs, "backup", _backup, "take a backup, while the app runs and writes (docs/care.md)")
    backing.add_argument("target", metavar="TARGET", help="a folder outside the data folder, or a remote of rclone: name:path")
    act = backing.add_mutually_exclusive_group()
    act.add_argument("--list", action="store_true", help="only list the backups that are there")
    act.add_argument("--check", action="store_true", help="only read everything that is there and compare its hash")
    act.add_argument("--prune", action="store_true", help="only remove old backups for good, as the three options --keep- say")
    for (period, what), usual in zip(_PERIODS.items(), KEEP, strict=True):
        kept = f"with --prune: of how many of the last {what} the newest backup stays (default {usual})"
        backing.add_argument(f"--keep-{period}", type=count, default=usual, metavar="N", help=kept)
    backing.add_argument("--dry-run", action="store_true", help="with --prune: only say what would be removed")
    backing.add_argument("--yes", action="store_true", help="with --prune: do not ask")
    trusts(backing)
    restoring = verb(verbs, "restore", _restore, "bring a backup back into the data folder; never writes over anything there")
    restoring.add_argument("source", metavar="SOURCE", help="a folder of backups, or a remote of rclone")
    restoring.add_argument("--snapshot", metavar="NAME", help="such as 20251103T143022Z (default: the newest)")
    restoring.add_argument("--dry-run", action="store_true", help="only say what would come back")


def _backup(options: argparse.Namespace) -> int:
    if options.dry_run and not options.prune:
        raise InvalidInput(reason=said("a backup only adds; --dry-run goes with --prune"))
    care = care_for(options)
    if options.prune:
        return _prune(options, care)
    if options.list or options.check:
        vault = care.vault(options.target)
        return _listed(options, vault.snapshots()) if options.list else _checked(options, vault)
    with meter(options) as report:
        taken = care.back_up(options.target, report)
    if options.json:
        print_json({"success": not taken.left_out} | asdict(taken))
    else:
        for path, reason in taken.left_out.items():
            print(f"left out: {printable(path)}: {printable(reason)}")
        new = f"{taken.new_files:,} new, {size_text(taken.new_bytes)}"
        print(f"{taken.snapshot}: {taken.operations:,} operations, {taken.files:,} files ({new}).")
    return 1 if taken.left_out else 0  # else nobody who has it run at night would know


def _prune(options: argparse.Namespace, care: Care) -> int:
    from opstore.care import Keep

    keep = Keep(options.keep_daily, options.keep_weekly, options.keep_monthly)
    heed_clock(options, care.store)
    with meter(options) as report:
        shown = care.prune(options.target, keep, report, dry=True)
    if options.dry_run or not (shown.gone or shown.contents):
        return _pruned(options, shown, "would be removed")
    if not confirm(options, f"Remove {len(shown.gone)} backups ({size_text(shown.bytes)}) for good?"):
        return 1
    with meter(options) as report:
        return _pruned(options, care.prune(options.target, keep, report, among=shown.gone), "removed")


def _pruned(options: argparse.Namespace, pruned: Pruned, what: str) -> int:
    if options.json:
        print_json({"success": True, "dryRun": options.dry_run, "count": len(pruned.gone)} | asdict(pruned))
    else:
        for name in pruned.gone:
            print(name)
        print(f"{len(pruned.gone)} backups {what}, {size_text(pruned.bytes)}; {len(pruned.kept)} stay.")
    return 0


def _listed(options: argparse.Namespace, names: list[str]) -> int:
    if options.json:
        print_json({"success": True, "count": len(names), "snapshots": names})
    else:
        print("\n".join(names) if names else "No backups yet.")
    return 0


def _checked(options: argparse.Namespace, vault: Any) -> int:
    if not hasattr(vault, "check"):
        raise InvalidInput(reason=said("a remote is checked by rclone itself: rclone check, rclone hashsum"))
    local: LocalVault = vault
    with local.open(), meter(options) as report:
        wrong = local.check(report)
    if options.json:
        print_json({"success": not wrong, "count": len(wrong), "problems": wrong})
    else:
        for name, reason in wrong.items():
            print(f"{name}: {printable(reason)}")
        print(f"{len(wrong)} problems." if wrong else "Everything is whole.")
    return 1 if wrong else 0


def _restore(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    if not options.dry_run and not DataFolder(settings.data).exists():
        Store(settings.data).initialize_storage()  # into an empty place: the usual one after a disk was lost
    care = care_for(options)
    with meter(options) as report:
        done = care.restore(options.source, options.snapshot, report, dry=options.dry_run)
    if options.json:
        told = {"success": not (done.damaged or done.conflicts), "dryRun": options.dry_run, "count": len(done.operations)}
        print_json(told | asdict(done))
    else:
        for path, reason in (*done.conflicts.items(), *done.damaged.items()):
            print(f"{printable(path)}: {printable(reason)}")
        would = "would come" if options.dry_run else "came"
        counts = f"{len(done.operations):,} operations, {done.files:,} files; {done.same:,} files were there already"
        print(f"{done.snapshot} {would} back: {counts}.")
    return 1 if done.damaged or done.conflicts else 0
