"""One new file is a new probe kind, a rollback strategy or an export format; nothing else is edited.

The file is added to a copy of captain in a temporary folder that comes first on the path, and everything a person
does with a kind is done with it in processes of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

KIND = '''\
"""The kind `{name}`: whether a port accepts connections."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, ClassVar, TypedDict

from captain.errors import ProbeError
from captain.fields import Port, Text
from captain.measurement import Measurement
from captain.probes import Context, Probe, probe


@probe("{name}")
class NewProbe(Probe):
    """Does a port accept a connection?"""

    default_expect: ClassVar[tuple[str, ...]] = ("connected",)
    network: ClassVar[bool] = True

    host: Text
    """The host to connect to."""
    port: Port
    """The port to connect to."""

    class Observes(TypedDict, total=False):
        """What the connection showed."""

        connected: Annotated[bool, "the connection was accepted"]
        latency: Annotated[timedelta, "time to connect"]

    async def measure(self, ctx: Context) -> Measurement:
        began = ctx.clock.monotonic()
        asked = f"connect {{self.host}}:{{self.port}}"
        try:
            async with asyncio.timeout(ctx.timeout.total_seconds()):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except ConnectionRefusedError:
            return Measurement({{"connected": False}}, asked)
        except OSError as error:
            raise ProbeError(f"cannot reach {{self.host}}: {{error}}", fault="unclear") from error
        writer.close()
        await writer.wait_closed()
        took = timedelta(seconds=ctx.clock.monotonic() - began)
        return Measurement({{"connected": True, "latency": took}}, asked)
'''

CHECKLIST = """\
checklist: go
title: Go
sections:
  - id: pre
    title: Before
    phase: pre
    steps:
      - id: open
        title: The port is open
        {name}: {{ host: 127.0.0.1, port: {port} }}
        expect: [{expect}]
"""

SCREEN = """\
import asyncio, sys
from pathlib import Path
from captain.clock import SystemClock
from captain.engine import Engine
from captain.events import Actor
from captain.loader import load
from captain.log.store import Log
from captain.settings import Settings
from captain.tui.app import CaptainApp
from captain.tui.moment import Known

async def open_run(publish):
    me = Actor("karen", "flag", "karen", 1000, "here")
    settings = Settings(Path("screen.sqlite").absolute())
    log = Log.open(settings.log, clock=SystemClock(), actor=me)
    target = load("go", "staging", cwd=Path.cwd())
    engine = Engine(target, log, settings=settings, actor=me, publish=publish, environ={})
    await engine.open("1")
    return engine

def shown(app):
    return "\\n".join("".join(part.text for part in row) for row in app.screen._compositor.render_strips())

async def look():
    app = CaptainApp(Path("screen.sqlite").absolute(), known=Known("shop", "staging"), opener=open_run, environ={})
    async with app.run_test(size=(120, 40)) as pilot:
        for key, text in (("", "The port is open"), ("m", "✓ pass")):
            if key:
                await pilot.press(key)
            for _ in range(500):
                await pilot.pause(0.02)
                if text in shown(app):
                    break
        print(shown(app))

asyncio.run(look())
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of captain, to be put first on the path."""
    folder = tmp_path_factory.mktemp("first")
    shutil.copytree(ROOT / "captain", folder / "captain")
    shutil.copytree(ROOT / "checklists", folder / "checklists")
    return folder


@pytest.fixture(params=["tcp", "port-open"])
def kind(copy: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A kind that files could name already, and one that nobody has heard of."""
    name: str = request.param
    file = copy / "captain" / "probes" / f"{name.replace('-', '_')}.py"
    file.write_text(KIND.format(name=name))
    yield name
    file.unlink()


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    (made / "captain.yaml").write_text("service: shop\nenvironments: { staging: {} }\nchecklists: [go.yaml]\n")
    return made


def run(copy: Path, folder: Path, *arguments: str, code: int = 0) -> str:
    """What a command of the copy writes on stdout."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "CAPTAIN_LOG": str(folder.parent / "log.sqlite")}
    environ |= {"PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1"}
    argv = [sys.executable, *arguments] if arguments[0] == "-c" else [sys.executable, "-m", "captain", *arguments]
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_copy_is_what_runs(copy: Path, folder: Path) -> None:
    assert run(copy, folder, "-c", "import captain.probes; print(captain.probes.__file__)").startswith(str(copy))


def test_the_new_kind_is_linted_with_its_own_keys_and_types(copy: Path, folder: Path, kind: str, port: int) -> None:
    file = folder / "go.yaml"
    file.write_text(CHECKLIST.format(name=kind, port=port, expect="connected, 'latency < duration(\"5s\")'"))
    assert run(copy, folder, "lint") == ""
    file.write_text(CHECKLIST.format(name=kind, port=port, expect="conected"))
    assert "go.yaml:11:18: error:" in run(copy, folder, "lint", code=2)
    assert "did you mean connected?" in run(copy, folder, "lint", code=2)
    file.write_text(CHECKLIST.format(name=kind, port=99999, expect="connected").replace("host:", "hots:"))
    problems = run(copy, folder, "lint", code=2)
    assert "did you mean host?" in problems and "99999" in problems


def test_the_new_kind_is_in_the_schema(copy: Path, folder: Path, kind: str) -> None:
    found = json.loads(run(copy, folder, "schema"))["definitions"][f"probe.{kind}"]
    assert set(found["properties"]) == {"host", "port"}
    assert found["required"] == ["host", "port"]
    assert found["properties"]["host"]["description"] == "The host to connect to."
    assert (
        kind
        in json.loads(run(copy, folder, "schema", "captain"))["definitions"]["release"]["properties"]["running"][
            "properties"
        ]
    )


def test_the_new_kind_is_explained(copy: Path, folder: Path, kind: str) -> None:
    page = run(copy, folder, "explain", kind)
    for text in ("Does a port accept a connection?", "The host to connect to.", "time to connect", "connected"):
        assert text in page
    assert "Does a port accept a connection?" in run(copy, folder, "explain")
    assert "not measured by this captain yet" not in page


def test_the_new_kind_is_measured(copy: Path, folder: Path, kind: str, port: int) -> None:
    (folder / "go.yaml").write_text(CHECKLIST.format(name=kind, port=port, expect="connected"))
    result = json.loads(run(copy, folder, "check", "go", "-e", "staging", "--format", "json"))
    (step,) = result["sections"][0]["steps"]
    assert (step["verdict"], step["probe"], step["observed"]["connected"]) == ("pass", kind, True)
    (folder / "go.yaml").write_text(CHECKLIST.format(name=kind, port=1, expect="connected"))
    assert "connected = false" in run(copy, folder, "check", "go", "-e", "staging", code=1)


def test_the_new_kind_is_measured_on_the_screen(copy: Path, folder: Path, kind: str, port: int) -> None:
    (folder / "go.yaml").write_text(CHECKLIST.format(name=kind, port=port, expect="connected"))
    screen = run(copy, folder, "-c", SCREEN)
    assert "✓ pass    The port is open" in screen and f"connect 127.0.0.1:{port}" in screen


def test_a_folder_of_kinds_alone_can_come_first_too(copy: Path, folder: Path, tmp_path: Path, port: int) -> None:
    """The path of captain.probes is where kinds are found, in its order."""
    kinds = tmp_path / "probes"
    shutil.copytree(ROOT / "captain" / "probes", kinds)
    (kinds / "tcp.py").write_text(KIND.format(name="tcp"))
    (folder / "go.yaml").write_text(CHECKLIST.format(name="tcp", port=port, expect="connected"))
    first = f"import captain.probes, sys; captain.probes.__path__.insert(0, {str(kinds)!r})\n"
    main = "from captain.__main__ import main; sys.exit(main(sys.argv[1:]))"
    for arguments in (["lint"], ["explain", "tcp"], ["check", "go", "-e", "staging"]):
        run(ROOT, folder, "-c", first + main, *arguments)


STRATEGY = '''\
"""The strategy `by-hand`: a note that names who goes back."""

