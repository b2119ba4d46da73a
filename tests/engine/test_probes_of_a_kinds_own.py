"""A kind of anybody's with probes of its own: asked, typed, trusted, linted and described like those of drill."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, TypedDict

import pytest
import yaml

from captain.errors import ProblemsError
from captain.fields import Holds
from captain.loader import lint
from captain.loader.schema import schema
from captain.measurement import Measurement
from captain.probes import Context, Probe, Probes, probe
from captain.trust import request
from tests.engine.stories import captain, found
from tests.engine.test_measuring import write
from tests.shop import Shop


@probe("twice")
class TwiceProbe(Probe):
    """Does it look the same twice?"""

    default_expect: ClassVar[tuple[str, ...]] = ("both",)

    eyes: Probes
    """What looks."""
    same: Holds
    """What must hold the second time; `before.` is the first."""

    class Observes(TypedDict, total=False):
        """What was seen."""

        both: Annotated[bool, "it held"]

    async def measure(self, ctx: Context) -> Measurement:
        assert ctx.around is not None
        first = {name: (await ctx.around.ask(name, timedelta(seconds=2))).observed for name in self.inner}
        looks = await asyncio.gather(*(ctx.around.ask(name, timedelta(seconds=2)) for name in self.inner))
        second = {name: one.observed for name, one in zip(self.inner, looks, strict=True)}
        held = ctx.around.holds(self.same, second, first)
        return Measurement({} if held.truth is None else {"both": held.truth}, "twice", body=held.said)


STEP = """
- id: twice
  title: Twice
  twice:
    eyes: { web: { http: { url: '${{ vars.url }}/version' } } }
    same: CONDITION
"""


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ("web.json.version == before.web.json.version", "pass"),
        ("web.status == 500", "fail"),
        ("web.tls_days_left > 1", "unknown"),
        ("'[web.status == 200, web.tls_days_left > 1]'", "unknown"),
    ],
)
async def test_it_asks_and_judges(shop: Shop, condition: str, verdict: str) -> None:
    write(shop, STEP.replace("CONDITION", condition.strip("'")))
    async with captain(shop, concurrency=1) as engine:
        await engine.measure("twice")
        assert found(engine, "twice").verdict == verdict


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [("web.statuss == 1", "statuss"), ("'1 == 1'", "names nothing that is observed"), ("before.web == 1", "before")],
)
def test_its_conditions_are_checked_when_the_file_is_loaded(shop: Shop, condition: str, sentence: str) -> None:
    write(shop, STEP.replace("CONDITION", condition))
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    assert any(sentence in one.message for one in caught.value.problems)
    assert all(one.key == "sections[0].steps[0].twice.same" for one in caught.value.problems)


def test_a_probe_of_a_later_captain_inside_it_is_noted_and_keeps_the_step_unknown(shop: Shop) -> None:
    write(
        shop,
        STEP.replace("CONDITION", "web.anything").replace("http: { url: '${{ vars.url }}/version' }", "rollback: {}"),
    )
    assert any("probe rollback: not measured by this captain yet" in one.message for one in lint([], cwd=shop.root))
    engine = shop.engine()
    at = engine.target.step("twice")
    assert at is not None and at.unmeasured == "probe rollback: not measured by this captain yet"


def test_an_undeclared_secret_inside_it_is_told(shop: Shop) -> None:
    write(shop, STEP.replace("CONDITION", "web.status == 200").replace("url: '${{ vars.url }}/version'",
          "url: 'http://x', headers: { A: '${{ secrets.NOPE }}' }"))  # fmt: skip
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    assert any("NOPE" in f"{one.message} {one.hint}" for one in caught.value.problems)


async def test_what_runs_inside_it_is_trusted_first(shop: Shop) -> None:
    write(shop, STEP.replace("CONDITION", "web.exit_code == 0").replace(
        "http: { url: '${{ vars.url }}/version' }", "command: { run: ['true'] }"))  # fmt: skip
    asked = request(shop.engine().target)
    assert asked is not None
    assert ("true",) in [one.run for one in asked.programs]


def test_the_schema_takes_a_drill_and_refuses_what_is_none(tmp_path: Path) -> None:
    import importlib

    validator = importlib.import_module("jsonschema").Draft7Validator(schema("checklist"))
    from captain.probes.drill import DrillProbe

    step = yaml.safe_load(DrillProbe.example)
    checklist = {"checklist": "c", "title": "C", "sections": [{"id": "a", "title": "A", "steps": [step]}]}
    assert list(validator.iter_errors(checklist)) == []
    step["drill"]["probes"]["worker"] = {"nothing": {}}
    assert list(validator.iter_errors(checklist)) != []
    for name in ("checklist", "captain"):
        importlib.import_module("jsonschema").Draft7Validator.check_schema(schema(name))
