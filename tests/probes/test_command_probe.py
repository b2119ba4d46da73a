"""What the command probe observes of a program, and what it calls no answer."""

from __future__ import annotations

import os
import shlex
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from captain.clock import SystemClock
from captain.effects import Program
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import Context, probes
from captain.probes.command import CommandProbe
from captain.threads import on_daemon
from tests.docker_engine import Box

SECRET = "ghp_0123456789abcdef"
"""A declared secret that is set."""
Ask = Callable[..., Awaitable[Measurement]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    async def asked(run: Any, *, within: float = 20, **keys: Any) -> Measurement:
        context = Context(
            root=tmp_path,
            repo=None,
            timeout=timedelta(seconds=within),
            environ={"PATH": os.environ["PATH"], "HOME": "/h", "LD_PRELOAD": "", "AWS_SECRET_ACCESS_KEY": "x"},
            secrets={"TOKEN": SECRET},
            blocking=on_daemon,
            clock=SystemClock(),
        )
        return await CommandProbe.model_validate({"run": run, **keys}).measure(context)

    return asked


async def test_a_program_is_observed(ask: Ask) -> None:
    seen = await ask(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert seen.observed == {"exit_code": 3, "stdout": "out", "stderr": "err"}
    assert seen.asked == "sh -c 'echo out; echo err >&2; exit 3'"
    assert seen.body == "out\n--- stderr\nerr"


async def test_one_text_is_a_shell_command(ask: Ask) -> None:
    seen = await ask("echo one | tr a-z A-Z")
    assert (seen.observed["stdout"], seen.asked) == ("ONE", "echo one | tr a-z A-Z")


async def test_row_14_a_list_is_no_shell(ask: Ask, tmp_path: Path) -> None:
    seen = await ask(["printf", "%s|", "$(touch pwned)", "${HOME}", "{{ x }}"])
    assert seen.observed["stdout"] == "$(touch pwned)|${HOME}|{{ x }}|"
    assert not (tmp_path / "pwned").exists()


async def test_row_16_an_argument_that_looks_like_an_option_is_shown(ask: Ask) -> None:
    seen = await ask(["echo", "--upload-pack=x", "a b"])
    assert seen.asked == "echo --upload-pack=x 'a b'"
    assert shlex.split(seen.asked) == ["echo", "--upload-pack=x", "a b"]


async def test_row_20_exit_zero_is_exit_zero_whatever_it_prints(ask: Ask) -> None:
    assert (await ask("echo FAILED")).observed["exit_code"] == 0


async def test_row_21_values_of_env_are_given_and_not_shown(ask: Ask) -> None:
    seen = await ask(["sh", "-c", 'test -n "$TOKEN" && echo ok'], env={"TOKEN": "s3cr3t-value"})
    assert seen.observed["stdout"] == "ok"
    assert "s3cr3t" not in repr(seen)


async def test_row_64_it_gets_a_short_list_of_captains_variables(ask: Ask) -> None:
    names = {line.split("=")[0] for line in str((await ask(["env"])).observed["stdout"]).splitlines()}
    assert names <= {"PATH", "HOME", "CAPTAIN_PROGRAM", "PWD", "SHLVL", "_"}


async def test_it_starts_in_the_folder_it_names(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "check").write_text("#!/bin/sh\npwd\n")
    (tmp_path / "backend" / "check").chmod(0o755)
    assert (await ask(["./check"], cwd="backend")).observed["stdout"] == str(tmp_path / "backend")


async def test_stdout_can_be_parsed(ask: Ask) -> None:
    assert (await ask("echo '{\"a\": [1]}'", parse="json")).observed["json"] == {"a": [1]}
    assert (await ask("echo ' -42 '", parse="int")).observed["value"] == -42


@pytest.mark.parametrize(("parse", "name"), [("json", "json"), ("int", "value")])
@pytest.mark.parametrize("text", ["", "4 2", "{", "NaN", "1" * 40])
async def test_what_is_not_what_it_should_be_is_left_out_with_a_note(
    ask: Ask, parse: str, name: str, text: str
) -> None:
    seen = await ask(["echo", text], parse=parse)
    assert name not in seen.observed
    assert "stdout is not" in seen.notes[0]
    assert seen.observed["exit_code"] == 0


async def test_row_17_large_output_is_bounded_and_never_parsed(ask: Ask) -> None:
    seen = await ask(["sh", "-c", "echo '['; yes 1, | head -c 5000000; echo ']'"], parse="json")
    assert seen.truncated
    assert "json" not in seen.observed
    assert len(str(seen.observed["stdout"])) == len(seen.body or "") == 65536


@pytest.mark.parametrize(
    ("run", "fault", "sentence"),
    [
        (["no-such-program"], "instrument", "no folder of PATH"),
        (["./plain"], "instrument", "not executable"),
        (["sh", "-c", "kill -9 $$"], "unclear", "ended by SIGKILL"),
        (["sleep", "60"], "unclear", "sleep 60: did not end within 0.3s"),
    ],
)
async def test_what_gave_no_answer_is_said(ask: Ask, tmp_path: Path, run: Any, fault: str, sentence: str) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(ProbeError) as caught:
        await ask(run, within=0.3 if run[0] == "sleep" else 20)
    assert caught.value.fault == fault
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"run": []}, "names no program"),
        ({"run": ""}, "names no program"),
        ({"run": {"a": "b"}}, "takes a list of arguments"),
        ({"run": ["a", ["b"]]}, "takes a text, not a list"),
        ({"run": "echo ${{ vars.x }}"}, "give it through env"),
        ({"run": ["a"], "env": {"A-B": "c"}}, "environment variable"),
        ({"run": ["a"], "host": "unix:///x"}, "no effect without container"),
    ],
)
def test_row_15_what_is_no_program_is_refused_when_the_file_is_read(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CommandProbe.model_validate(keys)
    assert sentence in str(caught.value)


def test_row_65_its_program_is_shown_before_it_runs() -> None:
    keys = {"run": ["./check", "${{ release.version }}"], "cwd": "b", "env": {"B": "${{ secrets.B }}", "A": "1"}}
    probe = CommandProbe.model_validate(keys)
    assert probe.programs() == (Program(("./check", "${{ release.version }}"), "b", ("A", "B")),)
    assert probe.asks() == "./check '${{ release.version }}'"


def test_the_kind_is_found_by_name_and_its_example_is_a_step() -> None:
    assert probes.find("command") is CommandProbe
    CommandProbe.model_validate(yaml.safe_load(CommandProbe.example)["command"])


async def test_a_secret_on_the_cut_of_long_output_leaves_no_half_of_it(ask: Ask) -> None:
    zeros = "head -c 65530 /dev/zero | tr '\\0' x"
    script = f"{zeros}; echo {SECRET}; {zeros} >&2; echo {SECRET} >&2"
    seen = await ask(["sh", "-c", script])
    assert seen.observed["stdout"] == seen.observed["stderr"] == seen.body == "x" * 65530
    assert seen.truncated


async def test_a_program_in_a_container_is_observed_and_is_more_than_reading(ask: Ask, docker_box: Box) -> None:
    docker_box.start("web")
    keys = {"container": docker_box.name("web"), "host": docker_box.engine.host}
    seen = await ask(
        ["sh", "-c", 'echo "{\\"who\\": \\"$WHO\\"}"'], parse="json", env={"WHO": "web"}, cwd="/www", **keys
    )
    assert (seen.observed["exit_code"], seen.observed["json"]) == (0, {"who": "web"})
    assert seen.asked.startswith(f"in {docker_box.name('web')}: sh -c")
    probe = CommandProbe.model_validate({"run": ["id"], **keys})
    assert (probe.safety, CommandProbe.model_validate({"run": ["id"]}).safety) == ("active", "read")
    assert probe.programs()[0].container == f"{docker_box.name('web')} of {docker_box.engine.host}"


async def test_the_container_that_a_service_stood_for_is_named(ask: Ask, docker_box: Box) -> None:
    project = docker_box.prefix
    docker_box.start("web-1", Labels={"com.docker.compose.service": "web", "com.docker.compose.project": project})
    seen = await ask(["true"], container=f"{project}_web", host=docker_box.engine.host)
    assert seen.asked == f"in {docker_box.name('web-1')}: true"


async def test_what_does_not_end_in_a_container_is_stopped_there(ask: Ask, docker_box: Box) -> None:
    docker_box.start("web")
    with pytest.raises(ProbeError, match="sleep 60: did not end within 1s and was stopped") as caught:
        await ask(["sleep", "60"], within=1, container=docker_box.name("web"), host=docker_box.engine.host)
    assert caught.value.fault == "unclear"


async def test_no_program_in_a_container_that_is_not_there_passes(ask: Ask, docker_box: Box) -> None:
    with pytest.raises(ProbeError, match="has no container or service"):
        await ask(["true"], container=docker_box.name("web"), host=docker_box.engine.host)
