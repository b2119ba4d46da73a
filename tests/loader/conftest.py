"""A service on disk, and a kind of probe that no file of captain knows: it is found because its file is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import captain.probes
import captain.rollbacks
from captain.checklist import Target
from captain.errors import Problem
from captain.loader import lint, load

PING = '''
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, TypedDict

from captain.fields import Bool, Name, Port, Text
from captain.effects import Program
from captain.probes import Probe, probe


@probe("pinger")
class Pinger(Probe):
    """Does something answer?"""

    network = True
    later = frozenset({"inside"})
    default_expect = ("status < 400",)
    example = "id: up\\ntitle: Up\\npinger: { url: 'https://example.com/' }"

    url: Text
    """Where to."""
    port: Port = 443
    headers: dict[str, Text] = {}
    run: tuple[Text, ...] | Text | None = None
    follow: Bool = False

    class Observes(TypedDict, total=False):
        status: Annotated[int, "the status"]
        latency: Annotated[timedelta, "time it took"]
        version: Annotated[str, "what it says it is"]
        items: Annotated[list[int], "what it lists"]
        json: Annotated[Any, "the body"]
        share: Annotated[float, "a ratio"]
        seen_at: Annotated[datetime, "when"]
'''
SCRIPT = '''
from __future__ import annotations

from captain.fields import Text
from captain.rollbacks import Strategy, strategy


@strategy("scripted")
class Scripted(Strategy):
    """Runs a script."""

    run: tuple[Text, ...] | Text
    note: Text | None = None
'''

SERVICE = """\
service: shop
vars: { base: 'https://shop.example.com' }
secrets: [TOKEN]
params: { slow: 'duration("1s")' }
environments:
  staging: { params: { slow: 'duration("3s")' } }
  production: { protected: true, tier: A, vars: { base: 'https://shop.example.com' } }
checklists: [checklists/deploy.yaml]
"""

Write = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def third_party_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One new file per family in a folder of its package's path, and no edit anywhere."""
    folder = tmp_path_factory.mktemp("kinds")
    packages = {"pinger": (captain.probes, PING), "scripted": (captain.rollbacks, SCRIPT)}
    for name, (package, text) in packages.items():
        (folder / name).mkdir()
        (folder / name / f"{name}.py").write_text(text)
        package.__path__.append(str(folder / name))
    yield
    for name, (package, _) in packages.items():
        package.__path__.remove(str(folder / name))
        sys.modules.pop(f"{package.__name__}.{name}", None)
    # A class without its module cannot say what it observes.
    captain.probes.probes._kinds.pop("pinger", None)
    captain.rollbacks.strategies._kinds.pop("scripted", None)


@pytest.fixture
def service(tmp_path: Path) -> Write:
    """Writes captain.yaml and one checklist (dedented steps), and gives the folder."""

    def write(checklist: str, captain: str | None = SERVICE) -> Path:
        (tmp_path / ".git").mkdir(exist_ok=True)
        (tmp_path / "checklists").mkdir(exist_ok=True)
        (tmp_path / "captain.yaml").unlink(missing_ok=True)
        if captain is not None:
            (tmp_path / "captain.yaml").write_text(captain)
        (tmp_path / "checklists" / "deploy.yaml").write_text(checklist)
        return tmp_path

    return write


@pytest.fixture
def problems(service: Write) -> Callable[..., list[Problem]]:
    """What lint says of a checklist made of these steps."""

    def say(steps: str, captain: str | None = SERVICE, head: str = "", phase: str = "deploy") -> list[Problem]:
        root = service(whole(steps, head, phase), captain)
        return lint([] if captain is not None else ["checklists/deploy.yaml"], cwd=root)

    return say


@pytest.fixture
def target(service: Write) -> Callable[..., Target]:
    """The Target of a checklist made of these steps."""

    def make(steps: str, environment: str = "staging", captain: str | None = SERVICE, head: str = "") -> Target:
        return load(
            "deploy" if captain else "checklists/deploy.yaml", environment, cwd=service(whole(steps, head), captain)
        )

    return make


def whole(steps: str, head: str = "", phase: str = "deploy") -> str:
    """A checklist with one section; line 1 of the steps is line 8 without a head."""
    body = "\n".join(f"      {line}" if line else "" for line in steps.strip("\n").split("\n"))
    section = f"sections:\n  - id: roll\n    title: Roll\n    phase: {phase}\n    steps:\n"
    return f"checklist: deploy\ntitle: Deployment\n{head}{section}{body}\n"
