"""`completion`: a script that makes `opstore` a command of a shell and lets it complete verbs, options, ids and searches.

What is completed comes from the parser itself and from the index; a completer that fails completes nothing, and says nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from opstore.cli.common import print_json, store_of, verb
from opstore.errors import OpstoreError

#: How a shell takes the script in, for the help.
_SHELLS = {
    "bash": 'eval "$(python -m opstore completion bash)"',
    "zsh": 'eval "$(python -m opstore completion zsh)"',
    "fish": "python -m opstore completion fish | source",
}
#: Candidates of one kind: more than a person looks through.
_MOST = 100

Completer = Callable[..., Iterable[str]]


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    completing = verb(verbs, "completion", _completion, "print a script that completes this command in a shell")
    completing.add_argument("shell", choices=tuple(_SHELLS), help=f"take it in with: {_SHELLS['bash']}")


def _completion(options: argparse.Namespace) -> int:
    script = _script(options.shell)
    if options.json:
        print_json({"success": True, "shell": options.shell, "script": script})
    else:
        print(script, end="")
    return 0


def _script(shell: str) -> str:
    """Return what completes the command `opstore`, and a function that is this command where it is run from a checkout."""
    from argcomplete.shell_integration import shellcode

    from opstore import launcher

    begin = "autoload -Uz compinit && compinit\n" if shell == "zsh" else ""
    function = "" if launcher.INSTALLED else _function(shell, launcher.TOP)
    return begin + function + shellcode(["opstore"], shell=shell)


def _function(shell: str, checkout: Path) -> str:
    """Return the function `opstore`, which runs this checkout from wherever one is."""
    python, root = shlex.quote(sys.executable), shlex.quote(str(checkout))
    if shell == "fish":
        return f"function opstore\n    env PYTHONPATH={root} {python} -m opstore $argv\nend\n"
    return f'opstore() {{\n    PYTHONPATH={root} {python} -m opstore "$@"\n}}\n'


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks what may follow, and end the process; return at once if none asks."""
    from argcomplete import autocomplete
    from argcomplete.completers import SuppressCompleter

    _complete_arguments(parser)
    # If nothing is known nothing is offered: the shell itself completes files, as it is told to in the script.
    autocomplete(parser, always_complete_options=False, default_completer=SuppressCompleter())


def _complete_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell the arguments of all commands how they are completed, by what they are called."""
    completers: dict[str | None, Completer] = {"ID": ids, "QUERY": queries}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _complete_arguments(below)
        elif isinstance(action.metavar, str) and action.metavar in completers:
            setattr(action, "completer", completers[action.metavar])  # noqa: B010 # argcomplete looks for it, no class has it


def ids(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Return the newest ids that begin so."""
    from opstore.index import Index

    with contextlib.suppress(OpstoreError, OSError, AttributeError):
        store = store_of(parsed_args)
        if store.cache.is_dir():  # completing makes nothing
            query = f"id:{prefix}" if len(prefix) >= 4 else ""
            return [row.id for row in Index(store).search(query, size=_MOST).rows if row.id.startswith(prefix)]
    return []


def queries(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Return the fields of the search language, and behind one with known values these: `tag:`, `model:`, `type:`, …."""
    from opstore.index import Index
    from opstore.index.search_language import FIELDS

    field, colon, begun = prefix.partition(":")
    if not colon:
        return [f"{name}:" for name in FIELDS if name.startswith(prefix)]
    with contextlib.suppress(OpstoreError, OSError, AttributeError):
        store = store_of(parsed_args)
        if store.cache.is_dir():
            known = Index(store).facets().get(field, {})
            plain = (value for value in known if value.isprintable() and not set(value) & set(" \"'`$\\"))
            return [f"{field}:{value}" for value in plain if value.startswith(begun)][:_MOST]
    return []
