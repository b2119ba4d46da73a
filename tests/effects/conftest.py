"""Attempts in a fresh directory, ended after the test whatever happened."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from captain.effects import attempt
from captain.effects.outcome import read
from captain.effects.processes import alive


class Attempts:
    """Makes attempts and remembers them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: list[Path] = []

    def new(
        self,
        *argv: str,
        timeout: float = 30,
        grace: float = 0.5,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Path:
        """A prepared attempt of a program."""
        directory = self.root / "attempts" / f"a{len(self.made)}"
        self.made.append(directory)
        spec = attempt.Spec(
            argv,
            cwd or self.root,
            {"PATH": os.environ["PATH"]} if env is None else env,
            timedelta(seconds=timeout),
            timedelta(seconds=grace),
        )
        attempt.prepare(directory, spec)
        return directory

    def end(self) -> None:
        for directory in self.made:
            known = {**(read(directory, "started") or {}), **(read(directory, "pid") or {})}
            for pid, start, kill in (("shim", "shim_starttime", os.kill), ("pid", "starttime", os.killpg)):
                if pid in known and alive(known[pid], known[start]):
                    with contextlib.suppress(ProcessLookupError):
                        kill(known[pid], signal.SIGKILL)


@pytest.fixture
def attempts(tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(tmp_path)
    yield made
    made.end()
