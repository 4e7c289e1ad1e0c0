"""Pages in one process: what components, and buttons that have gone, tell a script; Create, opened and pressed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.state.common import user_key_from_element_id
from streamlit.testing.v1 import AppTest


def tell(at: AppTest, key: str, *, triggers: Mapping[str, Any] | None = None, **values: Any) -> AppTest:
    """Run the page with `values` and `triggers` (by their names) of the component `key`, beside what its widgets show."""
    found = {str(getattr(getattr(node, "proto", None), "id", "")) for node in at._tree}
    (name,) = [name for name in found if name and user_key_from_element_id(name) == key]
    states = at._tree.get_widget_states()
    if values:
        states.widgets.append(WidgetState(id=name, json_value=json.dumps(values)))
    events = [{"event": event, "value": value} for event, value in (triggers or {}).items()]
    if events:
        states.widgets.append(WidgetState(id=_make_trigger_id(name, "events"), json_trigger_value=json.dumps(events)))
    return _run(at, states)


def control(at: AppTest, kind: str, name: str) -> Any:
    """Return the control of a kind that the page sets, as it stands now (`controls.key_of`)."""
    (found,) = [item for item in getattr(at, kind) if item.key and re.fullmatch(rf"{name}(-t\d+)?", item.key)]
    return found


def press_late(at: AppTest, name: str) -> AppTest:
    """Run the page with a press of the button that had this name (`Button.id`) on a page that is not the newest any more."""
    states = at._tree.get_widget_states()
    states.widgets.append(WidgetState(id=name, trigger_value=True))
    return _run(at, states)


def behind(at: AppTest) -> Callable[[], AppTest]:
    """Return what runs the page with the values that its widgets show now: a browser that has not drawn it since sends those."""
    states = at._tree.get_widget_states()
    return lambda: _run(at, states)


def _run(at: AppTest, states: WidgetStates) -> AppTest:
    at._run(states)
    assert not at.exception, [item.value for item in at.exception]
    return at


def opened() -> AppTest:
    """Return Create, opened in a new window."""
    return sound(AppTest.from_file("../opstore/ui/main.py", default_timeout=60).run())


def sound(at: AppTest) -> AppTest:
    """Return a page that has run without an error."""
    assert not at.exception, [item.value for item in at.exception]
    return at


def html(at: AppTest) -> str:
    """Return all of our own HTML on a page."""
    return "\n".join(element.proto.body for element in at.get("html"))


def generate(at: AppTest) -> AppTest:
    """Press Generate."""
    return sound(at.button(key="generate").click().run())
