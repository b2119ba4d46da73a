"""A program as the way back: proved before the deploy, run in the shim, and honest about what captain cannot see."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from captain.effects import attempt
from captain.effects.output import output
from captain.errors import CaptainError, ProgramError
from captain.rollbacks import Line, RollbackContext, strategies
from captain.rollbacks.command import CommandStrategy
from captain.threads import on_daemon

Make = Callable[..., RollbackContext]
VALUES = {"previous.version": "1.3.9", "release.version": "1.4.0", "secrets.TOKEN": "s3cr3t-value"}


def resolve(text: str) -> str:
    for name, value in VALUES.items():
        text = text.replace("${{ " + name + " }}", value)
    if "${{" in text:
        raise CaptainError("previous.images.web is not known", hint="name `release.running`")
    return text


@pytest.fixture
def ctx(tmp_path: Path) -> RollbackContext:
    script = tmp_path / "deploy.sh"
    script.write_text('#!/bin/sh\necho "$1 $CAPTAIN_RUN ${#TOKEN}" >> deployed; echo going back; exit ${2:-0}\n')
    script.chmod(0o755)
    return RollbackContext(
        root=tmp_path,
        environ={"PATH": os.environ["PATH"], "TOKEN": "of captain", "LD_PRELOAD": "", "HOME": "/h"},
        secrets={"TOKEN": "s3cr3t-value"},
        blocking=on_daemon,
        resolve=resolve,
        values={"CAPTAIN_RUN": "shop-production-1.4.0", "CAPTAIN_ATTEMPT": "a1"},
    )


def part(**keys: Any) -> CommandStrategy:
    keys = {"id": "web", "run": ["./deploy.sh", "${{ previous.version }}"], **keys}
    return CommandStrategy.model_validate(keys)


async def test_the_way_back_is_taken_and_names_what_it_runs(ctx: RollbackContext) -> None:
    taken = await part(env={"TOKEN": "${{ secrets.TOKEN }}"}).take(ctx)
    assert (taken.ready, taken.why, taken.to, taken.env_names) == (True, None, "./deploy.sh 1.3.9", ("TOKEN",))
    assert taken.target == {
        "program": str(ctx.root / "deploy.sh"),
        "argv": ["./deploy.sh", "1.3.9"],
        "cwd": str(ctx.root),
        "env": ["TOKEN"],
    }
    assert "s3cr3t" not in repr(taken)
    assert not (ctx.root / "deployed").exists()


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"run": ["./gone.sh"]}, "gone.sh is not there"),
        ({"run": ["no-such-program"]}, "no folder of PATH"),
        ({"run": ["./notes.txt"]}, "not executable; chmod"),
        ({"cwd": "nowhere"}, "the folder .*nowhere is not there"),
        ({"run": ["./deploy.sh", "${{ previous.images.web }}"]}, "previous.images.web is not known; name"),
        ({"env": {"X": "${{ secrets.UNSET }}"}}, "is not known"),
    ],
)
async def test_a_way_back_that_cannot_be_gone_is_not_ready(ctx: RollbackContext, keys: Any, why: str) -> None:
    (ctx.root / "notes.txt").write_text("")
    taken = await part(**keys).take(ctx)
    assert not taken.ready
    assert taken.why is not None
    assert re.search(why, taken.why), taken.why


async def test_the_plan_says_what_runs_and_what_captain_cannot_see(ctx: RollbackContext) -> None:
    strategy = part(timeout="90s")
    taken = await strategy.take(ctx)
    lines = await strategy.plan(taken.target, ctx)
    assert lines == [
        Line("change", f"run ./deploy.sh 1.3.9 in {ctx.root} (at most 90 s)"),
        Line("not", "what it changes is not seen by captain; the verify steps prove the result"),
    ]
    other = await strategy.plan({**taken.target, "argv": ["./deploy.sh", "1.3.8"]}, ctx)
    assert Line("verify", "before the deploy it was ./deploy.sh 1.3.8") in other


async def test_a_program_that_vanished_since_cannot_be_planned(ctx: RollbackContext) -> None:
    taken = await part().take(ctx)
    (ctx.root / "deploy.sh").unlink()
    with pytest.raises(ProgramError, match="is not there"):
        await part().plan(taken.target, ctx)


async def test_the_command_runs_in_the_shim_with_its_environment(ctx: RollbackContext, tmp_path: Path) -> None:
    strategy = part(env={"TOKEN": "${{ secrets.TOKEN }}", "CAPTAIN_RUN": "forged"})
    command = strategy.command((await strategy.take(ctx)).target, ctx)
    assert (command.how, command.shown, command.cwd) == ("run", ("./deploy.sh", "1.3.9"), tmp_path)
    assert command.env_names == ("CAPTAIN_ATTEMPT", "CAPTAIN_RUN", "TOKEN")
    assert "LD_PRELOAD" not in command.env
    directory = tmp_path / "attempts" / "a1"
    attempt.prepare(directory, attempt.Spec(command.argv, command.cwd, command.env, strategy.part_timeout))
    await attempt.start(directory)
    done = await attempt.wait(directory, every=0.02)
    assert isinstance(done, attempt.Done)
    assert (done.outcome, done.exit_code) == ("exited", 0)
    assert (tmp_path / "deployed").read_text() == "1.3.9 shop-production-1.4.0 12\n"
    assert output(directory, "stdout").text == b"going back\n"


async def test_without_env_the_declared_secret_is_not_inherited(ctx: RollbackContext) -> None:
    command = part().command({}, ctx)
    assert "TOKEN" not in command.env


async def test_one_text_is_a_shell_command_whatever_it_holds(ctx: RollbackContext) -> None:
    strategy = part(run='./deploy.sh "$VERSION" && echo done', env={"VERSION": "${{ previous.version }}"})
    taken = await strategy.take(ctx)
    assert taken.to == './deploy.sh "$VERSION" && echo done'
    command = strategy.command(taken.target, ctx)
    assert (command.how, command.argv[1:]) == ("shell", ("-c", './deploy.sh "$VERSION" && echo done'))
    assert command.env["VERSION"] == "1.3.9"


def test_the_strategy_is_found_by_name_and_its_example_is_a_part() -> None:
    assert strategies.find("command") is CommandStrategy
    keys = yaml.safe_load(CommandStrategy.example)
    assert keys.pop("strategy") == "command"
    strategy = CommandStrategy.model_validate(keys)
    assert strategy.part_timeout == timedelta(minutes=10)
    assert strategy.programs()[0].argv == ("./deploy.sh", "${{ previous.version }}")
