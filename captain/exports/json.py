"""json: the result document of a check, as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from captain.exports import report
from captain.safe import uncommanding_json


@report("json", suffix=".json")
def write(result: Mapping[str, Any]) -> bytes:
    """One document in ASCII, two spaces deep, ending in a newline."""
    text = json.dumps(result, ensure_ascii=True, indent=2, allow_nan=False)
    return uncommanding_json(text).encode("ascii") + b"\n"
