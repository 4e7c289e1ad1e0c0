"""`share`: links that show operations to others, made, listed and taken back; and offline bundles of the same.

A password is asked for, or read from standard input, never taken from the command line, where every program can see it.
"""

from __future__ import annotations

import argparse
import getpass
import locale
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opstore.cli.common import print_json, printable, settings_of, store_of, verb
from opstore.errors import InvalidInput, said
from opstore.launcher.serving import origin_of
from opstore.storage.operation import timestamp

if TYPE_CHECKING:
    from opstore.shares import Listed, Scope, Share, Shares

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    sharing = verbs.add_parser("share", help="show operations to others: links, and offline bundles", description=__doc__)
    acts = sharing.add_subparsers(metavar="ACT", required=True)
    making = verb(acts, "create", _create, "make a link that shows operations to whoever has it")
    _chosen(making)
    making.add_argument(
        "--expires", type=_span, default=timedelta(days=7), metavar="TIME", help="12h, 7d (the default), 4w, never"
    )
    making.add_argument("--password", action="store_true", help="ask for a password that the link will want")
    making.add_argument("--password-stdin", action="store_true", help="read that password from standard input")
    verb(acts, "list", _list, "list the links with their visits")
    for name, run, what in (
        ("revoke", _revoke, "take a link back: it opens nothing from now on"),
        ("forget", _forget, "remove a link with its record and its visits, for good"),
    ):
        ending = verb(acts, name, run, what)
        ending.add_argument("link", metavar="LINK", help="the link's address, or its id")
        ending.add_argument("--dry-run", action="store_true", help="only say which link that is")
    rotating = verb(acts, "rotate", _rotate, "sign links with a new key from now on")
    rotating.add_argument("--end-old", action="store_true", help="end every link that was handed out so far")
    rotating.add_argument("--dry-run", action="store_true", help="only say how many links there are")
    bundling = verb(acts, "bundle", _bundle, "write operations as a folder, or a zip, that needs no network")
    _chosen(bundling)
    bundling.add_argument("--to", required=True, type=Path, metavar="PATH", help="a folder to make, or a file ending in .zip")
    bundling.add_argument("--embed", action="store_true", help="write the metadata into the results too, for other tools to read")
    bundling.add_argument("--language", default=None, metavar="NAME", help="of the page: en or fr (default: this machine's)")


def _chosen(parser: argparse.ArgumentParser) -> None:
    """Add what says which operations are shown, and what of them."""
    parser.add_argument("ids", metavar="ID", nargs="+", help="operations, in the order in which they are shown")
    parser.add_argument("--comparison", action="store_true", help="show two to four of them against each other")
    parser.add_argument("--title", default="", metavar="TEXT", help="a title for the page")
    withheld = {"prompt": "prompts", "parameters": "model, parameters, time and id", "inputs": "what they were made from"}
    for name, what in withheld.items():
        parser.add_argument(f"--no-{name}", action="store_true", help=f"withhold {what}")


def _span(text: str) -> timedelta | None:
    """Read a length of time on the command line."""
    if text == "never":
        return None
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdigit() and 0 < int(number[:9]) < 100_000 and len(number) < 6:
        return timedelta(**{_UNITS[unit]: int(number)})
    raise argparse.ArgumentTypeError(f"{text!r} is no length of time, such as 30m, 12h, 7d, 4w or never")


def _shares(options: argparse.Namespace) -> Shares:
    from opstore.app import shares_of

    return shares_of(store_of(options))


def _scope(options: argparse.Namespace) -> Scope:
    from opstore.shares import Kind, Scope, Shown, unique

    ids = unique(options.ids)
    kind: Kind = "comparison" if options.comparison else "operation" if len(ids) == 1 else "selection"
    show = Shown(prompt=not options.no_prompt, parameters=not options.no_parameters, inputs=not options.no_inputs)
    return Scope(kind, ids, show, options.title)


def _create(options: argparse.Namespace) -> int:
    shares = _shares(options)
    scope = _scope(options)
    password = None
    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif options.password:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise InvalidInput(reason=said("the two passwords differ"))
    if password == "":
        raise InvalidInput(reason=said("the password is empty"))
    share = shares.create(scope, lasts=options.expires, password=password)
    address = _address(options, shares, share)
    if options.json:
        print_json({"success": True, "share": _record(share, address)})
        return 0
    print(address)
    if not settings_of(options).share_url:
        print("It opens on this machine only; docs/sharing.md says how to publish links (OPSTORE_SHARE_URL).", file=sys.stderr)
    return 0


