"""The root of the tree: an error keeps its details, and its sentence is its docstring filled in with them."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from opstore.errors.sentence import Said, fields, said_again


class OpstoreError(Exception):
    """Something went wrong: {reason}"""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "other"

    def __init__(self, **details: Any) -> None:
        """Keep what happened; `details` fill the docstring's fields and stay readable as `details`.

        A detail `kind` is the kind of failure (`failure.KINDS`) where whoever raises knows better than the class.
        """
        self.details: dict[str, Any] = details
        super().__init__(str(said_again(self.template(), details)))

    @classmethod
    def template(cls) -> str:
        """Return the sentence before its fields are filled in: the key under which it is translated."""
        return " ".join(inspect.cleandoc(cls.__doc__ or "").split())

    @property
    def sentence(self) -> str:
        """Return what happened as a sentence that can still be said in another language, also as a part of one."""
        template = self.template()
        if template == "{reason}":
            return str(self) if not isinstance(reason := self.details["reason"], Said) else reason
        return said_again(template, {name: self.details[name] for name in fields(template)})

    @property
    def failure(self) -> str:
        """Return the kind of failure under which an operation is counted that ends for this."""
        return str(self.details.get("kind", self.kind))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error cross a process border with its details."""
        return _restore, (type(self), self.details, str(self))


def _restore(kind: type[OpstoreError], details: dict[str, Any], message: str) -> OpstoreError:
    error = kind.__new__(kind)
    error.details = details
    error.args = (message,)
    return error
