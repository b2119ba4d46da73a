"""The README tells the truth: its tables come from the code, its files lint, its commands run.

`CAPTAIN_WRITE_README=1 pytest tests/test_readme.py` writes the tables anew.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from captain.commands import VERBS
from captain.diagnostics import ExitCode
from captain.loader import lint
from captain.loader.wording import summary
from captain.probes import probes
from captain.rollbacks import strategies
from tests.git_repo import ENVIRON, Repo
from tests.scaffold.repositories import SERVICE, make

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
WRITE = os.environ.get("CAPTAIN_WRITE_README") == "1"


def table(*rows: tuple[str, ...]) -> str:
    head, *rest = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *rest])


def kinds() -> str:
    rows = [("kind", "question", "no answer", "more than reading")]
    for name in probes.names():
        cls = probes.find(name)
        assert cls is not None
        rows.append((f"`{name}`", summary(cls), cls.on_error, cls.more_than_reading or "never"))
    return table(*rows)


def strategy_table() -> str:
    found = [(name, strategies.find(name)) for name in strategies.names()]
    return table(("strategy", "what it does"), *((f"`{name}`", summary(cls)) for name, cls in found if cls is not None))


def commands() -> str:
    return table(("command", "what it does"), *((f"`captain {verb}`", line) for verb, line in VERBS.items()))


def first_score(folder: Path) -> str:
    """What `captain init` says in a clone of a Django and Next.js service, on a machine without Docker."""
    origin, clone = make(folder / "origin" / "shop", SERVICE), folder / "shop"
    Repo(folder).git("clone", "--quiet", str(origin), str(clone))
    socket = f"unix://{folder}/none.sock"
    own = {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state"), "DOCKER_HOST": socket, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-u", "-m", "captain", "init"],
        cwd=clone,
        env={**ENVIRON, **own},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    said = done.stdout.replace(socket, "unix:///var/run/docker.sock")
    return f"```console\n$ git clone https://git.example.com/shop.git && cd shop && captain init\n{said}```"


BLOCKS: dict[str, Callable[[Path], str]] = {
    "kinds": lambda _: kinds(),
    "strategies": lambda _: strategy_table(),
    "commands": lambda _: commands(),
    "first score": first_score,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_what_the_code_says(name: str, tmp_path: Path) -> None:
    pattern = re.compile(rf"(<!-- {name}: begin [^>]*-->\n)(.*?)(<!-- {name}: end -->)", re.DOTALL)
    text = README.read_text(encoding="utf-8")
    found = pattern.search(text)
    assert found is not None, f"README.md has no block {name}"
    now = BLOCKS[name](tmp_path) + "\n"
    if WRITE:
        README.write_text(pattern.sub(lambda match: match[1] + now + match[3], text), encoding="utf-8")
        return
    assert found[2] == now, f"the block {name} is stale: CAPTAIN_WRITE_README=1 pytest tests/test_readme.py"


def test_every_file_and_picture_it_points_at_is_there() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert any(target.startswith("screenshots/") for target in targets), "no picture"
    assert [one for one in targets if "://" not in one and not (ROOT / one).is_file()] == []


def test_what_comes_first_fits_a_screen_and_says_what_people_ask_first() -> None:
    first = TEXT.partition("\n## ")[0]
    places = [first.index(part) for part in ("screenshots/", "captain demo", "captain init", "exit code", "musl")]
    assert places == sorted(places)
    assert len(first.splitlines()) < 50


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| ", TEXT.partition("## A checklist")[0], re.MULTILINE)
    assert {int(code) for row in rows for code in row.split(",")} == {int(code) for code in ExitCode}


def test_it_names_the_python_and_the_environment_variables_that_are_true() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11" and "Python 3.11 or newer" in TEXT
    assert project["readme"] == "README.md"


def test_the_example_checklist_lints(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "captain.yaml").write_text(
        "service: shop\nenvironments: { production: { protected: true } }\nchecklists: [deploy.yaml]\n"
        "people: { karen@example.com: [captain] }\n"
    )
    (tmp_path / "deploy.yaml").write_text(example)
    (tmp_path / "deploy.sh").write_text("#!/bin/sh\n")
    assert [str(problem) for problem in lint(cwd=tmp_path)] == []


def promised() -> list[str]:
    """Every command of the README's console blocks, split where `&&` joins several."""
    told = re.sub(r"(<!-- first score: begin [^\n]*\n```console\n\$ [^\n]*\n).*?```", r"\1```", TEXT, flags=re.DOTALL)
    lines = [line for block in re.findall(r"```console\n(.*?)```", told, re.DOTALL) for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [part.strip() for line in lines for part in line[2:].partition(" #")[0].split("&&")]


ELSEWHERE = {
    ".venv/bin/pip install -q .": "tests/test_packaging.py installs the wheel; the libraries come over the network",
    ".venv/bin/pip install -q -e '.[dev]'": "this very environment",
    "pip install -e '.[dev]'": "this very environment",
    ".venv/bin/pytest -q": "this very run",
    "pytest -q": "this very run",
    ".venv/bin/captain demo": "tests/demo/test_demo_screen.py drives it by keys",
    "ruff check .": "a step of .ci/run",
    "ruff format --check .": "a step of .ci/run",
    "mypy": "a step of .ci/run",
    "lint-imports": "tests/test_contracts.py, and a step of .ci/run",
    "git clone https://git.example.com/shop.git": "the block says what came of it",
    "cd shop": "the block says what came of it",
}
"""Commands that another test runs, or that would run this one again."""

OWN_SERVICE = {
    "captain init": 0,
    "captain lint": 0,
    "captain check deploy -e production --phase pre": 4,
    "captain run deploy -r 1.4.0 -e production": 4,
    "captain check readiness -e staging": 4,
    "captain score -e staging": 1,
    "captain run readiness -e staging": 4,
    "captain check readiness -e staging --format github --report sarif=captain.sarif --report tap=captain.tap": 4,
}
"""Commands for a repository, with the exit code of a first call in a repository whose people signed nothing yet."""


def test_every_command_is_run_by_a_test() -> None:
    here = {"python3 -m venv .venv"}
    assert [one for one in promised() if one not in {*here, *ELSEWHERE, *OWN_SERVICE}] == []
    assert {*ELSEWHERE, *OWN_SERVICE, *here} <= {*promised()}


def test_the_commands_for_your_own_service_run_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    repo = Repo(folder)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    script = bin_folder / "captain"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m captain "$@"\n')
    script.chmod(0o755)
    environ = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }
    for command in dict.fromkeys(one for one in promised() if one in OWN_SERVICE):
        if command.startswith("captain run"):
            code, said = on_a_terminal(command, folder, environ)
        else:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            code, said = done.returncode, done.stdout + done.stderr
        assert code == OWN_SERVICE[command], f"{command}: {said}"
        if command == "captain init":
            repo.git("add", "--all")
            repo.git("commit", "--quiet", "--message", "captain")


