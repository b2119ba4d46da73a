"""What a test needs from the machine: without it the test is skipped, in CI it fails."""

from __future__ import annotations

import os

import pytest


def need(name: str, reason: str | None) -> None:
    """Go on where `reason` is None; else skip, or fail where CAPTAIN_TEST_REQUIRE=all says that nothing may be missing.

    `reason` says why `name` is not usable here: `not installed`, `needs root`.
    """
    if not reason:
        return
    if os.environ.get("CAPTAIN_TEST_REQUIRE") == "all":
        pytest.fail(f"{name} is required here (CAPTAIN_TEST_REQUIRE=all): {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")
