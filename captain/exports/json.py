"""json: the result document of a check, as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from captain.exports import report


@report("json", suffix=".json")
def write(result: Mapping[str, Any]) -> bytes:
    """One document in ASCII, two spaces deep, ending in a newline."""
    return json.dumps(result, ensure_ascii=True, indent=2, allow_nan=False).encode("ascii") + b"\n"