def on_a_terminal(command: str, folder: Path, environ: dict[str, str]) -> tuple[int, str]:
    """Start a command that draws, press q once the run is there, and return its exit code and what it drew."""
    there = b"Documentation" if "readiness" in command else b"No uncommitted changes"
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        cwd=folder,
        env=environ,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    seen, deadline, pressed = b"", time.monotonic() + 30, 0.0
    try:
        while time.monotonic() < deadline:
            if select.select([leader], [], [], 0.1)[0]:
                try:
                    seen += os.read(leader, 65536)
                except OSError:
                    break
            if there in seen and time.monotonic() - pressed > 2:
                os.write(leader, b"q")
                pressed = time.monotonic()
        return process.wait(timeout=10), seen.decode("utf-8", "replace")
    finally:
        process.kill()
        process.wait()
        os.close(leader)


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy", "lint-imports"])
def test_the_commands_for_developers_are_steps_of_every_change(command: str) -> None:
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert f".venv/bin/{command}" in steps


def test_a_virtual_environment_is_made_as_written(tmp_path: Path) -> None:
    assert "python3 -m venv .venv" in promised()
    python = Path(sys.executable).resolve()
    subprocess.run([python, "-m", "venv", "--without-pip", ".venv"], cwd=tmp_path, check=True)
    assert (tmp_path / ".venv" / "bin" / "python").exists()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "SECURITY.md"])
def test_no_line_is_wider_than_the_code(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 125 and not line.startswith(("|", "!["))] == []


def test_the_changelog_names_every_kind_and_strategy() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [name for name in (*probes.names(), *strategies.names()) if f"`{name}`" not in changes] == []
