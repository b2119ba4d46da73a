"""The demo as people start it: a process of its own, in a temporary folder that a test can look into."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPTAIN = [sys.executable, "-m", "captain"]


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    """Where the demo puts its world; nothing else is there."""
    made = tmp_path / "tmp"
    made.mkdir()
    return made


@pytest.fixture
def environ(tmp: Path, tmp_path: Path) -> dict[str, str]:
    """A user without settings, whose temporary folder is `tmp`."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }
