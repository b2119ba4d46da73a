"""An action outlives captain, is started at most once, and its outcome is known afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.effects import attempt
from captain.effects.attempt import Absent, Alive, Done, Lost, Prepared, bar, prepare, remove, start, state, stop, wait
from captain.effects.outcome import read
from captain.effects.output import output, tail
from captain.errors import ProgramError

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a subreaper")
SH = "/bin/sh"
PYTHON = sys.executable


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.01)
    return condition()


async def finished(directory: Path) -> Done:
    seen = await wait(directory, every=0.02)
    assert isinstance(seen, Done), (seen, (directory / "shim.log").read_text())
    return seen


def number(path: Path) -> int:
    return int(path.read_text())


# --- the life of an attempt ------------------------------------------------------------------------------------------


async def test_an_attempt_goes_from_absent_to_done_and_can_be_removed(attempts: Any, tmp_path: Path) -> None:
    assert state(tmp_path / "attempts" / "a0") == Absent()
    directory = attempts.new(SH, "-c", "echo hello; echo oops >&2; sleep 0.2; exit 3")
    assert state(directory) == Prepared()
    started = await start(directory)
    assert started.pid is not None
    seen = state(directory)
    assert isinstance(seen, Alive)
    assert (seen.pid, seen.starttime, seen.boot, seen.supervised) == (*_identity(started), True)
    with pytest.raises(ProgramError, match="still runs"):
        remove(directory)
    done = await finished(directory)
    assert (done.outcome, done.exit_code, done.signal, done.survivors) == ("exited", 3, None, ())
    assert done.duration >= timedelta(milliseconds=100)
    assert output(directory, "stdout").text == b"hello\n"
    assert output(directory, "stderr").text == b"oops\n"
    remove(directory)
    assert state(directory) == Absent()


def _identity(started: attempt.Started) -> tuple[int | None, int | None, str]:
    return started.pid, started.starttime, started.boot


async def test_everything_on_disk_is_private_and_the_environment_does_not_stay(attempts: Any) -> None:
    directory = attempts.new(SH, "-c", 'echo "${#TOKEN}"', env={"TOKEN": "s3cr3t-value"})
    assert stat.S_IMODE((directory / "spec.json").stat().st_mode) == 0o600
    await start(directory)
    await finished(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert not (directory / "spec.json").exists()
    assert b"s3cr3t-value" not in b"".join(path.read_bytes() for path in directory.iterdir())
    assert output(directory, "stdout").text == b"12\n"


async def test_the_program_gets_its_arguments_folder_environment_and_the_users_umask(
    attempts: Any, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), sorted(os.environ)); open('made', 'w')"
    directory = attempts.new(PYTHON, "-c", code, "$(x) ü", "--", env={"A": "b"}, cwd=tmp_path / "work")
    old = os.umask(0o022)
    try:
        await start(directory)
    finally:
        os.umask(old)
    await finished(directory)
    shown = output(directory, "stdout").text.decode()
    assert shown.startswith(f"['$(x) ü', '--'] {tmp_path / 'work'} ['A'")
    assert stat.S_IMODE((tmp_path / "work" / "made").stat().st_mode) == 0o644


@pytest.mark.parametrize(("program", "code"), [("/no/such/program", 127), ("PLAIN", 126)])
async def test_what_cannot_be_executed_is_a_known_outcome(
    attempts: Any, tmp_path: Path, program: str, code: int
) -> None:
    (tmp_path / "plain").write_text("")
    directory = attempts.new(program.replace("PLAIN", str(tmp_path / "plain")))
    started = await start(directory)
    assert started.pid is None
    done = await finished(directory)
    assert (done.outcome, done.exit_code) == ("exited", code)
    assert done.error is not None and "cannot start" in done.error


async def test_a_prepared_directory_is_never_prepared_or_started_again(attempts: Any, tmp_path: Path) -> None:
    directory = attempts.new(SH, "-c", "echo x >> counter")
    with pytest.raises(ProgramError, match="exists already"):
        prepare(directory, attempt.Spec((SH,), tmp_path, {}, timedelta(seconds=1)))
    await start(directory)
    await finished(directory)
    with pytest.raises(ProgramError, match="never started twice"):
        await start(directory)
    assert (tmp_path / "counter").read_text() == "x\n"


async def test_two_captains_that_start_the_same_attempt_at_once_start_it_once(attempts: Any, tmp_path: Path) -> None:
    directory = attempts.new(SH, "-c", "echo x >> counter; sleep 0.3")
    both = await asyncio.gather(start(directory), start(directory), return_exceptions=True)
    assert len({one.pid for one in both if isinstance(one, attempt.Started)}) == 1
    await finished(directory)
    assert (tmp_path / "counter").read_text() == "x\n"


async def test_a_barred_attempt_is_provably_not_started(attempts: Any, tmp_path: Path) -> None:
    directory = attempts.new(SH, "-c", "echo x >> counter", env={"TOKEN": "s3cr3t"})
    assert bar(directory)
    assert state(directory) == Absent()
    assert not (directory / "spec.json").exists()
    assert not bar(directory)
    with pytest.raises(ProgramError):
        await start(directory)
    assert not (tmp_path / "counter").exists()


async def test_a_relative_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="absolute"):
        prepare(tmp_path / "a", attempt.Spec(("sh",), tmp_path, {}, timedelta(seconds=1)))
    assert not (tmp_path / "a").exists()


# --- ends ------------------------------------------------------------------------------------------------------------


async def test_row_20_killed_by_a_signal_is_not_an_exit_code(attempts: Any) -> None:
    directory = attempts.new(SH, "-c", "kill -9 $$")
    await start(directory)
    done = await finished(directory)
    assert (done.outcome, done.exit_code, done.signal) == ("signalled", None, "SIGKILL")


async def test_the_deadline_is_kept_by_the_shim(attempts: Any) -> None:
    directory = attempts.new("/bin/sleep", "60", timeout=0.2)
    await start(directory)
    done = await finished(directory)
    assert (done.outcome, done.signal, done.survivors) == ("timed_out", "SIGTERM", ())


async def test_a_program_that_answers_term_with_an_exit_still_timed_out(attempts: Any) -> None:
    directory = attempts.new(SH, "-c", "trap 'echo cleaned; exit 0' TERM; while :; do sleep 0.05; done", timeout=0.3)
    await start(directory)
    done = await finished(directory)
    assert (done.outcome, done.exit_code) == ("timed_out", 0)
    assert output(directory, "stdout").text == b"cleaned\n"


async def test_stopping_ends_the_whole_tree(attempts: Any) -> None:
    directory = attempts.new(SH, "-c", "sleep 60 & echo $!; wait")
    await start(directory)
    assert await until(lambda: bool(tail(directory, "stdout", 0).data))
    done = await stop(directory)
    assert isinstance(done, Done)
    assert done.outcome == "cancelled"
    assert gone(int(output(directory, "stdout").text))


async def test_a_stop_that_comes_first_starts_nothing(attempts: Any, tmp_path: Path) -> None:
    directory = attempts.new(SH, "-c", "echo x >> counter")
    attempt.request_stop(directory)
    await start(directory)
    assert (await finished(directory)).outcome == "cancelled"
    assert not (tmp_path / "counter").exists()


async def test_term_to_the_shim_ends_the_tree(attempts: Any) -> None:
    directory = attempts.new("/bin/sleep", "60")
    started = await start(directory)
    os.kill((read(directory, "started") or {})["shim"], signal.SIGTERM)
    assert (await finished(directory)).outcome == "cancelled"
    assert started.pid is not None
    assert gone(started.pid)


async def test_row_18_a_program_that_ignores_term_is_killed_after_the_grace(attempts: Any) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    directory = attempts.new(PYTHON, "-c", code, grace=0.2)
    await start(directory)
    assert await until(lambda: bool(tail(directory, "stdout", 0).data))
    attempt.request_stop(directory)
    done = await finished(directory)
    assert (done.outcome, done.signal, done.survivors) == ("cancelled", "SIGKILL", ())


async def test_row_18_a_stopped_program_ends(attempts: Any) -> None:
    directory = attempts.new(PYTHON, "-c", "import os; os.kill(os.getpid(), 19)", timeout=0.3)
    await start(directory)
    done = await finished(directory)
    assert (done.outcome, done.signal) == ("timed_out", "SIGTERM")


DETACH = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if sys.argv[2] == "daemon" and os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.argv[2] == "bomb":
        for _ in range(8):
            os.fork()
    if os.path.exists(sys.argv[1]): time.sleep(60)
    with open(sys.argv[1], "w") as file: file.write(str(os.getpid()))
    for _ in range(600):
        print("tick", flush=True)
        time.sleep(0.1)
    os._exit(0)
while not os.path.exists(sys.argv[1]) or not os.path.getsize(sys.argv[1]): time.sleep(0.01)
"""


