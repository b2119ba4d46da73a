"""captain demo --script: the whole story unattended, its verdicts as promised, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from captain.demo import script
from captain.demo.world import world

CAPTAIN = [sys.executable, "-m", "captain"]


def processes(marker: Path) -> list[str]:
    """The command lines of living processes that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(marker) in line:
            found.append(line)
    return found


def start(environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CAPTAIN, "demo", "--script"],
        env=environ,
        cwd=environ["HOME"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One telling, from beginning to end."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "tmp"
    folder.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
    environ["PYTHONPATH"] = str(Path(script.__file__).parents[2])
    done = subprocess.run(
        [*CAPTAIN, "demo", "--script"],
        cwd=home,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done, folder


Told = tuple[subprocess.CompletedProcess[str], Path]


def test_the_story_ends_well_and_says_nothing_on_stderr(told: Told) -> None:
    done, _ = told
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_the_story_goes_there_and_back(told: Told) -> None:
    lines = iter(told[0].stdout.splitlines())
    for part in (
        "shop 1.4.0 runs in production",
        "✓ pass    No uncommitted changes",
        "✓ pass    On-call engineer told",
        "refused: a go without the environment's name",
        "go, with the name production typed",
        "| shop 1.5.0 is live",
        "✓ pass    The expected version answers",
        "✗ FAIL    Checkout works",
        "✗ FAIL    No server errors counted",
        "refused: the last go",
        "R. Back to 1.4.0",
        "| shop 1.4.0 is live",
        "✓ pass    Checkout works",
        "rolled back. 1.4.0 answers again",
        "captain verify: the log is intact",
    ):
        assert any(part in line for line in lines), f"{part!r} is not told, or not in its place:\n{told[0].stdout}"


def test_no_line_is_wider_than_a_hundred_columns(told: Told) -> None:
    assert [line for line in told[0].stdout.splitlines() if len(line) > 100] == []
    assert "\x1b" not in told[0].stdout


def test_nothing_is_left_behind(told: Told) -> None:
    _, folder = told
    assert list(folder.iterdir()) == []
    assert processes(folder) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tmp"]


@pytest.mark.parametrize(
    ("number", "code", "moment"),
    [
        ("INT", 130, "Pre-deployment"),
        ("INT", 130, "    | pulling"),
        ("TERM", 143, "    | pulling"),
        ("HUP", 129, "R. "),
    ],
)
def test_ending_it_in_the_middle_leaves_nothing_behind(
    environ: dict[str, str], tmp: Path, number: str, code: int, moment: str
) -> None:
    """Also while the deploy runs, which elsewhere outlives captain."""
    process = start(environ)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(moment):
            break
    assert len(list(tmp.iterdir())) == 1
    process.send_signal(getattr(signal, f"SIG{number}"))
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in said
    assert list(tmp.iterdir()) == []
    assert processes(tmp) == []


def test_nobody_has_to_wait_for_a_reader_who_left(environ: dict[str, str], tmp: Path) -> None:
    process = start(environ)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) != 0
    assert "Traceback" not in said
    assert list(tmp.iterdir()) == []
    assert processes(tmp) == []


def test_a_verdict_that_does_not_come_out_is_said_and_is_no_success(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop's new version is not broken this time: the story is not what it promises."""
    import asyncio

    monkeypatch.setattr("tempfile.tempdir", str(tmp))
    monkeypatch.setattr("captain.demo.server.NEW", "never")
    said: list[str] = []
    with world() as made:
        assert asyncio.run(script.Story(made, said.append).tell()) is False
    assert any("unexpected: checkout-works is pass, not fail" in line for line in said), said
    assert list(tmp.iterdir()) == []


def test_the_demo_needs_git_and_says_so(environ: dict[str, str], tmp: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*CAPTAIN, "demo", "--script"],
        env=environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "the demo needs git" in done.stderr and "apt install git" in done.stderr
    assert list(tmp.iterdir()) == []


def test_git_settings_of_the_user_play_no_part(environ: dict[str, str], tmp: Path, tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text(
        "[commit]\n gpgSign = true\n[init]\n templateDir = /nonexistent\n[core]\n hooksPath = /bin\n"
    )
    from captain.demo.world import _git

    with world() as made:
        _git(made.root, "status")
        assert (made.root / ".git").is_dir()
