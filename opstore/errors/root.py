"""The root of the tree: an error keeps its details, and its sentence is its docstring filled in with them."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar


class OpstoreError(Exception):
    """Something went wrong: {reason}"""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, **details: Any) -> None:
        """Keep what happened; `details` fill the docstring's fields and stay readable as `details`."""
        self.details: dict[str, Any] = details
        super().__init__(self.template().format(**details))

    @classmethod
    def template(cls) -> str:
        """Return the sentence before its fields are filled in: the key under which it is translated."""
        return " ".join(inspect.cleandoc(cls.__doc__ or "").split())

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error cross a process border with its details."""
        return _restore, (type(self), self.details, str(self))


def _restore(kind: type[OpstoreError], details: dict[str, Any], message: str) -> OpstoreError:
    error = kind.__new__(kind)
    error.details = details
    error.args = (message,)
    return error
