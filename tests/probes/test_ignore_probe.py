"""Whether secrets are kept out of git and out of builds, by the rules of each, and what is there all the same."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes.ignore import IgnoreProbe
from captain.systems.secrets.docker_ignore import read_docker_ignore
from captain.systems.tree_files import Tree
from tests.git_repo import Repo
from tests.judged import verdict
from tests.one_step import OneStep
from tests.probe_context import probe_context
from tests.requirements import need

PLANTED = "hunter2-planted-9f3"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + PLANTED
Ask = Callable[..., Awaitable[Measurement]]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "shop")


@pytest.fixture
def ask(repo: Repo) -> Ask:
    async def asked(mode: str = "git", within: float = 20, **keys: Any) -> Measurement:
        from dataclasses import replace

        context = replace(
            probe_context(repo.path, within), environ={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        )
        return await IgnoreProbe.model_validate({"mode": mode, **keys}).measure(context)

    return asked


# git


async def test_a_repository_that_keeps_env_files_away_passes(repo: Repo, ask: Ask) -> None:
    repo.commit(".gitignore", ".env*\n!.env.example\n")
    repo.commit(".env.example", "SECRET_KEY=\n")
    repo.write(".env", f"SECRET_KEY={PLANTED}\n")
    repo.write("back/.env", f"SECRET_KEY={PLANTED}\n")
    seen = await ask()
    counts = ("uncovered_count", "present_uncovered_count", "tracked_count", "history_count")
    assert [seen.observed[name] for name in counts] == [0, 0, 0, 0]
    assert (seen.observed["has_file"], seen.observed["over_ignored"]) == (True, [])
    assert verdict(IgnoreProbe, seen) is Verdict.PASS


async def test_f24_a_tracked_env_is_found_although_a_rule_covers_it(repo: Repo, ask: Ask) -> None:
    repo.commit(".env", f"SECRET_KEY={PLANTED}\n")
    repo.commit(".gitignore", ".env*\n!.env.example\n")
    plain = subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=repo.path, check=False)
    assert plain.returncode == 1, "git says of a tracked file that it is not ignored"
    seen = await ask()
    assert (seen.observed["uncovered"], seen.observed["tracked"]) == ([], [".env"])
    assert seen.observed["present_uncovered"] == [".env"]
    assert verdict(IgnoreProbe, seen) is Verdict.FAIL
    assert PLANTED not in repr(seen)


async def test_f24_a_rule_that_brings_it_back_covers_nothing(repo: Repo, ask: Ask) -> None:
    repo.commit(".gitignore", ".e*\n!.env\n")
    verbose = subprocess.run(["git", "check-ignore", "-v", ".env"], cwd=repo.path, check=False, capture_output=True)
    assert verbose.returncode == 0, "git says 0 for a negated rule"
    seen = await ask(candidates=[".env"])
    assert seen.observed["uncovered"] == [".env"]
    assert verdict(IgnoreProbe, seen) is Verdict.FAIL


async def test_a_rule_for_the_top_only_leaves_folders_open(repo: Repo, ask: Ask) -> None:
    repo.commit(".gitignore", "/.env\n")
    assert (await ask(candidates=[".env", "a/.env"])).observed["uncovered"] == ["a/.env"]


async def test_a_persons_own_excludes_keep_nothing_away_for_others(repo: Repo, ask: Ask) -> None:
    repo.commit()
    (repo.path / ".git" / "info" / "exclude").write_text(".env*\n")
    repo.write(".env", f"A={PLANTED}\n")
    seen = await ask(candidates=[".env"])
    assert (seen.observed["uncovered"], seen.observed["present_uncovered"]) == ([".env"], [".env"])
    assert any("this machine only" in note for note in seen.notes)


async def test_what_git_would_take_next_counts_too(repo: Repo, ask: Ask) -> None:
    repo.commit(".gitignore", ".env*\n")
    repo.write("deploy/id_ed25519", KEY)
    repo.write("deploy/ca.pem", "-----BEGIN CERTIFICATE-----\n")
    seen = await ask()
    assert (seen.observed["uncovered_count"], seen.observed["tracked_count"]) == (0, 0)
    assert seen.observed["present_uncovered"] == ["deploy/id_ed25519"]
    assert verdict(IgnoreProbe, seen) is Verdict.FAIL
    assert PLANTED not in repr(seen)


async def test_an_example_that_is_kept_away_is_told(repo: Repo, ask: Ask) -> None:
    repo.commit(".gitignore", ".env*\n")
    assert (await ask()).observed["over_ignored"] == [".env.example"]
    assert (await ask(keep=[])).observed["over_ignored"] == []


async def test_a_file_named_in_keep_holds_no_secret(repo: Repo, ask: Ask) -> None:
    repo.commit(".env.test", "A=1\n")
    assert (await ask()).observed["tracked"] == [".env.test"]
    seen = await ask(keep=[".env.test"])
    assert (seen.observed["tracked_count"], seen.observed["history_count"]) == (0, 0)


# What git once had


async def test_a_secret_that_was_deleted_is_still_in_the_history(repo: Repo, ask: Ask) -> None:
    repo.commit("back/.env", f"A={PLANTED}\n")
    repo.git("rm", "--quiet", "back/.env")
    repo.git("commit", "--quiet", "--message", "gone")
    repo.commit(".gitignore", ".env*\n!.env.example\n")
    seen = await ask()
    assert (seen.observed["tracked_count"], seen.observed["history_count"]) == (0, 1)
    assert verdict(IgnoreProbe, seen, "tracked_count == 0", "history_count == 0") is Verdict.FAIL
    assert any(one["file"] == "back/.env" for one in seen.observed["findings"])  # type: ignore[union-attr,index,call-overload]
    assert PLANTED not in repr(seen)


async def test_other_branches_merges_and_later_content_count(repo: Repo, ask: Ask) -> None:
    repo.commit("x.pem", "-----BEGIN CERTIFICATE-----\n")
    repo.commit("x.pem", KEY)
    repo.commit("x.pem", "-----BEGIN CERTIFICATE-----\n")
    repo.git("checkout", "--quiet", "-b", "side")
    repo.commit("deep/er/.env", "A=1\n")
    repo.git("checkout", "--quiet", "main")
    repo.commit("a.py")
    repo.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
    repo.write("evil/.pgpass", "x\n")
    repo.git("add", ".")
    repo.git("rm", "--quiet", "--cached", "deep/er/.env")
    repo.git("commit", "--quiet", "--message", "merged")
    seen = await ask()
    assert seen.observed["history_count"] == 3
    assert seen.observed["tracked"] == ["evil/.pgpass"]


async def test_a_shallow_clone_says_nothing_of_its_history(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    repo.commit(".env", "A=1\n")
    repo.git("rm", "--quiet", ".env")
    repo.git("commit", "--quiet", "--message", "gone")
    shutil.rmtree(tmp_path / "clone", ignore_errors=True)
    repo.git("clone", "--quiet", "--depth=1", f"file://{repo.path}", str(tmp_path / "clone"))
    shutil.rmtree(repo.path)
    (tmp_path / "clone").rename(repo.path)
    seen = await ask()
    assert "history_count" not in seen.observed
    assert any("shallow" in note for note in seen.notes)
    assert verdict(IgnoreProbe, seen, "history_count == 0") is Verdict.UNKNOWN


async def test_without_a_commit_there_is_no_history_to_be_clean(repo: Repo, ask: Ask) -> None:
    assert "history_count" not in (await ask()).observed
    repo.commit()
    assert (await ask(history="false")).observed.keys() & {"history_count"} == set()
    assert (await ask()).observed["history_count"] == 0


async def test_a_folder_of_the_repository_is_asked_alone(repo: Repo, ask: Ask) -> None:
    repo.commit("other/.env", "A=1\n")
    repo.commit("back/.gitignore", ".env*\n!.env.example\n")
    seen = await ask(root="back")
    assert (seen.observed["uncovered_count"], seen.observed["tracked_count"]) == (0, 0)
    assert (seen.observed["history_count"], seen.observed["has_file"]) == (0, True)


async def test_names_that_are_no_text_are_told_legibly(repo: Repo, ask: Ask) -> None:
    folder = os.fsencode(repo.path) + b"/\xff\x1b[2J"
    Path(os.fsdecode(folder)).mkdir()
    with Path(os.fsdecode(folder + b"/.env")).open("w") as file:
        file.write("A=1\n")
    seen = await ask()
    assert seen.observed["present_uncovered_count"] == 1
    assert "\x1b" not in repr(seen.observed["present_uncovered"]).replace("\\x1b", "!")
    repr(seen).encode()


async def test_nothing_of_the_repository_is_run(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    repo.commit(".env", "A=1\n")
    ran = tmp_path / "ran"
    script = repo.write("tool", f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "gpg.program", "diff.external", "diff.x.textconv", "diff.x.command"):
        repo.git("config", key, str(script))
    repo.git("config", "log.showSignature", "true")
    repo.write(".gitattributes", "* diff=x\n")
    await ask()
    assert not ran.exists()


async def test_no_work_tree_and_no_folder_are_unknown(tmp_path: Path) -> None:
    from dataclasses import replace

    context = replace(probe_context(tmp_path, 5), environ={"PATH": os.environ["PATH"]})
    with pytest.raises(ProbeError, match="not a git work tree") as caught:
        await IgnoreProbe(mode="git").measure(context)
    assert caught.value.fault == "instrument"
    with pytest.raises(ProbeError, match="gone is no folder"):
        await IgnoreProbe(mode="docker", root="gone").measure(context)


# docker


async def test_f31_a_pattern_without_stars_covers_the_top_only(repo: Repo, ask: Ask) -> None:
    repo.write(".dockerignore", ".env\n.git\n")
    repo.write("sub/.env", f"A={PLANTED}\n")
    seen = await ask("docker", candidates=[".env", "sub/.env", ".env.local", ".git/config"])
    assert seen.observed["uncovered"] == ["sub/.env", ".env.local"]
    assert seen.observed["present_uncovered"] == ["sub/.env"]
    assert verdict(IgnoreProbe, seen) is Verdict.FAIL
    repo.write(".dockerignore", "**/.env*\n.git\n")
    seen = await ask("docker", candidates=[".env", "sub/.env", ".env.local", ".git/config"])
    assert verdict(IgnoreProbe, seen) is Verdict.PASS
    assert PLANTED not in repr(seen)


async def test_a_complete_dockerignore_passes_by_the_usual_names(repo: Repo, ask: Ask) -> None:
    repo.write(".dockerignore", "# secrets\n.git\n**/.env*\n**/*.pem\n**/id_rsa\n.npmrc\n.aws\n")
    assert verdict(IgnoreProbe, await ask("docker")) is Verdict.PASS
    repo.write(".dockerignore", "# secrets\n.git\n**/.env*\n**/*.pem\n**/id_rsa\n.npmrc\n.aws\n!.env\n")
    assert (await ask("docker")).observed["uncovered"] == [".env"]


async def test_without_a_dockerignore_everything_reaches_the_build(repo: Repo, ask: Ask) -> None:
    seen = await ask("docker")
    assert seen.observed["has_file"] is False
    assert verdict(IgnoreProbe, seen) is Verdict.FAIL
    repo.write(".env", "A=1\n")
    seen = await ask("docker")
    assert seen.observed["present_uncovered"] == [".env"]


async def test_the_dockerfiles_own_ignore_file_comes_first(repo: Repo, ask: Ask) -> None:
    repo.write(".dockerignore", "**/.env*\n")
    repo.write("back/Dockerfile", "FROM a\n")
    only = {"candidates": [".env"], "dockerfile": "back/Dockerfile"}
    assert (await ask("docker", **only)).observed["uncovered_count"] == 0
    repo.write("back/Dockerfile.dockerignore", "node_modules\n")
    assert (await ask("docker", **only)).observed["uncovered_count"] == 1
    with pytest.raises(ProbeError, match="no such file"):
        await ask("docker", dockerfile="gone/Dockerfile")


async def test_what_is_brought_back_from_an_ignored_folder_is_found(repo: Repo, ask: Ask) -> None:
    repo.write("conf/.env", "A=1\n")
    repo.write("conf/deep/.pgpass", "x\n")
    repo.write(".dockerignore", "conf\n")
    assert (await ask("docker")).observed["present_uncovered"] == []
    repo.write(".dockerignore", "conf\n!conf/.env\n")
    assert (await ask("docker")).observed["present_uncovered"] == ["conf/.env"]


@pytest.mark.parametrize(
    ("patterns", "path", "covered"),
    [
        (".env", ".env", True),
        ("/.env", ".env", True),
        (".env/", ".env", True),
        (" .env ", ".env", True),
        ("#.env", ".env", False),
        ("*.env", "a/x.env", False),
        ("**/*.env", "a/b/x.env", True),
        ("**/secrets", "a/b/secrets/c/d", True),
        ("a", "a/b/c/.env", True),
        ("a\n!a/b", "a/b/.env", False),
        ("a\n!a/b\na/b/.env", "a/b/.env", True),
        ("*\n!src", "src/.env", False),
        ("*\n!src", ".env", True),
        (".en?", ".env", True),
        ("./x/../.env", ".env", True),
        (".", ".env", False),
        ("**", "a/b", True),
        ("! .env\n.env", ".env", True),
    ],
)
def test_patterns_mean_what_docker_says(tmp_path: Path, patterns: str, path: str, covered: bool) -> None:
    (tmp_path / ".dockerignore").write_text(patterns + "\n")
    assert read_docker_ignore(Tree(tmp_path), ".", None, float("inf")).covers(path) is covered


CONTEXT = (
    *(".env", ".env.local", "sub/.env", "sub/deep/.env.production", "a/b/secrets/c/d", "a/b/x.env", "x.env"),
    *("src/.env", "src/key.pem", "key.pem", "#.env", "conf/.env", "conf/deep/.pgpass"),
    *(".git/config", "sub/.git/config"),
)
PATTERNS = (
    ".env\n.git\n",
    "**/.env*\n**/secrets\n**/.git\n",
    "*\n!src\n!conf/.env\nsrc/*.pem\n",
    "# .env\n #.env\n/sub/\n./x/../key.pem\n! .env\n.env.*\n",
    "**/*.env\nconf\n!conf/deep\n**/conf/deep/.p?pass\n",
    "a/*/secrets\n**/[k]ey.pem\nsub/**\n!**/.env.production\n",
)


@pytest.mark.parametrize("patterns", PATTERNS)
def test_f31_docker_itself_sends_what_is_said_to_be_open(tmp_path: Path, docker_engine: Any, patterns: str) -> None:
    need("docker", None if shutil.which("docker") else "no docker command")
    for name in CONTEXT:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\nLABEL captain.test={docker_engine.run}\nCOPY . /ctx/\n")
    (tmp_path / ".dockerignore").write_text(patterns)
    environ = {**docker_engine.environ, "DOCKER_BUILDKIT": "0", "HOME": str(tmp_path)}
    argv = ["docker", "build", "--quiet", "--force-rm", "."]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    image = done.stdout.strip().rpartition("\n")[2]
    try:
        made = docker_engine.client.create_container(image, ["x"], labels={"captain.test": docker_engine.run})
        try:
            stream = docker_engine.client.export(made["Id"])
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
                sent = {name.removeprefix("ctx/") for name in tar.getnames()}
        finally:
            docker_engine.client.remove_container(made["Id"], force=True)
    finally:
        docker_engine.client.remove_image(image, force=True)
    ignore = read_docker_ignore(Tree(tmp_path), ".", None, float("inf"))
    told = {name for name in CONTEXT if not ignore.covers(name)}
    # The classic builder does not look into an ignored folder for `!**/…`; BuildKit does.
    assert told - sent == ({"sub/deep/.env.production"} if "!**/" in patterns else set())
    assert sent & set(CONTEXT) <= told


@pytest.mark.parametrize(
    "patterns", ["*a*a*a*a*a*b", "!\\.env", "[^a].env", "a" * 500, "\n".join(str(n) for n in range(2000))]
)
async def test_patterns_that_take_too_long_or_mean_two_things_are_unknown(repo: Repo, ask: Ask, patterns: str) -> None:
    repo.write(".dockerignore", patterns)
    with pytest.raises(ProbeError, match="dockerignore"):
        await ask("docker")


async def test_slow_patterns_over_long_names_end_in_time(repo: Repo, ask: Ask) -> None:
    repo.write(".dockerignore", "\n".join(f"!*a*a*a*{n}" for n in range(900)))
    for n in range(40):
        (repo.path / (f"{n}" + "a" * 240)).mkdir()
    repo.write("x/.env", "A=1\n")
    began = time.monotonic()
    try:
        assert (await ask("docker", within=1)).observed["present_uncovered"]
    except ProbeError as error:
        assert "longer than there is time" in error.message
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "keys",
    [
        *({"mode": "git", "root": "../x"}, {"mode": "git", "dockerfile": "x"}, {"mode": "docker", "history": "true"}),
        *({"mode": "git", "candidates": ["/etc/x"]}, {"mode": "svn"}),
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IgnoreProbe.model_validate(keys)


async def test_a_step_through_the_engine_keeps_no_secret(repo: Repo) -> None:
    one = OneStep(repo.path)
    repo.commit(".env", f"SECRET_KEY={PLANTED}\n")
    recorded = await one.ask("ignore: { mode: git }\n")
    assert recorded.data["verdict"] == "fail"
    assert not [where for where, data in one.everything() if PLANTED.encode() in data]
