"""Windows whose timers are the test's: a part of a page that runs by itself runs later, with what it was drawn with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from opstore.ui.opened_app import drawn

PATIENCE = 60


def _script() -> None:
    from tests.ticking import Window

    Window.running.run()


class Window:
    """A session that shows what `draw` draws; it counts how often."""

    running: Window

    def __init__(self, draw: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
        """Open it."""
        self._draw = draw
        self._parts: list[Callable[[], object]] = []
        self._due = False
        self._patch = monkeypatch
        self.times = 0
        self.at = AppTest.from_function(_script, default_timeout=PATIENCE)
        self.look()

    def run(self) -> None:
        """Do what this run is for; called by the session's script."""
        if self._due:
            self._due = False
            for part in self._parts:
                part()
            return
        self.times += 1
        self._parts = []
        try:
            self._draw()
        finally:
            drawn()

    def _fragment(self, part: Callable[..., object], run_every: float | None = None) -> Callable[..., None]:
        def begin(*given: Any) -> None:
            if run_every is not None:
                self._parts.append(lambda: part(*given))
            part(*given)

        return begin

    def look(self) -> AppTest:
        """Run the page, as any press does, and return it."""
        Window.running = self
        self._patch.setattr(st, "fragment", self._fragment)
        self.at.run()
        assert not self.at.exception, self.at.exception
        return self.at

    def tick(self) -> bool:
        """Let every part that runs by itself run once; say whether one had the page drawn anew."""
        before, self._due = self.times, True
        self.look()
        return self.times > before