def _list(options: argparse.Namespace) -> int:
    shares = _shares(options)
    links = shares.all()
    if options.json:
        listed = [_told(options, shares, item) for item in links]
        print_json({"success": True, "count": len(listed), "shares": listed})
        return 0
    for item in links:
        print(_line(item))
    print(f"{len(links)} links." if links else "No links yet. Make one with `python -m opstore share create ID`.")
    return 0


def _told(options: argparse.Namespace, shares: Shares, item: Listed) -> dict[str, Any]:
    visits = {
        "visits": item.visits.count,
        "lastVisit": timestamp(item.visits.last) if item.visits.last else None,
        "wrongPasswords": item.visits.wrong,
    }
    if item.share is None:
        return {"id": item.id, "state": "damaged", **visits}
    return _record(item.share, _address(options, shares, item.share)) | {"state": _state(item.share), **visits}


def _record(share: Share, address: str) -> dict[str, Any]:
    show = share.scope.show
    return {
        "id": share.id,
        "address": address,
        "kind": share.scope.kind,
        "title": share.scope.title,
        "operations": list(share.scope.operations),
        "show": {"prompt": show.prompt, "parameters": show.parameters, "inputs": show.inputs},
        "createdAt": timestamp(share.created),
        "expiresAt": timestamp(share.expires) if share.expires else None,
        "password": share.password is not None,
    }


def _state(share: Share) -> str:
    from datetime import UTC, datetime

    if share.revoked:
        return "revoked"
    return "expired" if share.ended(datetime.now(UTC)) else "open"


def _line(item: Listed) -> str:
    share, seen = item.share, item.visits
    visits = f"{seen.count} visits" + (f", {seen.wrong} wrong passwords" if seen.wrong else "")
    if share is None:
        return f"{item.id}  damaged   {visits}"
    until = f"until {share.expires:%Y-%m-%d %H:%M}" if share.expires else "without end"
    what = printable(share.scope.title) or f"{share.scope.kind} of {len(share.scope.operations)}"
    locked = "  password" if share.password else ""
    return f"{item.id}  {_state(share):<8}  {until:<22}  {visits:<12}  {what}{locked}"


def _revoke(options: argparse.Namespace) -> int:
    if options.dry_run:
        return _looked(options, [_shares(options).named(options.link)], "would open nothing any more")
    share = _shares(options).revoke(options.link)
    return _done(options, share.id, "It opens nothing any more.")


def _forget(options: argparse.Namespace) -> int:
    if options.dry_run:
        return _looked(options, [_shares(options).named(options.link)], "would be gone, its visits too")
    _shares(options).forget(options.link)
    return _done(options, None, "It is gone.")


def _rotate(options: argparse.Namespace) -> int:
    if options.dry_run:
        return _looked(options, _shares(options).all(), "would end" if options.end_old else "would still open")
    _shares(options).rotate(end_old=options.end_old)
    told = "Every link made before has ended: `share list --json` has the new addresses." if options.end_old else None
    return _done(options, None, told or "Links are signed with a new key; those made before still open.")


def _looked(options: argparse.Namespace, links: Sequence[Listed], what: str) -> int:
    """Say what would happen to links, and do nothing."""
    if options.json:
        told = [_told(options, _shares(options), item) for item in links]
        print_json({"success": True, "dryRun": True, "count": len(told), "shares": told})
        return 0
    for item in links:
        print(_line(item))
    print(f"{len(links)} {what}.")
    return 0


def _done(options: argparse.Namespace, share_id: str | None, told: str) -> int:
    if options.json:
        print_json({"success": True} | ({"id": share_id} if share_id else {}))
    else:
        print(told)
    return 0


def _bundle(options: argparse.Namespace) -> int:
    from opstore.language.translations import language_of
    from opstore.shares import bundle

    language = options.language or locale.getlocale()[0] or ""
    shares, scope = _shares(options), _scope(options)
    missing = bundle.missing(shares, scope)
    path = bundle.write(shares, scope, options.to, language=language_of(language), embed=options.embed)
    if options.json:
        print_json({"success": not missing, "path": str(path), "leftOut": missing})
    else:
        print(printable(str(path)))
    for name in missing:
        print(f"left out: {printable(name)}: it was removed, or cannot be read", file=sys.stderr)
    return 1 if missing else 0


def _address(options: argparse.Namespace, shares: Shares, share: Share) -> str:
    settings = settings_of(options)
    here = origin_of(store_of(options).cache) or f"http://127.0.0.1:{settings.port}"
    return shares.address(share, settings.share_url or here)
