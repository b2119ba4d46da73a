"""The review of the demo's repository: measured whole, in seconds, and without leaving the machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from captain.demo.world import World, world
from captain.loader.sheets import shipped_files

ROOT = Path(__file__).parents[2]
GUARD = Path(__file__).with_name("guard.py")
LONGEST = 60.0
"""Seconds. On an idle machine it takes two; tests/benchmarks/speed.py holds it to five."""
OWN = "readiness"
LISTS = [OWN, *(str(path) for name, path in shipped_files().items() if name == "readiness")]
"""The review of the demo's own, and the one that captain brings along."""
WRITES = re.compile(r'^\d+ +open(?:at)?\((?:\w+, )?"(/[^"]+)", [\w|]*(?:O_WRONLY|O_RDWR|O_CREAT)', re.MULTILINE)
HARMLESS = ("/dev/", "/proc/")

WRONG = {
    "infra.images": "fail",
    "ci.type-check": "fail",
    "mon.uptime": "fail",
    "perf.bundle-ci": "fail",
    "doc.schema": "fail",
    "scal.breaker": "fail",
    "sec.trivy": "warn",
    "doc.trouble": "warn",
    "db.restore": "unknown",
    "gap.1": "unknown",
}
"""What is planted; all else is in order."""


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """One world for all tests: reviews change nothing in it."""
    with world() as found:
        yield found


def environ(made: World) -> dict[str, str]:
    kept = {name: value for name, value in made.environ().items() if name in ("PATH", "GITHUB_TOKEN", "DOCKER_HOST")}
    home = made.folder / "home"
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    return {**kept, "HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


def captain(made: World, log: str, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    runner = before or (sys.executable, "-m", "captain")
    return subprocess.run(
        [*runner, "--log", str(made.folder / log / "log.sqlite"), *arguments],
        cwd=made.root,
        env=environ(made),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def verdicts(document: str) -> dict[str, str]:
    return {step["id"]: step["verdict"] for section in json.loads(document)["sections"] for step in section["steps"]}


def test_the_review_finds_what_is_wrong_and_nothing_else(made: World) -> None:
    done = captain(made, "found", "check", OWN, "--json")
    assert done.returncode == 1, done.stderr
    found = verdicts(done.stdout)
    assert {step: verdict for step, verdict in found.items() if verdict != "pass"} == WRONG
    assert len(found) == 41


def test_the_score_says_no_go_and_names_the_blocker(made: World) -> None:
    captain(made, "scored", "check", OWN, "-q")
    done = captain(made, "scored", "score")
    assert done.returncode == 1
    assert "NO-GO" in done.stdout and "The restore was tested: waits for a sign-off" in done.stdout


@pytest.mark.parametrize("checklist", LISTS)
def test_it_takes_seconds_and_no_step_is_left_without_a_word(made: World, checklist: str) -> None:
    began = time.monotonic()
    done = captain(made, f"quick-{Path(checklist).stem}", "check", checklist, "--json")
    assert time.monotonic() - began < LONGEST
    assert done.returncode in (1, 3, 4), done.stderr
    assert "Traceback" not in done.stderr
    silent = [
        step["id"]
        for section in json.loads(done.stdout)["sections"]
        for step in section["steps"]
        if step["verdict"] != "pass" and not step["message"]
    ]
    assert silent == []


@pytest.mark.parametrize("checklist", LISTS)
def test_nothing_outside_loopback_is_asked_and_nothing_outside_the_folder_is_written(
    made: World, checklist: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    before = (sys.executable, str(GUARD), str(notes), str(made.folder))
    done = captain(made, f"guarded-{Path(checklist).stem}", "check", checklist, "-q", before=before)
    assert "NO-GO" in done.stdout or done.returncode in (1, 3, 4), done.stderr
    told = notes.read_text().splitlines()
    hosts = {line.removeprefix("connect ") for line in told if line.startswith("connect ")}
    assert "127.0.0.1" in hosts, "the guard heard nothing"
    assert [host for host in hosts if not local(host)] == []
    assert [line for line in told if line.startswith("look up ") and not local(line.removeprefix("look up "))] == []
    assert [line for line in told if line.startswith("write ")] == []


def local(host: str) -> bool:
    """An address of this machine, or a socket in its file system."""
    if host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "None")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("checklist", LISTS)
def test_no_program_that_it_starts_leaves_the_machine_either(made: World, checklist: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=connect,sendto,openat"
    before = ("strace", "-f", "-qq", "-e", calls, "-o", str(trace), sys.executable, "-B", "-m", "captain")
    done = captain(made, f"traced-{Path(checklist).stem}", "check", checklist, "-q", before=before)
    lines = trace.read_text(errors="replace") if trace.is_file() else ""
    if "ptrace" in done.stderr or not lines:
        pytest.skip("this machine does not let strace look")
    asked = re.findall(r'sin6?_addr=inet_(?:addr\("|pton\(AF_INET6, ")([^"]+)"|inet_pton\(AF_INET6, "([^"]+)"', lines)
    hosts = {one or other for one, other in asked}
    assert "127.0.0.1" in hosts, "strace saw nothing"
    assert [host for host in hosts if not ip_address(host).is_loopback] == []
    written = {path for path in WRITES.findall(lines) if not path.startswith(HARMLESS)}
    assert any(path.startswith(str(made.folder)) for path in written), "strace saw nothing"
    assert [path for path in written if not path.startswith(f"{made.folder}/")] == []


def test_the_guard_sees_what_is_written_elsewhere(made: World, tmp_path: Path) -> None:
    notes, elsewhere = tmp_path / "notes", tmp_path / "elsewhere"
    before = (sys.executable, str(GUARD), str(notes), str(made.folder))
    captain(made, str(elsewhere), "check", OWN, "--step", "doc.arch", before=before)
    assert f"write {elsewhere / 'log.sqlite'}" in notes.read_text()


def test_the_repository_is_as_clean_after_it_as_before(made: World) -> None:
    captain(made, "clean", "check", OWN, "-q")
    done = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=made.root,
        env={"PATH": os.environ["PATH"], "HOME": str(made.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""


def test_secrets_of_whoever_plays_it_are_not_taken_along(monkeypatch: pytest.MonkeyPatch, made: World) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "GITHUB_TOKEN_FILE", "DOCKER_HOST"):
        monkeypatch.setenv(name, "mine")
    assert "mine" not in made.environ().values()
