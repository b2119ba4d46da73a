"""Which programs files would start, as one digest that a person accepts. Starts nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from captain.effects import Program

if TYPE_CHECKING:
    from captain.checklist import Target

MAX_FILE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TrustRequest:
    """What is asked of the person: these programs, under this digest."""

    programs: tuple[Program, ...]
    digest: str


def request(target: Target) -> TrustRequest | None:
    """The programs of the checklist, the rollback, its proof and `release.running`; None where there are none."""
    programs = tuple(dict.fromkeys(_programs(target)))
    if not programs:
        return None
    root = Path(target.root)
    listed = [_listed(root, program) for program in programs]
    text = json.dumps(listed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return TrustRequest(programs, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def _listed(root: Path, program: Program) -> dict[str, object]:
    listed: dict[str, object] = {"run": program.run, "cwd": program.cwd, "env": program.env}
    if program.container is not None:
        # What its arguments name lies in the container, not here.
        return {**listed, "container": program.container, "files": {}}
    return {**listed, "files": _files(root, program)}


def _programs(target: Target) -> Iterator[Program]:
    for _, step in target.checklist.steps():
        if step.disabled is None:
            yield from step.programs()
    for name in target.service.rollback.verify:
        proof = target.step(name)
        if proof is not None and proof.disabled is None:
            yield from proof.programs()
    running = target.service.release.running
    if running is not None and running.ask.probe is not None:
        yield from running.ask.probe.starts()
    yield from rollback_programs(target)


def rollback_programs(target: Target) -> Iterator[Program]:
    """The programs of the rollback's plan alone."""
    from captain.rollbacks import Strategy

    for part in target.service.rollback.plan:
        if isinstance(part, Strategy):
            yield from part.programs()


def _files(root: Path, program: Program) -> dict[str, str]:
    """Digests of the files inside the root that the arguments name: the script, whatever runs it."""
    found: dict[str, str] = {}
    base = (root / program.cwd).resolve() if "${{" not in program.cwd else root.resolve()
    for argument in program.argv:
        if "${{" in argument or "\0" in argument or len(argument) > 4096:
            continue
        path = (base / argument).resolve()
        try:
            if not path.is_relative_to(root.resolve()) or not path.is_file() or path.stat().st_size > MAX_FILE:
                continue
            found[argument] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            continue
    return found
