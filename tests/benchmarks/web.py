"""Prints how fast captain measures HTTP steps, as ratios against references measured in the same run.

    python tests/benchmarks/web.py [rounds]

Two hundred steps, sixteen at once, each on a connection of its own, entries committed: against a server that takes
100 ms for each, beside the ideal and bare httpx; and against one that takes no time, beside bare httpx,
prometheus-blackbox-exporter and check_http where Debian's packages are installed. Times are medians of interleaved
rounds; the server is a process of its own. Runs start with everything loaded: the start of a process is not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
STEPS = 200
AT_ONCE = 16
DELAY = 0.1
IDEAL = STEPS / AT_ONCE * DELAY
CHECK_HTTP = Path("/usr/lib/nagios/plugins/check_http")
BLACKBOX = "prometheus-blackbox-exporter"

SERVER = """
import asyncio, sys

ANSWER = b'HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 16\\r\\n'
ANSWER += b'Connection: close\\r\\n\\r\\n{"status": "ok"}'

class Talk(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.said = transport, b""

    def data_received(self, data):
        self.said += data
        if self.said.endswith(b"\\r\\n\\r\\n"):
            slow = self.said.startswith((b"GET /slow", b"HEAD /slow"))
            asyncio.get_running_loop().call_later(%(delay)s if slow else 0, self.answer)

    def answer(self):
        self.transport.write(ANSWER)
        self.transport.close()

async def main():
    server = await asyncio.get_running_loop().create_server(Talk, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

CHECKLIST = """
checklist: many
title: Many
sections:
  - id: pre
    title: Pre
    phase: pre
    steps:
"""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER % {"delay": DELAY}], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


async def captain(folder: Path, base: str) -> float:
    """Seconds from the first question to the last committed entry."""
    from captain.clock import SystemClock
    from captain.engine import Engine
    from captain.events import Actor
    from captain.loader import load
    from captain.log.store import Log
    from captain.settings import Settings

    steps = "".join(
        f"      - {{ id: s{n}, title: Step {n}, http: {{ url: '{base}/{n}' }}, expect: [status == 200] }}\n"
        for n in range(STEPS)
    )
    (folder / "captain.yaml").write_text("service: shop\nenvironments: { staging: {} }\n")
    (folder / "many.yaml").write_text(CHECKLIST + steps)
    settings = Settings(folder / f"{time.monotonic_ns()}.sqlite")
    target = load("./many.yaml", "staging", cwd=folder)
    log = Log.open(settings.log, clock=SystemClock())
    engine = Engine(
        target,
        log,
        settings=settings,
        actor=Actor(name="bench", source="os", login="bench", uid=0, host="here"),
        publish=lambda event: None,
        concurrency=AT_ONCE,
    )
    await engine.open("1")
    began = time.perf_counter()
    await engine.measure_section("pre")
    took = time.perf_counter() - began
    verdicts = [result.verdict.value for result in engine.view().run.results.values()]
    assert verdicts == ["pass"] * STEPS, verdicts[:5]
    await engine.close()
    return took


async def bare_httpx(base: str) -> float:
    """The same limits and fresh connections: one client, one SSL context, nothing judged or kept."""
    import httpx

    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, trust_env=False, timeout=10) as client:

        async def one(n: int) -> None:
            answer = await client.get(f"{base}/{n}")
            assert answer.status_code == 200 and answer.json()["status"] == "ok"

        return await timed(one)


async def blackbox(probes: str, base: str) -> float:
    """An exporter asked sixteen probes at once over plain sockets, so that asking it costs next to nothing."""
    host, port = probes.removeprefix("http://").split(":")

    async def one(n: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        # HTTP/1.0: an answer that comes whole, not in chunks.
        writer.write(f"GET /probe?module=http_2xx&target={base}/{n} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        said = await reader.read()
        writer.close()
        assert b"\nprobe_success 1\n" in said, said.decode()

    return await timed(one, slots=asyncio.Semaphore(AT_ONCE))


async def check_http(base: str) -> float:
    """Sixteen processes at once, one for each question, as a monitoring system starts them."""
    host, port = base.removeprefix("http://").split(":")

    async def one(n: int) -> None:
        process = await asyncio.create_subprocess_exec(
            str(CHECK_HTTP), "-I", host, "-p", port, "-u", f"/{n}", stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0

    return await timed(one, slots=asyncio.Semaphore(AT_ONCE))


async def timed(one: Callable[[int], Awaitable[None]], slots: asyncio.Semaphore | None = None) -> float:
    async def limited(n: int) -> None:
        async with slots or contextlib.nullcontext():
            await one(n)

    began = time.perf_counter()
    await asyncio.gather(*(limited(n) for n in range(STEPS)))
    return time.perf_counter() - began


@contextlib.contextmanager
def exporter(folder: Path) -> Iterator[str | None]:
    program = shutil.which(BLACKBOX)
    if program is None:
        yield None
        return
    config = folder / "blackbox.yml"
    config.write_text("modules: { http_2xx: { prober: http, timeout: 5s, http: { preferred_ip_protocol: ip4 } } }\n")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    address = f"127.0.0.1:{port}"
    argv = [program, f"--config.file={config}", f"--web.listen-address={address}", "--log.level=error"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.02)
            yield f"http://{address}"
        finally:
            process.terminate()


async def compare(folder: Path, rounds: int) -> None:
    with server() as base, exporter(folder) as probes:
        slow: dict[str, Callable[[], Awaitable[float]]] = {
            "captain": lambda: captain(folder, f"{base}/slow"),
            "bare httpx": lambda: bare_httpx(f"{base}/slow"),
        }
        fast: dict[str, Callable[[], Awaitable[float]]] = {
            "captain": lambda: captain(folder, f"{base}"),
            "bare httpx": lambda: bare_httpx(base),
        }
        if probes is not None:
            fast["blackbox exporter"] = lambda: blackbox(str(probes), base)
        if CHECK_HTTP.exists():
            fast["check_http"] = lambda: check_http(base)
        await captain(folder, base)
        await bare_httpx(base)
        times = await interleaved(slow, rounds)
        ours, bare = times["captain"], times["bare httpx"]
        print(f"{STEPS} HTTP steps, {AT_ONCE} at once, {DELAY * 1000:.0f} ms each; ideal {IDEAL:.2f} s")
        report("captain against the ideal", ours, IDEAL, 1.3)
        report("captain against bare httpx", ours, bare, 1.15)
        print(f"\nthe same without the server's delay ({rounds} rounds)")
        times = await interleaved(fast, rounds)
        ours = times["captain"]
        for name, took in times.items():
            print(f"     {name:<18} {STEPS / took:7.0f} a second   captain takes {ours / took:5.2f} times as long")


async def interleaved(asked: dict[str, Callable[[], Awaitable[float]]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, call in asked.items():
            times[name].append(await call())
    return {name: median(each) for name, each in times.items()}


def report(what: str, ours: float, theirs: float, most: float) -> None:
    ratio = ours / theirs
    print(f"{'ok  ' if ratio <= most else 'OVER'} {what}: {ours:.2f} / {theirs:.2f} s = {ratio:.2f} (limit {most})")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(compare(Path(made), int(sys.argv[1]) if sys.argv[1:] else 5))
