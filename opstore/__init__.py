"""opstore keeps every generative-media operation as plain files; these are its public names, and importing them stays light."""

from __future__ import annotations

import signal
import sys

if (sys.argv[:1] == ["-m"] and "opstore" in sys.orig_argv) or "".join(sys.argv[:1]).endswith("/opstore"):
    # The command imports this first: Ctrl-C within the imports ends it without a word, as it ends any other program.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from typing import TYPE_CHECKING, Any

from opstore.errors import (
    DamagedOperation,
    FetchError,
    FileMissing,
    InputTooLarge,
    InvalidFileName,
    InvalidInput,
    InvalidMetadata,
    InvalidOperationId,
    OperationExists,
    OperationNotFound,
    OpstoreError,
    StorageError,
    TooManyInputs,
)
from opstore.storage.names import generate_operation_id
from opstore.storage.operation import OPERATION_TYPES, Operation, OperationType
from opstore.storage.store import Store
from opstore.storage.verify import Problem

if TYPE_CHECKING:
    from opstore import analytics as analytics
    from opstore.app import open_store

__version__ = "0.1.0"

__all__ = [
    "OPERATION_TYPES",
    "DamagedOperation",
    "FetchError",
    "FileMissing",
    "InputTooLarge",
    "InvalidFileName",
    "InvalidInput",
    "InvalidMetadata",
    "InvalidOperationId",
    "Operation",
    "OperationExists",
    "OperationNotFound",
    "OperationType",
    "OpstoreError",
    "Problem",
    "StorageError",
    "Store",
    "TooManyInputs",
    "generate_operation_id",
    "open_store",
]


def __getattr__(name: str) -> Any:
    """Load on first use what sits above the store, so that `import opstore` does not reach up."""
    if name == "open_store":
        from opstore.app import open_store

        return open_store
    if name == "analytics":
        import opstore.analytics

        return opstore.analytics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
