"""Prints captain's speed and size as ratios against references measured in the same run.

    python tests/benchmarks/speed.py [help] [frames] [memory] [review]

References: a click program with the same verbs and help lines; a bare Textual app with header and footer. Times are
medians of interleaved pairs; the limits are those that the project holds itself to.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import resource
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]
PAIRS = 20
ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\-_]|\][^\x07\x1b]*(\x07|\x1b\\))")

BARE_CLICK = """
import click

@click.group(help={about!r})
def cli(): pass

for verb, line in {verbs!r}:
    cli.add_command(click.Command(verb, short_help=line, help=line))
cli()
"""

BARE_TEXTUAL = """
from textual.app import App
from textual.widgets import Footer, Header

class Bare(App):
    TITLE = "barebones"
    BINDINGS = [("q", "quit", "Leave")]
    def compose(self):
        yield Header()
        yield Footer()

Bare().run()
"""


def cpu(argv: list[str], env: dict[str, str]) -> float:
    """User and system seconds of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bench_help(folder: Path) -> None:
    from captain.commands import VERBS

    bare = folder / "bare_click.py"
    bare.write_text(BARE_CLICK.format(about="captain", verbs=sorted(VERBS.items())))
    ours, theirs = [], []
    for _ in range(PAIRS):
        ours.append(cpu([sys.executable, "-m", "captain", "--help"], environ()))
        theirs.append(cpu([sys.executable, str(bare), "--help"], environ()))
    report("captain --help against a click program (CPU)", median(ours), median(theirs), 1.25)


def environ() -> dict[str, str]:
    return {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}


def until(argv: list[str], cwd: Path, wanted: list[list[bytes]]) -> list[float]:
    """Seconds from the start to the first moment at which each group of texts has been drawn, on a pty of 120x40."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    began = time.monotonic()
    process = subprocess.Popen(
        argv, cwd=cwd, env=environ(), stdin=follower, stdout=follower, stderr=follower, start_new_session=True
    )
    os.close(follower)
    seen = b""
    found: list[float] = []
    try:
        while len(found) < len(wanted):
            ready, _, _ = select.select([leader], [], [], 20)
            if not ready:
                raise SystemExit(f"never drawn: {[text for text in wanted[len(found)] if text not in plain(seen)]}")
            try:
                chunk = os.read(leader, 65536)
            except OSError as error:
                raise SystemExit(f"{argv} ended early: {plain(seen)[-2000:].decode('utf-8', 'replace')}") from error
            seen += chunk
            now = time.monotonic() - began
            text = plain(seen)
            while len(found) < len(wanted) and all(one in text for one in wanted[len(found)]):
                found.append(now)
        return found
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def plain(data: bytes) -> bytes:
    return ESCAPES.sub(b"", data)


def bench_frames(folder: Path) -> None:
    from captain.demo.script import begin, open_engine
    from captain.demo.world import world

    bare = folder / "bare_textual.py"
    bare.write_text(BARE_TEXTUAL)

    async def prepare(made: Any) -> list[str]:
        engine = open_engine(made, lambda event: None)
        await begin(engine)
        for section in engine.target.checklist.sections:
            await engine.measure_section(section.id)
        titles = [step.title for _, step in engine.target.checklist.steps()]
        await engine.close()
        return titles

    with world() as made:
        titles = asyncio.run(prepare(made))
        argv = [sys.executable, "-m", "captain", "--log", str(made.settings.log), "run", "deploy"]
        argv += ["-r", "1.5.0", "-e", "production"]
        frame = [b"PRODUCTION", b"1.5.0", b"1 Checklist", b"2 Step", b"help"]
        steps = [title.encode()[:18] for title in titles]
        firsts, fulls, bares = [], [], []
        for _ in range(PAIRS // 2):
            first, full = until(argv, made.root, [frame, [*steps, b"pass", b"FAIL"]])
            firsts.append(first)
            fulls.append(full)
            bares += until([sys.executable, str(bare)], made.root, [[b"barebones", b"Leave"]])
        report("first frame of the run screen against a bare Textual app", median(firsts), median(bares), 1.4)
        report("every step with its verdict against the same", median(fulls), median(bares), 2.2)


class _Slow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "ok"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


def peak(argv: list[str], cwd: Path) -> float:
    """Peak memory of one run in MB, as the kernel accounts it."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], cwd=cwd, env=environ(), capture_output=True, text=True, check=True
    )
    return int(done.stdout) / 1024


def bench_memory(folder: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    steps = "\n".join(
        f"      - {{ id: s{n}, title: Step {n}, http: {{ url: 'http://127.0.0.1:{server.server_address[1]}/{n}' }} }}"
        for n in range(200)
    )
    text = (
        f"checklist: many\ntitle: Many\nsections:\n  - id: pre\n    title: Pre\n    phase: pre\n    steps:\n{steps}\n"
    )
    (folder / "many.yaml").write_text(text)
    argv = [sys.executable, "-m", "captain", "--log", str(folder / "log.sqlite")]
    used = peak([*argv, "check", "./many.yaml", "-e", "staging", "--concurrency", "16"], folder)
    limit("peak memory of check on 200 HTTP steps, MB", used, 80)
    server.shutdown()
    server.server_close()
    limit("peak memory of the screen after measuring all, MB", screen_peak(), 110)


def bench_review(folder: Path) -> None:
    """The whole review of the demo's repository, each time in a new process over an empty log."""
    from captain.demo.world import world

    lists = [ROOT / "captain/demo/shop/checklists/readiness.yaml", ROOT / "checklists/readiness.yaml"]
    with world() as made:
        for place, path in enumerate(path for path in lists if path.is_file()):
            took = []
            for turn in range(5):
                log = folder / f"review-{place}-{turn}" / "log.sqlite"
                argv = [sys.executable, "-m", "captain", "--log", str(log), "check", str(path), "-q"]
                began = time.monotonic()
                subprocess.run(
                    argv, cwd=made.root, env=environ() | made.environ(), stdout=subprocess.DEVNULL, check=False
                )
                took.append(time.monotonic() - began)
            limit(f"review of the demo's repository by {path.relative_to(ROOT)}, ms", median(took) * 1000, 5000)


def screen_peak() -> float:
    """Peak memory of `captain demo` after `m` was pressed, in MB."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "captain", "demo"],
        cwd=ROOT,
        env=environ(),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        began = time.monotonic()
        pressed, seen = False, b""
        while time.monotonic() - began < 12:
            ready, _, _ = select.select([leader], [], [], 0.2)
            if ready:
                seen += os.read(leader, 65536)
            if not pressed and b"Release notes" in plain(seen) and time.monotonic() - began > 3:
                os.write(leader, b"m")
                pressed = True
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("the screen ended early")
    finally:
        process.terminate()
        process.wait(timeout=15)
        os.close(leader)


def report(what: str, ours: float, theirs: float, most: float) -> None:
    ratio = ours / theirs
    times = f"{ours * 1000:.0f} / {theirs * 1000:.0f} ms"
    print(f"{'ok  ' if ratio <= most else 'OVER'} {what}: {times} = {ratio:.2f} (limit {most})")


def limit(what: str, value: float, most: float) -> None:
    print(f"{'ok  ' if value <= most else 'OVER'} {what}: {value:.0f} (limit {most})")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    wanted = sys.argv[1:] or ["help", "frames", "memory", "review"]
    with tempfile.TemporaryDirectory() as made:
        for name in wanted:
            benches = {"help": bench_help, "frames": bench_frames, "memory": bench_memory, "review": bench_review}
            benches[name](Path(made))
