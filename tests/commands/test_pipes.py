"""Whoever reads captain's answer may leave early, as `head` does: that is neither a yes nor a no."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import captain
from tests.commands.conftest import Captain
from tests.shop import Shop


def unread(shop: Shop, *words: str) -> tuple[int, str]:
    """The exit code, and what was said on stderr, of a command whose stdout nobody reads any more."""
    mine, theirs = os.pipe()
    os.close(mine)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "captain", *words],
            cwd=shop.root,
            env={**os.environ, "PYTHONPATH": str(Path(captain.__file__).parent.parent)},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(theirs)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["explain"],
        ["explain", "http"],
        ["schema", "result"],
        ["check", "--help"],
        ["verify"],
        ["verify", "--json"],
        ["history", "--kind", "check"],
        ["export", "--format", "jsonl", "-o", "-"],
        ["check", "deploy", "-e", "staging", "--json", "-q"],
        ["check", "deploy", "-e", "staging", "-q"],
    ],
)
def test_an_answer_that_nobody_reads_is_no_verdict(shop: Shop, captain_says: Captain, words: list[str]) -> None:
    captain_says("check", "deploy", "-e", "staging")
    assert unread(shop, *words) == (141, "")


def test_what_was_measured_is_recorded_though_nobody_reads_it(shop: Shop) -> None:
    unread(shop, "check", "deploy", "-e", "staging")
    assert len(shop.recorded("step.result")) == 2
    assert shop.recorded("run.end")[0].data["state"] == "checked"


def test_an_export_that_nobody_read_is_not_said_to_be_made(shop: Shop, captain_says: Captain) -> None:
    captain_says("check", "deploy", "-e", "staging")
    unread(shop, "export", "--format", "jsonl", "-o", "-")
    assert shop.recorded("export.made") == []


def test_the_first_line_is_enough_for_head(shop: Shop) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m captain explain http | head -1; echo ${{PIPESTATUS[0]}}"],
        cwd=shop.root,
        env={**os.environ, "PYTHONPATH": str(Path(captain.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, code = done.stdout.splitlines()
    # Few lines may have been written before head was gone.
    assert first == "http (probe)" and code in ("0", "141")
    assert done.stderr == ""
