"""The window with captain in it is closed while it holds an environment's lock: the next one can take it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.requirements import need
from tests.shop import Shop

ROOT = Path(__file__).parents[2]
NUMBERS = itertools.count()
WITHIN = 10.0


@pytest.fixture
async def shop(tmp_path: Path) -> Shop:
    """A release whose deploy section is open and whose lock nobody holds."""
    world = Shop(tmp_path / "shop")
    engine = world.engine()
    await engine.open("1.6.0")
    request = engine.trust()
    assert request is not None
    await engine.accept(request.digest)
    await engine.measure("healthy-before")
    await engine.sign("on-call-told", "approve")
    await engine.gate("pre", "go")
    await engine.close()
    return world


@pytest.fixture
def environ(shop: Shop, tmp_path: Path) -> dict[str, str]:
    return {
        **shop.environ,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "CAPTAIN_LOG": str(shop.settings.log),
        "CAPTAIN_AS": "karen@example.com",
    }


@pytest.fixture
def tmux(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., str]]:
    need("tmux", None if shutil.which("tmux") else "tmux is not installed")
    # A socket name of its own: the sessions of whoever runs the tests are nobody's business here.
    name = f"captain-killed-{os.getpid()}-{next(NUMBERS)}"

    def run(*arguments: str) -> str:
        asked = ["tmux", "-L", name, *arguments]
        return subprocess.run(asked, env=environ, capture_output=True, text=True, check=False).stdout

    yield run
    run("kill-server")


def shown(tmux: Callable[..., str], text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in (screen := tmux("capture-pane", "-t", "walk", "-p")):
        assert time.monotonic() < deadline, screen
        time.sleep(0.05)


def walking(tmux: Callable[..., str], environ: dict[str, str], root: Path) -> int:
    """captain in a session, holding the lock; its process id."""
    given = [part for key, value in environ.items() for part in ("-e", f"{key}={value}")]
    walk = f"{sys.executable} -m captain run deploy -r 1.6.0 -e staging -C {root}; read end"
    # A second session keeps the server alive when the first is killed, as other windows do.
    tmux("-f", os.devnull, "new-session", "-d", "-s", "other", "-c", str(root), "sleep", "60")
    tmux("new-session", "-d", "-s", "walk", "-x", "100", "-y", "30", "-c", str(root), *given, "sh", "-c", walk)
    shown(tmux, "lock yours")
    (shell,) = tmux("list-panes", "-t", "walk", "-F", "#{pane_pid}").split()
    return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])


def captain(environ: dict[str, str], root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "captain", *arguments, "-C", str(root)],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def free(environ: dict[str, str], root: Path) -> None:
    """Another captain gives the run up, which needs the lock, before the time is over."""
    deadline = time.monotonic() + WITHIN
    while True:
        done = captain(environ, root, "abort", "shop-staging-1.6.0", "--reason", "the window was closed")
        if done.returncode != 4:
            break
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.2)
    assert done.returncode in (0, 1), done.stderr


@pytest.mark.parametrize("busy", [False, True], ids=["waiting", "frozen"])
def test_a_killed_session_gives_the_lock_back(
    tmux: Callable[..., str], environ: dict[str, str], shop: Shop, busy: bool
) -> None:
    try:
        pid = walking(tmux, environ, shop.root)
        refused = captain(environ, shop.root, "abort", "shop-staging-1.6.0", "--reason", "too early")
        assert refused.returncode == 4 and "held by karen@example.com" in refused.stderr
        if busy:
            # Stopped as with ctrl+z, and then nobody is left who could continue it.
            os.kill(pid, signal.SIGSTOP)
        tmux("kill-session", "-t", "walk")
        if busy:
            os.kill(pid, signal.SIGCONT)
        free(environ, shop.root)
        deadline = time.monotonic() + WITHIN
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline, "captain lives on without a terminal"
            time.sleep(0.05)
        assert [event.data["state"] for event in shop.recorded("run.end")] == ["aborted"]
    finally:
        shop.close()
