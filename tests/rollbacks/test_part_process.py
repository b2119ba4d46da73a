"""A part that goes through an API runs as a process of its own, told by a private file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.effects import ATTEMPT_DIRECTORY, attempt
from captain.effects.output import output
from captain.fields import Bool, Duration, Text
from captain.rollbacks import RollbackContext, Strategy
from captain.threads import on_daemon

# A strategy of somebody else's, found through its entry point, as the process finds it too.
KIND = """
from datetime import timedelta
from pathlib import Path
from captain.errors import CaptainError
from captain.fields import Bool, Duration, Text
from captain.rollbacks import Strategy, strategy

@strategy("moving")
class Moving(Strategy):
    place: Text
    slow: Duration = timedelta(seconds=1)
    broken: Bool = False

    async def execute(self, target, ctx, say, attempt):
        say(f"going back to {target['to']} for {ctx.values['CAPTAIN_RUN']}")
        await ctx.blocking(lambda: (Path(ctx.root) / self.place).write_text(f"{target['to']} {self.slow} {attempt}"))
        if self.broken:
            raise CaptainError("the engine refused", hint="look at it")
        if target["to"] == "bug":
            raise ZeroDivisionError("oops")
        say("there")
"""


class Moving(Strategy):
    """The same keys on captain's side."""

    name = "moving"
    place: Text
    slow: Duration = timedelta(seconds=1)
    broken: Bool = False


@pytest.fixture
def ctx(tmp_path: Path) -> RollbackContext:
    site = tmp_path / "site"
    info = site / "moving-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "moving.py").write_text(KIND)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moving\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[captain.rollbacks]\nmoving = moving\n")
    return RollbackContext(
        root=tmp_path,
        environ={"PATH": os.environ["PATH"], "PYTHONSTARTUP": "/evil"},
        secrets={},
        blocking=on_daemon,
        resolve=str,
        values={"CAPTAIN_RUN": "shop-1.4.0", "CAPTAIN_ATTEMPT": "01ATTEMPT"},
    )


async def run(strategy: Strategy, target: Mapping[str, Any], ctx: RollbackContext) -> tuple[attempt.State, str, str]:
    """As the engine does it, with the other strategy's folder on the path."""
    command = strategy.command(target, ctx)
    root = Path(attempt.__file__).parents[2]
    env = {**command.env, "PYTHONPATH": os.pathsep.join((str(ctx.root / "site"), str(root)))}
    directory = ctx.root / "attempts" / "01ATTEMPT"
    attempt.prepare(directory, attempt.Spec(command.argv, command.cwd, env, timedelta(seconds=30)))
    for name, text in command.files.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o600)
    await attempt.start(directory)
    done = await attempt.wait(directory, every=0.02)
    return done, output(directory, "stdout").text.decode(), output(directory, "stderr").text.decode()


async def test_a_part_executes_with_its_keys_its_target_and_its_attempt(ctx: RollbackContext) -> None:
    strategy = Moving(id="web", place="made", slow=timedelta(minutes=2))
    done, said, complained = await run(strategy, {"to": "1.3.9"}, ctx)
    assert isinstance(done, attempt.Done)
    assert (done.exit_code, complained) == (0, "")
    assert said == "going back to 1.3.9 for shop-1.4.0\nthere\n"
    assert (ctx.root / "made").read_text() == "1.3.9 0:02:00 01ATTEMPT"


async def test_a_part_that_cannot_go_on_says_why_and_ends_with_one(ctx: RollbackContext) -> None:
    done, _, complained = await run(Moving(id="web", place="made", broken=True), {"to": "1.3.9"}, ctx)
    assert isinstance(done, attempt.Done)
    assert (done.exit_code, complained) == (1, "the engine refused; look at it\n")


async def test_a_bug_is_one_line_and_no_traceback(ctx: RollbackContext) -> None:
    done, _, complained = await run(Moving(id="web", place="made"), {"to": "bug"}, ctx)
    assert isinstance(done, attempt.Done)
    assert (done.exit_code, complained) == (1, "unexpected ZeroDivisionError: oops\n")


def test_what_the_log_sees_holds_no_target(ctx: RollbackContext) -> None:
    command = Moving(id="web", place="made").command({"env": ["PASSWORD=s3cr3t"]}, ctx)
    assert command.how == "api"
    assert command.argv == (sys.executable, "-P", "-m", "captain.rollbacks", ATTEMPT_DIRECTORY)
    assert command.shown == ("captain", "rollback", "moving", "web")
    assert "s3cr3t" not in repr(replace(command, files={}))
    assert "PYTHONSTARTUP" not in command.env
    assert json.loads(command.files["part.json"])["keys"] == {
        "id": "web",
        "place": "made",
        "slow": "1000ms",
        "broken": False,
    }


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"format": 2}'])
def test_a_part_that_cannot_be_read_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "part.json").write_text(text)
    argv = [sys.executable, "-P", "-m", "captain.rollbacks", str(tmp_path)]
    root = Path(attempt.__file__).parents[2]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert done.returncode == 1
    assert "part" in done.stderr and "Traceback" not in done.stderr
