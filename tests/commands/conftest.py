"""A person at a shell: one real service, one log, and captain called as `captain …` is."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import captain.trust
from captain.__main__ import main
from captain.loader import load
from captain.loader.schema import schema
from tests.shop import Shop


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Captain = Callable[..., Said]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A service whose 1.5.0 breaks the checkout, and a shell standing in its repository."""
    world = Shop(tmp_path / "shop")
    for name in ("CAPTAIN_TRUST", "NO_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("CAPTAIN_LOG", str(world.settings.log))
    monkeypatch.setenv("CAPTAIN_AS", "karen@example.com")
    monkeypatch.chdir(world.root)
    yield world
    world.close()


@pytest.fixture
def captain_says(capsys: pytest.CaptureFixture[str]) -> Captain:
    """Calls captain in this process."""

    def call(*words: str) -> Said:
        capsys.readouterr()
        code = main(words)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


def digest(shop: Shop, environment: str = "staging") -> str:
    """Of the programs that the shop's files start."""
    asked = captain.trust.request(load("deploy", environment, cwd=shop.root))
    assert asked is not None
    return asked.digest


def as_published(document: object) -> None:
    """The document is what `captain schema result` says."""
    # Without stubs of its own; check-jsonschema brings it along.
    validator: Any = importlib.import_module("jsonschema").Draft7Validator
    validator(schema("result")).validate(document)


Shell = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def shell(shop: Shop) -> Iterator[Shell]:
    """captain as a process of its own, in the shop's repository; gone when the test is."""
    started: list[subprocess.Popen[str]] = []
    root = Path(captain.__file__).parent.parent

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "captain", *words],
            cwd=shop.root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
