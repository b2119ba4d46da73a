"""Programs that captain waits for: bounded, without a terminal, and gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.effects.environ import action_environ, find_program, probe_environ
from captain.effects.program import Finished, Kept, run_program
from captain.errors import ProgramError
from captain.systems.backups.pipe import Closed, FromProgram, ToProgram

ENV = {"PATH": os.environ["PATH"]}
LONG = timedelta(seconds=20)
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def until(condition: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


async def python(code: str, tmp_path: Path, timeout: timedelta = LONG, limit: int = 1 << 20) -> Finished:
    return await run_program([sys.executable, "-c", code], cwd=tmp_path, env=ENV, timeout=timeout, limit=limit)


async def test_a_program_says_how_it_ended_and_what_it_wrote(tmp_path: Path) -> None:
    done = await python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (done.exit_code, done.signal, done.timed_out) == (3, None, False)
    assert (done.stdout, done.stderr, done.truncated) == (b"out\n", b"err\n", False)
    assert done.duration > timedelta(0)


async def test_what_is_given_on_stdin_arrives(tmp_path: Path) -> None:
    done = await run_program(["cat"], cwd=tmp_path, env=ENV, timeout=LONG, stdin=b"x" * 300_000)
    assert done.stdout == b"x" * 300_000


async def test_an_argument_stays_one_argument(tmp_path: Path) -> None:
    hostile = "$(touch pwned); `id` && * ' \" \n"
    done = await run_program(["printf", "%s", hostile], cwd=tmp_path, env=ENV, timeout=LONG)
    assert done.stdout.decode() == hostile
    assert list(tmp_path.iterdir()) == []


async def test_row_20_a_signal_is_shown_as_a_signal(tmp_path: Path) -> None:
    done = await python("import os; os.kill(os.getpid(), 9)", tmp_path)
    assert (done.exit_code, done.signal, done.timed_out) == (None, "SIGKILL", False)


async def test_row_20_an_exit_code_is_what_the_kernel_reports(tmp_path: Path) -> None:
    assert (await python("print('FAILED'); raise SystemExit(0)", tmp_path)).exit_code == 0
    assert (await python("raise SystemExit(256 + 7)", tmp_path)).exit_code == 7


async def test_row_17_a_hundred_megabytes_are_bounded(tmp_path: Path) -> None:
    code = "import sys\nfor i in range(100): sys.stdout.buffer.write(b'%03d' % i + b'x' * 999_997)"
    done = await python(code, tmp_path)
    assert done.exit_code == 0
    assert done.truncated
    assert len(done.stdout) < (1 << 20) + 100
    assert done.stdout.startswith(b"000xxx")
    assert done.stdout.endswith(b"x")
    assert f"{100_000_000 - (1 << 20)} bytes left out".encode() in done.stdout


async def test_row_17_endless_binary_output_ends_at_the_deadline(tmp_path: Path) -> None:
    done = await run_program(["cat", "/dev/zero"], cwd=tmp_path, env=ENV, timeout=timedelta(seconds=0.3))
    assert done.timed_out
    assert done.truncated


async def test_row_18_a_program_that_ignores_term_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    done = await python(code, tmp_path, timedelta(seconds=0.5))
    assert (done.timed_out, done.exit_code, done.signal) == (True, None, "SIGKILL")


async def test_row_18_a_stopped_program_ends(tmp_path: Path) -> None:
    done = await python("import os; os.kill(os.getpid(), 19)", tmp_path, timedelta(seconds=0.3))
    assert done.timed_out


DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1], 'w').write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
while not os.path.exists(sys.argv[1]) or not os.path.getsize(sys.argv[1]): time.sleep(0.01)
print('started', flush=True)
"""


@linux
@pytest.mark.parametrize("then", ["", "time.sleep(60)"])
async def test_row_18_a_double_forked_daemon_neither_hangs_captain_nor_outlives_it(tmp_path: Path, then: str) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    done = await run_program(
        [sys.executable, "-c", DAEMON + then, str(pid_file)], cwd=tmp_path, env=ENV, timeout=timedelta(seconds=2)
    )
    assert done.stdout == b"started\n"
    assert done.timed_out == bool(then)
    assert until(lambda: gone(int(pid_file.read_text())))
    assert time.monotonic() - began < 30


async def test_row_18_a_background_job_is_ended_with_its_parent(tmp_path: Path) -> None:
    done = await run_program(["sh", "-c", "sleep 60 & echo $!"], cwd=tmp_path, env=ENV, timeout=LONG)
    assert done.exit_code == 0
    assert until(lambda: gone(int(done.stdout)))


async def test_a_program_may_stand_between_two_pipes_of_the_caller(tmp_path: Path) -> None:
    to, fro = ToProgram(), FromProgram()
    sent = os.urandom(300_000)
    came = bytearray()

    async def write() -> None:
        for at in range(0, len(sent), 70_000):
            await to.write(sent[at : at + 70_000])
        to.close()

    async def read() -> None:
        async for data in fro.chunks():
            came.extend(data)

    going = run_program(["cat"], cwd=tmp_path, env=ENV, timeout=LONG, stdin=to.end, stdout=fro.end)
    done, _, _ = await asyncio.gather(going, write(), read())
    fro.close()
    assert done.exit_code == 0 and came == sent


async def test_a_program_that_stops_reading_or_cannot_start_closes_its_ends(tmp_path: Path) -> None:
    for argv in (["true"], ["no-such-program-here"]):
        to = ToProgram()
        with contextlib.suppress(ProgramError):
            await run_program(argv, cwd=tmp_path, env=ENV, timeout=LONG, stdin=to.end)
        with pytest.raises(Closed):
            await to.write(b"x" * 300_000)
        to.close()