@linux
@pytest.mark.parametrize("how", ["setsid", "daemon", "bomb"])
async def test_row_18_nothing_escapes_the_sweep(attempts: Any, tmp_path: Path, how: str) -> None:
    pid_file = tmp_path / "pid"
    directory = attempts.new(PYTHON, "-c", DETACH + "time.sleep(60)", str(pid_file), how, grace=0.3)
    await start(directory)
    assert await until(lambda: pid_file.exists() and bool(pid_file.read_text()))
    attempt.request_stop(directory)
    done = await finished(directory)
    assert (done.outcome, done.survivors) == ("cancelled", ())
    assert gone(number(pid_file))


@linux
async def test_row_18_what_a_deploy_leaves_running_is_named_and_lives_on(attempts: Any, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    directory = attempts.new(PYTHON, "-c", DETACH, str(pid_file), "daemon")
    await start(directory)
    done = await finished(directory)
    daemon = number(pid_file)
    assert (done.outcome, done.exit_code) == ("exited", 0)
    assert any(f"(pid {daemon})" in name for name in done.survivors)
    # It goes on writing into a pipe: somebody must still read it, or the next line kills it.
    await asyncio.sleep(0.4)
    assert not gone(daemon)
    shim = (read(directory, "started") or {})["shim"]
    os.kill(daemon, signal.SIGKILL)
    assert await until(lambda: gone(shim))


async def test_row_19_there_is_no_stdin_and_no_terminal(attempts: Any) -> None:
    code = "import sys; print(repr(sys.stdin.read()))\ntry: open('/dev/tty')\nexcept OSError: print('no tty')"
    directory = attempts.new(PYTHON, "-c", code)
    await start(directory)
    await finished(directory)
    assert output(directory, "stdout").text == b"''\nno tty\n"


# --- output ----------------------------------------------------------------------------------------------------------

MIB = 1 << 20


async def test_row_17_a_hundred_megabytes_are_bounded_and_the_ends_are_kept(attempts: Any) -> None:
    code = "import sys\nfor i in range(100): sys.stdout.buffer.write(b'%03d' % i + b'x' * 999_996 + b'\\n')"
    directory = attempts.new(PYTHON, "-c", code)
    await start(directory)
    done = await finished(directory)
    assert (done.exit_code, done.truncated) == (0, True)
    assert sum(path.stat().st_size for path in directory.iterdir()) <= 3 * MIB + 8192
    kept = output(directory, "stdout")
    assert (len(kept.head), len(kept.tail), kept.dropped) == (MIB, MIB, 100_000_000 - 2 * MIB)
    assert kept.head.startswith(b"000x")
    assert b"\n099xxx" in kept.tail
    assert f"{kept.dropped} bytes left out".encode() in kept.text


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 3 * MIB, 3 * MIB + 5])
async def test_output_of_any_size_is_whole_up_to_two_mebibytes(attempts: Any, size: int) -> None:
    directory = attempts.new(SH, "-c", f"yes 0123456789 | head -c {size}")
    await start(directory)
    done = await finished(directory)
    whole = (b"0123456789\n" * (size // 11 + 1))[:size]
    kept = output(directory, "stdout")
    assert kept.dropped == max(size - 2 * MIB, 0)
    assert done.truncated == (kept.dropped > 0)
    assert kept.head + kept.tail == (whole if not kept.dropped else whole[:MIB] + whole[-MIB:])


async def test_output_can_be_followed_while_it_grows(attempts: Any) -> None:
    script = "for i in 1 2 3; do echo line $i; sleep 0.1; done"
    directory = attempts.new(SH, "-c", script)
    await start(directory)
    read_so_far, offset = b"", 0
    while isinstance(state(directory), Alive):
        chunk = tail(directory, "stdout", offset)
        read_so_far, offset = read_so_far + chunk.data, chunk.offset
        assert chunk.skipped == 0
        await asyncio.sleep(0.02)
    assert read_so_far + tail(directory, "stdout", offset).data == b"line 1\nline 2\nline 3\n"


async def test_a_late_follower_skips_what_is_gone(attempts: Any) -> None:
    directory = attempts.new(SH, "-c", f"yes 0123456789 | head -c {5 * MIB + 100}")
    await start(directory)
    await finished(directory)
    got, offset, skipped = 0, 0, 0
    while (chunk := tail(directory, "stdout", offset)).data:
        got, offset, skipped = got + len(chunk.data), chunk.offset, skipped + chunk.skipped
    assert (offset, got + skipped) == (5 * MIB + 100, 5 * MIB + 100)
    assert got == 2 * MIB + 100
    assert tail(directory, "stdout", offset) == type(chunk)(b"", offset, 0)
    assert tail(directory, "stderr", 0).data == b""


# --- crashes ---------------------------------------------------------------------------------------------------------

CAPTAIN = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from captain.effects import attempt
directory = Path(sys.argv[1])
spec = attempt.Spec(("/bin/sh", "-c", "echo x >> counter; sleep 0.1; echo done >> counter; exit 7"),
                    Path(sys.argv[2]), {}, timedelta(seconds=20))
async def main():
    print("up", flush=True)
    attempt.prepare(directory, spec)
    await attempt.start(directory)
    print("started", flush=True)
    await attempt.wait(directory)
asyncio.run(main())
"""


@linux
async def test_killing_captain_at_any_moment_starts_the_effect_at_most_once_and_loses_no_outcome(
    tmp_path: Path,
) -> None:
    dice = random.Random(4711)
    signals = (signal.SIGKILL, signal.SIGKILL, signal.SIGHUP, signal.SIGTERM)
    gate = asyncio.Semaphore(4)

    async def one(at: int, pause: float | None, number: signal.Signals) -> str:
        work = tmp_path / f"work{at}"
        work.mkdir()
        directory = tmp_path / f"state{at}" / "attempt"
        async with gate:
            argv = [PYTHON, "-c", CAPTAIN, str(directory), str(work)]
            captain = await asyncio.create_subprocess_exec(
                *argv, stdout=subprocess.PIPE, cwd=Path(attempt.__file__).parents[2]
            )
            assert captain.stdout is not None
            await captain.stdout.readline()
            if pause is None:
                await captain.stdout.readline()
            else:
                await asyncio.sleep(pause)
            captain.send_signal(number)
            await captain.communicate()
            seen = state(directory)
            if isinstance(seen, Prepared) and bar(directory):
                await asyncio.sleep(0.3)  # a shim on its way finds itself barred
                assert state(directory) == Absent()
            seen = await wait(directory, every=0.02)
        counter = work / "counter"
        lines = counter.read_text().split() if counter.exists() else []
        if isinstance(seen, Absent):
            assert lines == []
            return "absent"
        assert isinstance(seen, Done), (seen, list(directory.iterdir()))
        assert (seen.outcome, seen.exit_code, lines) == ("exited", 7, ["x", "done"])
        return "done"

    pauses = [None, *(dice.uniform(0, 0.16) for _ in range(19))]
    rounds = [one(at, pause, dice.choice(signals)) for at, pause in enumerate(pauses)]
    assert "done" in await asyncio.gather(*rounds)


@linux
async def test_killing_the_shim_makes_the_outcome_unknown_and_nothing_starts_again(
    attempts: Any, tmp_path: Path
) -> None:
    directory = attempts.new(SH, "-c", "echo x >> counter; exec sleep 60")
    started = await start(directory)
    os.kill((read(directory, "started") or {})["shim"], signal.SIGKILL)
    assert await until(lambda: state(directory) == Alive(*_identity(started), supervised=False))
    seen = await stop(directory, grace=timedelta(seconds=2))
    assert isinstance(seen, Lost)
    assert "without an outcome" in seen.why
    assert started.pid is not None and gone(started.pid)
    with pytest.raises(ProgramError):
        await start(directory)
    assert (tmp_path / "counter").read_text() == "x\n"


async def test_after_a_reboot_an_attempt_without_outcome_is_lost(attempts: Any) -> None:
    directory = attempts.new("/bin/sleep", "60")
    await start(directory)
    known = read(directory, "started") or {}
    (directory / "started").write_text(json.dumps({**known, "boot": "another-boot"}))
    seen = state(directory)
    assert isinstance(seen, Lost)
    assert "restarted" in seen.why


async def test_another_process_with_the_same_pid_is_another_process(attempts: Any) -> None:
    directory = attempts.new(SH, "-c", "true")
    await start(directory)
    await finished(directory)
    (directory / "rc").unlink()
    me = {"shim": os.getpid(), "shim_starttime": 1, "boot": (read(directory, "started") or {})["boot"]}
    (directory / "started").write_text(json.dumps(me))
    (directory / "pid").write_text(json.dumps({"pid": os.getpid(), "starttime": 1}))
    assert isinstance(state(directory), Lost)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outcome": "fine"}', '{"outcome": "exited"}', "\x00" * 4096])
async def test_an_outcome_that_cannot_be_read_is_unknown_never_a_success(attempts: Any, text: str) -> None:
    directory = attempts.new(SH, "-c", "true")
    (directory / "rc").write_text(text)
    assert isinstance(state(directory), Lost)


@linux
async def test_a_closed_terminal_does_not_end_the_action(tmp_path: Path) -> None:
    """captain runs in a pty whose master is closed: its whole session gets HUP."""
    import pty

    directory = tmp_path / "state" / "attempt"
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(Path(attempt.__file__).parents[2])
        os.execv(PYTHON, [PYTHON, "-c", CAPTAIN, str(directory), str(tmp_path)])
    seen = b""
    while b"started" not in seen:
        seen += await asyncio.to_thread(os.read, master, 1024)
    os.close(master)
    await asyncio.to_thread(os.waitpid, pid, 0)
    done = await finished(directory)
    assert (done.outcome, done.exit_code) == ("exited", 7)


def test_the_shim_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    root = Path(attempt.__file__).parents[2]
    code = (
        "import sys; before = set(sys.modules); sys.path.append(sys.argv[1]); import captain.effects.shim; "
        "print(*(name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names))"
    )
    argv = [PYTHON, "-I", "-S", "-c", code, str(root)]
    shown = subprocess.run(argv, capture_output=True, check=True, text=True).stdout.split()
    assert set(shown) == {
        "captain",
        "captain.effects",
        "captain.effects.processes",
        "captain.effects.shim",
        "captain.effects.spool",
    }