from captain.fields import Text
from captain.rollbacks import Strategy, strategy


@strategy("by-hand")
class ByHand(Strategy):
    """Names the person who goes back."""

    who: Text
    """Whom to call."""
'''

FORMAT = '''\
"""types: the type of every entry, one per line."""

from captain.exports import export


@export("types", suffix=".txt")
def write(story):
    for entry in story.entries:
        yield f"{entry.event.type}\\n".encode()
'''


def test_a_new_strategy_is_one_file(copy: Path, folder: Path) -> None:
    (copy / "captain" / "rollbacks" / "by_hand.py").write_text(STRATEGY)
    (folder / "go.yaml").write_text(
        "checklist: go\ntitle: Go\nsections:\n  - { id: pre, title: P, phase: pre, steps: [{ id: a, title: A, "
        "file: { path: captain.yaml } }] }\n"
    )
    plan = "rollback: {{ plan: [{{ id: web, strategy: by-hand, {key}: karen }}], verify: [go/a] }}\n"
    service = (folder / "captain.yaml").read_text()
    (folder / "captain.yaml").write_text(service + plan.format(key="who"))
    assert run(copy, folder, "lint") == ""
    (folder / "captain.yaml").write_text(service + plan.format(key="woh"))
    assert "did you mean who?" in run(copy, folder, "lint", code=2)
    assert "Whom to call." in run(copy, folder, "explain", "by-hand")
    assert "by-hand" in run(copy, folder, "schema", "captain")


def test_a_new_export_format_is_one_file(copy: Path, folder: Path) -> None:
    (copy / "captain" / "exports" / "types.py").write_text(FORMAT)
    (folder / "go.yaml").write_text(
        CHECKLIST.format(name="file", port=1, expect="exists").replace("host: 127.0.0.1, port: 1", "path: captain.yaml")
    )
    run(copy, folder, "check", "go", "-e", "staging")
    assert "run.start" in run(copy, folder, "export", "--format", "types", "-o", "-").splitlines()
