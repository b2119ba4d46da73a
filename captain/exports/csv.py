"""csv: one row per entry, for a spreadsheet that must not run what it reads. Lossy; jsonl is the authoritative one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from captain.events import Recorded
from captain.exports import Story, export
from captain.log.canonical import leaf_hash
from captain.safe import safe

COLUMNS = ("seq", "ts", "run", "type", "actor", "step", "verdict", "message", "note", "hash", "data")
# Also the full-width twins, which some spreadsheets normalise before they look.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")


@export("csv", suffix=".csv")
def write(story: Story) -> Iterator[bytes]:
    """RFC 4180 with every field quoted, UTF-8, CRLF. A cell that a spreadsheet could run begins with an apostrophe."""
    yield _row(COLUMNS)
    for entry in story.entries:
        event = entry.event
        data = json.dumps(event.data, sort_keys=True, separators=(",", ":"))
        yield _row(
            (
                str(event.seq),
                event.ts,
                _cell(event.run),
                _cell(event.type),
                _cell(event.actor.name),
                _cell(_first(event, "step", "target", "section", "part")),
                _cell(_first(event, "verdict", "decision", "meaning", "outcome", "state")),
                _cell(_first(event, "message", "why")),
                _cell(_first(event, "note", "text", "reason", "cause")),
                leaf_hash(entry.body.encode("utf-8")).hex(),
                _cell(data),
            )
        )


def _first(event: Recorded, *keys: str) -> str:
    found = (event.data.get(key) for key in keys)
    return next((one for one in found if isinstance(one, str)), "")


def _cell(text: str) -> str:
    """A text no spreadsheet takes for a formula, whatever stands in front of it, and no terminal for a command."""
    text = safe(text, len(text), lines=True)
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def _row(cells: tuple[str, ...]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().encode("utf-8", "replace")
