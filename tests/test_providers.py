"""What is asked of every provider, and that nothing outside its own folder knows one by its name."""

from __future__ import annotations

from opstore.operation import OPERATION_TYPES, STEP_TYPES
from opstore.providers.local import steps
from opstore.ui.components import paste


def test_there_is_one_table_of_operation_types() -> None:
    assert set(steps._STEPS) == set(STEP_TYPES) < set(OPERATION_TYPES)
    most = max(row.maximum for row in OPERATION_TYPES.values())
    assert f"const MOST = {most + 1};" in paste._JS and "slice(0, MOST)" in paste._JS
