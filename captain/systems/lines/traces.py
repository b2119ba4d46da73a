"""Stack traces: whether a text is one, and what tells one defect from another. Pure; no verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from captain.safe import safe

PYTHON = "Traceback (most recent call last)"
CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_FIELDS = ("exc_info", "exception", "stack", "stack_trace", "stacktrace", "traceback", "exc_text", "error", "err")
_FRAME = re.compile(r"^\s*File \"([^\"\n]{1,300})\", line \d{1,9}, in ([^\n]{1,100})", re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]{0,150})(?::|$)", re.MULTILINE)
_AT = re.compile(r"^\s+at ([^\n]{1,300})", re.MULTILINE)
_THROWN = re.compile(r"\b([\w.$]{0,150}?(?:Error|Exception|Throwable))\b")
_PLACE = re.compile(r"(?::\d{1,9}){1,2}(?=\)?$)")
_IDS = re.compile(
    r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\b[0-9a-fA-F]{12,}\b|\d+(?:\.\d+)*|\"[^\"]{0,200}\"|'[^']{0,200}'"
)
_LONGEST = 64 * 1024
_SHOWN = 160


def trace_of(text: str, fields: Mapping[str, Any] | None) -> str | None:
    """The stack trace in a record, None where it holds none."""
    if fields is not None:
        for name in _FIELDS:
            held = fields.get(name)
            if isinstance(held, dict):
                held = held.get("stack") or held.get("stack_trace")
            if isinstance(held, str) and _is_trace(held):
                return held[:_LONGEST]
        message = next((fields[name] for name in ("message", "msg", "event") if name in fields), "")
        return message[:_LONGEST] if isinstance(message, str) and _is_trace(message) else None
    return text[:_LONGEST] if _is_trace(text) else None


def trace_fingerprint(trace: str) -> str:
    """What was raised and where it came from, without line numbers and ids: the same for the same defect."""
    if frames := _FRAME.findall(trace):
        raised = _RAISED.findall(trace[trace.rfind(frames[-1][1]) :])
        kind = raised[-1] if raised else "exception"
        return _shown(f"{kind} in {frames[-1][1]} ({frames[-1][0]})")
    frames_at = _AT.findall(trace)
    thrown = _THROWN.search(trace)
    kind = thrown[1] if thrown else "exception"
    if not frames_at and PYTHON in trace:
        raised = [one for one in _RAISED.findall(trace) if one != "Traceback"]
        return _shown(raised[-1] if raised else kind)
    return _shown(f"{kind} at {_PLACE.sub('', frames_at[0])}" if frames_at else kind)


def message_fingerprint(logger: str, message: str) -> str:
    """An error's words without numbers, ids and quoted parts."""
    words = _IDS.sub("…", message[:500].split("\n", 1)[0])
    return _shown(f"{logger}: {words}" if logger else words)


def _is_trace(text: str) -> bool:
    return PYTHON in text or (_AT.search(text) is not None and _THROWN.search(text) is not None)


def _shown(text: str) -> str:
    return safe(_IDS.sub("…", text), _SHOWN)
