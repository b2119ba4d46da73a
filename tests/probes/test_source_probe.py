"""What is found in the files of a repository, and that nothing counts as absent where nothing was looked through."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes.source import SourceProbe
from captain.systems.search import child as search_child
from tests.git_repo import Repo
from tests.judged import verdict
from tests.one_step import OneStep
from tests.probe_context import probe_context

PLANTED = "hunter2-planted-9f3"
VERIFY = {"id": "verify_false", "regex": r"verify\s*=\s*False"}
EXPECT = 'files > 0 && per_pattern["verify_false"] == 0'
Ask = Callable[..., Awaitable[Measurement]]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "shop")


@pytest.fixture
def ask(repo: Repo) -> Ask:
    async def asked(*patterns: Any, within: float = 20, root: Path | None = None, **keys: Any) -> Measurement:
        environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        context = replace(probe_context(root or repo.path, within), environ=environ)
        return await SourceProbe.model_validate({"patterns": list(patterns), **keys}).measure(context)

    return asked


async def test_what_stands_in_the_source_is_found_with_its_place(repo: Repo, ask: Ask) -> None:
    repo.commit("a.py", "import x\n\nget(verify = False)\nget(verify=False)\n")
    repo.commit("b.py", "get(verify=True)\n")
    seen = await ask(VERIFY)
    assert (seen.observed["files"], seen.observed["matches"]) == (2, 2)
    assert seen.observed["per_pattern"] == {"verify_false": 2}
    assert seen.observed["findings"] == [
        {"file": "a.py", "line": 3, "id": "verify_false"},
        {"file": "a.py", "line": 4, "id": "verify_false"},
    ]
    assert seen.observed["unmet"] == ["verify_false"]
    assert verdict(SourceProbe, seen) is Verdict.FAIL
    assert verdict(SourceProbe, seen, EXPECT) is Verdict.FAIL


async def test_source_without_it_passes(repo: Repo, ask: Ask) -> None:
    repo.commit("a.py", "get()\n")
    seen = await ask(VERIFY)
    assert verdict(SourceProbe, seen) is Verdict.PASS
    assert verdict(SourceProbe, seen, EXPECT) is Verdict.PASS


async def test_where_no_file_matches_absence_is_not_proven(repo: Repo, ask: Ask) -> None:
    seen = await ask(VERIFY)
    assert seen.observed == {"files": 0}
    assert verdict(SourceProbe, seen, 'per_pattern["verify_false"] == 0') is Verdict.UNKNOWN
    assert verdict(SourceProbe, seen, "matches == 0") is Verdict.UNKNOWN
    assert verdict(SourceProbe, seen) is Verdict.FAIL
    repo.commit("a.py")
    assert (await ask(VERIFY, globs=["**/*.ts"])).observed == {"files": 0}
    (repo.path / "x.ts").write_bytes(b"\0\1")
    repo.git("add", ".")
    assert (await ask(VERIFY, globs=["**/*.ts"])).observed == {"files": 0}


async def test_globs_and_exclude_choose_files(repo: Repo, ask: Ask) -> None:
    for name in ("a.py", "deep/er/a.py", "tests/a.py", "a.txt"):
        repo.commit(name, "verify=False\n")
    assert (await ask(VERIFY)).observed["files"] == 4
    seen = await ask(VERIFY, globs=["**/*.py"], exclude=["tests/**"])
    assert (seen.observed["files"], seen.observed["matches"]) == (2, 2)


async def test_a_pattern_may_have_to_be_there(repo: Repo, ask: Ask) -> None:
    repo.commit("a.py", "LOGGING = {}\nx\n")
    one = {"id": "logging", "regex": "^LOGGING", "expect": "min"}
    assert verdict(SourceProbe, await ask(one)) is Verdict.PASS
    assert verdict(SourceProbe, await ask({**one, "n": 2})) is Verdict.FAIL
    assert verdict(SourceProbe, await ask({**one, "expect": "max", "n": 1})) is Verdict.PASS


async def test_only_what_git_has_counts_unless_asked_otherwise(repo: Repo, ask: Ask) -> None:
    repo.commit(".gitignore", "built/\n")
    repo.write("new.py", "verify=False\n")
    repo.write("built/x.py", "verify=False\n")
    assert (await ask(VERIFY)).observed["matches"] == 0
    assert (await ask(VERIFY, tracked_only="false")).observed["matches"] == 1


async def test_outside_of_git_all_files_are_looked_through(tmp_path: Path, ask: Ask) -> None:
    folder = tmp_path / "plain"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x.py").write_text("verify=False\n")
    (folder / "link.py").symlink_to("/etc/passwd")
    seen = await ask(VERIFY, root=folder)
    assert (seen.observed["files"], seen.observed["matches"]) == (1, 1)
    assert any("no git work tree" in note for note in seen.notes)


async def test_what_is_not_read_leaves_absence_open(
    repo: Repo, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit("a.py", "x\n")
    repo.commit("gone.py", "verify=False\n")
    (repo.path / "gone.py").unlink()
    seen = await ask(VERIFY, {"id": "x", "regex": "x"})
    assert seen.observed["per_pattern"] == {"x": 1}
    assert verdict(SourceProbe, seen, EXPECT) is Verdict.UNKNOWN
    assert seen.observed["unmet"] == ["x"]
    assert any("gone.py" in note for note in seen.notes)
    only = await ask(VERIFY)
    assert "unmet" not in only.observed
    assert verdict(SourceProbe, only) is Verdict.UNKNOWN
    (repo.path / "gone.py").write_text("a" * (search_child.LIMIT + 1))
    assert "matches" not in (await ask(VERIFY)).observed
    assert (await ask(VERIFY, exclude=["gone.py"])).observed["matches"] == 0


async def test_links_lead_nowhere_outside(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.py").write_text("verify=False\n")
    repo.commit("a.py", "x\n")
    repo.commit("dir/x.py", "x\n")
    (repo.path / "dir" / "x.py").unlink()
    (repo.path / "dir").rmdir()
    (repo.path / "dir").symlink_to(tmp_path / "outside")
    seen = await ask(VERIFY)
    assert seen.observed["files"] == 1
    assert "matches" not in seen.observed


async def test_text_of_windows_is_read_and_bytes_are_not(repo: Repo, ask: Ask) -> None:
    (repo.path / "w.py").write_bytes("verify=False\r\n".encode("utf-16"))
    (repo.path / "l.py").write_bytes(b"# caf\xe9\nverify=False\n")
    (repo.path / "b.bin").write_bytes(b"\0verify=False")
    name = os.fsencode(repo.path) + b"/\xff.py"
    Path(os.fsdecode(name)).write_text("verify=False\n")
    repo.git("add", ".")
    seen = await ask(VERIFY)
    assert (seen.observed["files"], seen.observed["skipped"], seen.observed["matches"]) == (3, 1, 3)
    repr(seen).encode()


# Secrets


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("private-key", "-----BEGIN RSA PRIVATE KEY-----"),
        ("aws-key", "AKIA" + "ABCDEFGHIJ234567"),
        ("github-token", "ghp_" + "a1" * 18),
        ("stripe-key", "sk_live_" + "abcdefghij12"),
        ("url-userinfo", f"postgres://app:{PLANTED}@db.example/shop"),
        ("secret-literal", f'SECRET_KEY = "{PLANTED}"'),
        ("secret-literal", f'"password": "{PLANTED}",'),
    ],
)
async def test_what_looks_like_a_secret_is_found_and_never_repeated(repo: Repo, ask: Ask, rule: str, line: str) -> None:
    repo.commit("a.py", f"x\n{line}\n")
    seen = await ask(secrets="true")
    assert (seen.observed["secrets"], seen.observed["unmet"]) == (1, [rule])
    assert seen.observed["findings"] == [{"file": "a.py", "line": 2, "id": rule}]
    assert verdict(SourceProbe, seen) is Verdict.FAIL
    assert PLANTED not in repr(seen)


@pytest.mark.parametrize(
    "line",
    [
        *('password = os.environ["DB_PASSWORD_2"]', 'api_key: "${API_KEY}"', "postgres://app:$PASSWORD@db/x"),
        *('password = "long enough words"', "https://x.example/a:b@c", "postgres://app:***@db/x", "secret_key = None"),
    ],
)
async def test_what_only_names_a_secret_is_fine(repo: Repo, ask: Ask, line: str) -> None:
    repo.commit("a.py", f"{line}\n")
    seen = await ask(secrets="true")
    assert seen.observed["secrets"] == 0
    assert verdict(SourceProbe, seen) is Verdict.PASS


# Checks


async def test_scripts_are_executable_and_can_be_read(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    repo.write("ok.sh", f"#!/usr/bin/env bash\ntouch {ran}\n[[ 1 == 1 ]]\n").chmod(0o755)
    repo.write("posix", "#!/bin/sh -e\nx=1\n").chmod(0o755)
    repo.write("tool.py", "#!/usr/bin/python3\nif (:\n").chmod(0o755)
    repo.git("add", ".")
    checks = {"check": ["executable", "syntax"]}
    seen = await ask(**checks)
    assert (seen.observed["executable"], seen.observed["syntax_ok"], seen.observed["unmet"]) == (True, True, [])
    assert verdict(SourceProbe, seen) is Verdict.PASS
    repo.write("bad.sh", "x\nif true; then\n")
    repo.git("add", ".")
    seen = await ask(**checks)
    assert (seen.observed["executable"], seen.observed["syntax_ok"]) == (False, False)
    assert set(seen.observed["unmet"]) == {"executable", "syntax"}  # type: ignore[arg-type]
    assert {"file": "bad.sh", "line": 1, "id": "executable"} in seen.observed["findings"]  # type: ignore[operator]
    assert [one["file"] for one in seen.observed["findings"] if one["id"] == "syntax"] == ["bad.sh"]  # type: ignore[union-attr,index,call-overload]
    assert not ran.exists()


async def test_without_a_script_nothing_is_said_of_their_syntax(repo: Repo, ask: Ask) -> None:
    repo.commit("a.py")
    seen = await ask(check=["syntax"])
    assert "syntax_ok" not in seen.observed
    assert verdict(SourceProbe, seen) is Verdict.UNKNOWN


# What could run away


async def test_a_regex_that_never_ends_is_ended_and_blocks_nothing(repo: Repo, ask: Ask) -> None:
    import asyncio

    repo.commit("a.py", "a" * 5000 + "!\n")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.02)
            beats += 1

    task = asyncio.create_task(beat())
    began = time.monotonic()
    with pytest.raises(ProbeError, match="took longer than") as caught:
        await ask({"id": "evil", "regex": "(a|aa)+$x"}, within=1)
    task.cancel()
    assert time.monotonic() - began < 1.5
    assert beats > 10
    assert caught.value.hint


@pytest.mark.parametrize("regex", ["x*", "", "(a?){0,99}", "^"])
async def test_a_regex_that_matches_nothing_at_all_is_unknown(repo: Repo, ask: Ask, regex: str) -> None:
    repo.commit("a.py")
    with pytest.raises(ProbeError, match="matches where nothing is"):
        await ask({"id": "odd", "regex": regex})


async def test_a_search_that_needs_too_much_memory_is_unknown(
    repo: Repo, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from captain.systems.search import files as source_search

    repo.commit("a.py", "x" * 100)
    child = tmp_path / "child.py"
    text = Path(search_child.__file__).read_text()
    child.write_text(text.replace("_MEMORY = 1024 * 1024 * 1024", "_MEMORY = 1024 * 1024"))
    monkeypatch.setattr(source_search, "_CHILD", child)
    with pytest.raises(ProbeError, match="ended without an answer"):
        await ask(VERIFY)


@pytest.mark.parametrize(
    "keys",
    [
        {"patterns": [{"id": "a", "regex": "("}]},
        {"patterns": [{"id": "a", "regex": "a" * 600}]},
        {"patterns": [{"id": "a", "regex": "a"}, {"id": "a", "regex": "b"}]},
        {"patterns": [{"id": "aws-key", "regex": "a"}], "secrets": "true"},
        {"patterns": [{"id": "a", "regex": "a", "n": "-1"}]},
        {"globs": ["../**"]},
        {"globs": []},
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SourceProbe.model_validate(keys)


async def test_the_readiness_example_is_taken_as_it_stands() -> None:
    SourceProbe.model_validate({"patterns": [{**VERIFY, "expect": "max", "n": "0"}]})


async def test_a_step_through_the_engine_keeps_no_secret(repo: Repo) -> None:
    one = OneStep(repo.path)
    repo.commit("a.py", f'SECRET_KEY = "{PLANTED}"\n')
    recorded = await one.ask("source: { secrets: true }\n")
    assert recorded.data["verdict"] == "fail"
    assert not [where for where, data in one.everything() if PLANTED.encode() in data]