async def test_row_19_there_is_no_stdin_and_no_terminal(tmp_path: Path) -> None:
    code = "import sys; print(repr(sys.stdin.read()))\ntry: open('/dev/tty')\nexcept OSError: print('no tty')"
    assert (await python(code, tmp_path)).stdout == b"''\nno tty\n"


async def test_row_68_cancelling_takes_less_than_a_second_and_leaves_nothing(tmp_path: Path) -> None:
    code = "import os, signal, time; signal.signal(15, signal.SIG_IGN); open('pid','w').write(str(os.getpid()))"
    task = asyncio.create_task(python(code + "; time.sleep(60)", tmp_path))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 3
    assert until(lambda: gone(int((tmp_path / "pid").read_text())))


async def test_row_68_many_hanging_programs_end_together(tmp_path: Path) -> None:
    tasks = [run_program(["sleep", "60"], cwd=tmp_path, env=ENV, timeout=timedelta(seconds=0.3)) for _ in range(30)]
    began = time.monotonic()
    assert all(done.timed_out and done.signal == "SIGTERM" for done in await asyncio.gather(*tasks))
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["no-such-program-anywhere"], "is in no folder of PATH"),
        (["./missing"], "is not there"),
        (["./plain"], "is not executable"),
        (["./folder"], "is not a file"),
        (["./broken"], "interpreter"),
        (["./headless"], "cannot start ./headless"),
        ([], "cannot start"),
        (["a\0b"], "NUL"),
    ],
)
async def test_what_cannot_be_started_is_said_in_a_sentence(tmp_path: Path, argv: list[str], sentence: str) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "folder").mkdir()
    for name, text in (("broken", "#!/no/such/interpreter\n"), ("headless", "\x00\x01 nothing")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ProgramError, match=sentence):
        await run_program(argv, cwd=tmp_path, env=ENV, timeout=LONG)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"folder .*nowhere is not there"):
        await run_program(["true"], cwd=tmp_path / "nowhere", env=ENV, timeout=LONG)


async def test_row_64_a_program_in_the_current_folder_is_not_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "git-of-mine").write_text("#!/bin/sh\necho pwned\n")
    (tmp_path / "git-of-mine").chmod(0o755)
    for path in (".", "", ":", f".:{os.environ['PATH']}", "bin:."):
        with pytest.raises(ProgramError, match="no folder of PATH") as caught:
            find_program("git-of-mine", cwd=tmp_path, env={"PATH": path})
        assert "write ./git-of-mine" in str(caught.value.hint)
    assert find_program("./git-of-mine", cwd=tmp_path, env={}) == tmp_path / "git-of-mine"


HOSTILE = {
    "PATH": ".:/usr/bin::bin",
    "HOME": "/home/you",
    "LC_ALL": "C.UTF-8",
    "DOCKER_HOST": "unix:///run/docker.sock",
    "LD_PRELOAD": "/evil.so",
    "LD_LIBRARY_PATH": "/evil",
    "DYLD_INSERT_LIBRARIES": "/evil",
    "PYTHONPATH": "/evil",
    "PYTHONSTARTUP": "/evil.py",
    "GIT_SSH_COMMAND": "evil",
    "DATABASE_URL": "postgres://user:secret@db",
    "TOKEN_FILE": "/run/secrets/token",
    "KUBECONFIG": "/home/you/.kube/config",
}


def test_row_64_a_probe_gets_an_allowlist() -> None:
    assert probe_environ(HOSTILE, {"MODE": "fast"}) == {
        "PATH": "/usr/bin",
        "HOME": "/home/you",
        "LC_ALL": "C.UTF-8",
        "DOCKER_HOST": "unix:///run/docker.sock",
        "MODE": "fast",
    }


def test_row_64_an_action_inherits_what_loads_no_foreign_code_and_is_no_secret() -> None:
    given_env = action_environ(HOSTILE, ["DATABASE_URL", "TOKEN"], {"CAPTAIN_RUN": "shop-1"})
    assert given_env == {
        "PATH": "/usr/bin",
        "HOME": "/home/you",
        "LC_ALL": "C.UTF-8",
        "DOCKER_HOST": "unix:///run/docker.sock",
        "KUBECONFIG": "/home/you/.kube/config",
        "CAPTAIN_RUN": "shop-1",
    }


def test_a_file_may_give_a_program_what_is_not_inherited() -> None:
    env = action_environ(HOSTILE, ["DATABASE_URL"], {"DATABASE_URL": "given", "PYTHONPATH": "lib"})
    assert (env["DATABASE_URL"], env["PYTHONPATH"]) == ("given", "lib")


async def test_the_program_sees_just_that_environment(tmp_path: Path) -> None:
    done = await run_program(["env"], cwd=tmp_path, env={**probe_environ(HOSTILE), "A": "b"}, timeout=LONG)
    names = {line.partition("=")[0] for line in done.stdout.decode().splitlines()}
    assert names <= {"PATH", "HOME", "LC_ALL", "DOCKER_HOST", "A", "CAPTAIN_PROGRAM", "PWD", "_"}


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(2, 50))
def test_whatever_the_chunks_the_first_and_last_half_are_kept(chunks: list[bytes], limit: int) -> None:
    kept = Kept(limit)
    for chunk in chunks:
        kept.feed(chunk)
    whole = b"".join(chunks)
    half = limit // 2
    assert kept.dropped == max(len(whole) - 2 * half, 0)
    if not kept.dropped:
        assert kept.text() == whole
    else:
        assert kept.text().startswith(whole[:half])
        assert kept.text().endswith(whole[-half:])
