"""A step that is measured again: what was seen before is old, and is no reason for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from captain.commands.shared.pages import mark
from captain.run.view import View
from captain.tui.detail import Detail
from captain.tui.moment import Live, Moment, moment
from captain.tui.present import Look
from captain.tui.screens.rollback import because
from tests.tui.walk import HEX, NOW, Walk


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = Walk(tmp_path / "log.sqlite")
    yield made
    made.close()


def view(walk: Walk, **more: Any) -> View:
    definitions = {step.id: HEX for _, step in walk.target.checklist.steps()}
    return View(walk.run(), walk.target, NOW, definitions, me="karen@example.com", lock_mine=True, **more)


def at(walk: Walk, **more: Any) -> Moment:
    return moment(view(walk, **more), Live())


def detail(found: Moment, step: str, width: int = 76) -> Detail:
    here = found.view.step(step)
    assert here is not None
    return Detail(Look(), found, here[1], width, tight=True, seen=None)


def reason(walk: Walk, **more: Any) -> str | None:
    engine: Any = SimpleNamespace(view=lambda: view(walk, **more))
    return because(engine)


def test_the_old_pass_of_a_step_that_is_asked_again_is_shown_as_before(walk: Walk) -> None:
    walk.looking()
    rows = detail(at(walk, asking=frozenset({"version"})), "version").rows()
    text = "\n".join(row.plain for row in rows)
    assert "asking" in text and "before: pass" in text and "actual" not in text
    good = Look().style("success")
    assert not any(str(span.style) == good for row in rows for span in row.spans), "nothing of it is green"
    again = "\n".join(row.plain for row in detail(at(walk), "version").rows())
    assert "actual" in again and "before" not in again


def test_the_verdict_of_before_is_told_as_such(walk: Walk) -> None:
    walk.looking()
    found = at(walk, asking=frozenset({"version", "health"}))
    status = found.statuses["version"]
    assert status.message == "asked again now; before: pass, status = 200" and not status.counts
    assert [mark(found.statuses[step].verdict, found.statuses[step].state)[0] for step in ("version", "health")] == [
        "… asking",
        "… asking",
    ]


def test_a_step_that_passed_is_no_reason_to_go_back_while_it_is_asked_again(walk: Walk) -> None:
    walk.looking()
    said = reason(walk, asking=frozenset({"version"}))
    assert said is not None and said.startswith("Health checks passing: json.status") and said.endswith("and 1 more")
    walk.result("health").result("spikes")
    assert reason(walk, asking=frozenset({"version"})) is None
    assert reason(walk) is None, "what waits for a person or was not asked yet is no reason either"
