"""What is stored of an analysis and of the steps it led to, as a person reads it; whoever wrote it, it never breaks the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from opstore.storage.operation import Operation
from opstore.ui import parts, words
from opstore.ui.words import _


def facts(stored: object) -> dict[str, str | None]:
    """Return the rows of an operation's facts that tell what was proposed, why, by whom, and what was chosen instead."""
    if not isinstance(stored, Mapping):
        return {}
    # The original backend stored its whole answer, with the analysis inside.
    inner = stored.get("analysis")
    analysis = {**stored, **inner} if isinstance(inner, Mapping) else stored
    workflow, confidence = analysis.get("workflow"), analysis.get("confidence")
    proposed = workflow.get("id") if isinstance(workflow, Mapping) else workflow
    chosen = analysis.get("overriddenTo")
    return {
        _("Suggested"): _proposal(proposed, confidence),
        _("Chosen instead"): words.type_name(chosen) if isinstance(chosen, str) else None,
        _("Reasoning"): str(analysis.get("reasoning") or ""),
        _("Alternatives"): _alternatives(analysis.get("alternatives")),
        _("Analyzer"): _analyzer(analysis),
    }


def _proposal(name: object, confidence: object) -> str | None:
    if not isinstance(name, str):
        return None
    share = _share(confidence)
    return f"{words.type_name(name)} ({share})" if share else words.type_name(name)


def _share(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return words.spoken().share(value)


def _alternatives(stored: object) -> str | None:
    found = [item for item in stored if isinstance(item, Mapping)] if isinstance(stored, list) else []
    return ", ".join(text for item in found[:5] if (text := _proposal(item.get("id"), item.get("confidence")))) or None


def _analyzer(analysis: Mapping[str, Any]) -> str | None:
    name, fallback, cost = analysis.get("analyzer"), analysis.get("fallback"), analysis.get("cost")
    told = [_("rules") if name == "rules" else name] if isinstance(name, str) else []
    told += [words.stored(fallback)] if isinstance(fallback, str) else []
    told += [text] if isinstance(cost, Mapping) and (text := parts.cost_text(cost)) else []
    return " · ".join(told) or None


def steps(operation: Operation) -> None:
    """Show what each step of a chain was told, by which model it was made, and what it cost."""
    stored = operation.sidecar.get("steps")
    records = [step for step in stored if isinstance(step, Mapping)] if isinstance(stored, list) else []
    if len(records) < 2:
        return
    st.caption(_("Steps"))
    rows = {}
    for number, step in enumerate(records[:10], 1):
        kind, cost = step.get("operationType"), step.get("cost")
        told = [str(step.get("prompt") or ""), str(step.get("model") or "")]
        told += [parts.cost_text(cost) or _("unknown")] if isinstance(cost, Mapping) else []
        name = words.type_name(kind) if isinstance(kind, str) else _("unknown")
        rows[f"{words.number(number)} · {name}"] = " · ".join(part for part in told if part)
    parts.facts(rows, stacked=True)
