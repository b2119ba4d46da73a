"""What the log holds of a step, a drill, a gate and a rollback, as a probe of another step reads it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from captain.engine import Engine
from captain.errors import ProblemsError
from captain.loader import lint
from tests.engine.stories import captain, found, to_deploy
from tests.engine.test_more_than_reading import write
from tests.git_repo import Repo
from tests.shop import CHECKLIST, SERVICE, Shop
from tests.stirring import stirred


def asking(shop: Shop, record: dict[str, Any], expect: str | list[str] | None = None, *, more: Any = ()) -> None:
    """The shop's checklist with one more step before the deployment, which asks the log."""
    service = SERVICE.replace("staging: {{}}", "staging: {{ allow: [active, drill] }}")
    shop.write(service.replace("protected: true", "protected: true, allow: [drill]"), CHECKLIST)
    path = shop.root / "checklists" / "deploy.yaml"
    checklist = yaml.safe_load(path.read_text())
    step = {"id": "asked", "title": "Asked", "record": record} | ({} if expect is None else {"expect": expect})
    checklist["sections"][0]["steps"] += [*more, step]
    path.write_text(yaml.safe_dump(checklist, sort_keys=False))


DRILL = {"id": "stirred", "title": "Stirred", "stir": {}}


async def ask(engine: Engine) -> tuple[str, dict[str, Any]]:
    await engine.measure("asked")
    seen = found(engine, "asked")
    assert seen.result is not None
    assert seen.result.observed, seen.message
    return str(seen.verdict), dict(seen.result.observed)


async def test_nothing_in_the_log_is_found_false_and_never_a_pass(shop: Shop) -> None:
    asking(shop, {"step": "healthy-before"})
    async with captain(shop) as engine:
        assert await ask(engine) == ("unknown", {"found": False})


async def test_the_newest_result_of_a_step_is_read_with_its_values(shop: Shop) -> None:
    asking(
        shop,
        {"step": "deploy/healthy-before"},
        [
            "found && ok && verdict == 'pass'",
            "observed.status == 200",
            "age < duration('1m')",
            "by.startsWith('karen')",
        ],
    )
    async with captain(shop) as engine:
        await engine.measure("healthy-before")
        verdict, observed = await ask(engine)
        assert verdict == "pass", found(engine, "asked").message
        assert observed["run"] == "shop-staging-1.5.0"
        shop.health = 500
        await engine.measure("healthy-before")
        verdict, observed = await ask(engine)
        assert (verdict, observed["ok"], observed["verdict"]) == ("fail", False, "fail")


async def test_what_a_review_saw_is_of_the_commit_that_was_there_and_not_of_the_one_it_began_with(shop: Shop) -> None:
    asking(shop, {"step": "readiness/notes", "environment": "staging"}, ["same_commit(commit, release.commit)"])
    service = (shop.root / "captain.yaml").read_text()
    (shop.root / "captain.yaml").write_text(
        service.replace("[checklists/deploy.yaml]", "[checklists/deploy.yaml, review.yaml]")
    )
    (shop.root / "review.yaml").write_text(
        "checklist: readiness\ntitle: Review\nper: service\nsections:\n  - id: all\n    title: All\n    steps:\n"
        "      - { id: notes, title: Notes, file: { path: notes.md } }\n"
    )
    repo = Repo(shop.root)
    repo.commit(".gitignore", "state/\n")
    heads = [repo.commit("notes.md", text) for text in ("one\n", "two\n")]
    for head in heads:
        repo.git("checkout", "-q", head)
        async with captain(shop, None, checklist="readiness") as review:
            await review.open(None)
            await review.measure("notes")
    for at, verdict in enumerate(("fail", "pass")):
        async with captain(shop, None, environment="production") as engine:
            await engine.open(f"1.{at}.0", commit=heads[at])
            seen, observed = await ask(engine)
            assert (seen, observed["commit"]) == (verdict, heads[1])


async def test_another_environment_is_another_matter(shop: Shop) -> None:
    asking(shop, {"step": "healthy-before", "environment": "staging"})
    async with captain(shop, environment="production") as engine:
        await engine.measure("healthy-before")
        assert (await ask(engine))[1] == {"found": False}
        async with captain(shop, environment="staging") as other:
            await other.measure("healthy-before")
        assert (await ask(engine))[0] == "pass"


async def test_a_step_does_not_stand_for_itself_in_its_own_run(shop: Shop) -> None:
    asking(shop, {"step": "asked"}, ["!found || ok"])
    async with captain(shop) as engine:
        assert (await ask(engine))[1] == {"found": False}
        assert (await ask(engine))[1] == {"found": False}
    async with captain(shop, "1.6.0") as engine:
        assert (await ask(engine))[1]["run"] == "shop-staging-1.5.0"


async def test_a_drill_counts_where_a_mere_result_does_not(shop: Shop) -> None:
    asking(shop, {"step": "stirred", "kind": "drill", "environment": "production"}, more=[DRILL])
    async with captain(shop, environment="production") as engine:
        await engine.measure("healthy-before")
        assert (await ask(engine))[1] == {"found": False}
        await engine.act("stirred", confirmed="production")
        verdict, observed = await ask(engine)
        assert (verdict, observed["ok"]) == ("pass", True)
    async with captain(shop) as engine:
        assert (await ask(engine))[0] == "pass"


async def test_a_drill_that_was_lost_is_not_hidden_by_an_older_pass(shop: Shop) -> None:
    asking(shop, {"step": "stirred", "kind": "drill"}, more=[DRILL])
    async with captain(shop) as engine:
        await engine.act("stirred")
        assert (await ask(engine))[0] == "pass"
    asking(shop, {"step": "stirred", "kind": "drill"}, more=[{**DRILL, "stir": {"say": "wait"}}])
    (shop.root / "stirred").unlink()
    root = Path(__file__).parents[2]
    script = "import sys, asyncio; from pathlib import Path; from tests import stirring\n"
    script += "stirring.VERSION = '1.6.0'; asyncio.run(stirring.main(Path(sys.argv[1])))"
    worker = subprocess.Popen(
        [sys.executable, "-c", script, str(shop.root)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None and worker.stdout.readline() == "begun\n"
    async with captain(shop, "1.7.0") as engine:
        assert (await ask(engine))[0] == "pass", "what runs still says nothing"
    worker.kill()
    worker.communicate(timeout=10)
    async with captain(shop, "1.7.0") as engine:
        verdict, observed = await ask(engine)
        assert (verdict, observed["verdict"], observed["ok"]) == ("fail", "unknown", False)
    assert stirred(shop.root) == ["begun"]


async def test_a_gate_and_a_rehearsed_rollback_are_read_too(shop: Shop) -> None:
    asking(shop, {"step": "asked", "kind": "rehearsal", "environment": "staging"}, ["ok", "duration > duration('0s')"])
    shop.environ["X"] = "1"
    async with captain(shop, environment="production") as asker:
        assert (await ask(asker))[1] == {"found": False}
        asking(shop, {"gate": "deploy/pre"})
        async with captain(shop) as engine:
            assert (await ask(engine))[1] == {"found": False}
            await engine.waive("asked", "first time", "karen", engine.view().now + timedelta(days=1))
            await to_deploy(engine)
            await engine.act("roll-out")
            await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        verdict, observed = await ask(asker)
        assert observed["found"] is True
        assert (verdict, observed["ok"]) == ("pass", True), observed
    async with captain(shop, "1.6.0") as later:
        verdict, observed = await ask(later)
        assert (verdict, observed["verdict"]) == ("pass", "warn")


async def test_values_that_were_masked_stay_masked(shop: Shop) -> None:
    secret = shop.environ["SHOP_TOKEN"]
    step = {
        "id": "leaky",
        "title": "Leaky",
        "command": {"run": ["sh", "-c", "echo $T"], "env": {"T": "${{ secrets.SHOP_TOKEN }}"}},
    }
    asking(shop, {"step": "leaky"}, ["ok", f"!observed.stdout.contains('{secret}')"], more=[step])
    async with captain(shop) as engine:
        await engine.measure("leaky")
        assert (await ask(engine))[0] == "pass"


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({}, "takes either step or gate"),
        ({"step": "a", "gate": "pre"}, "takes either step or gate"),
        ({"gate": "pre", "kind": "drill"}, "takes kind with step only"),
        ({"step": "a", "kind": "drills"}, "kind takes result, drill or rehearsal"),
    ],
)
def test_mistakes_are_told(shop: Shop, record: dict[str, Any], sentence: str) -> None:
    asking(shop, record)
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    assert any(sentence in one.message for one in caught.value.problems), caught.value.problems


def test_a_step_that_is_none_is_noted(shop: Shop) -> None:
    asking(shop, {"step": "healthy-befor"})
    notes = [one for one in lint([], cwd=shop.root) if "healthy-befor" in one.message]
    assert [(one.severity, one.hint) for one in notes] == [("note", "did you mean healthy-before?")]
    assert notes[0].key.endswith("record.step")


async def test_a_watch_is_read_by_a_later_captain(shop: Shop) -> None:
    asking(shop, {"watch": "health"}, ["ok"])
    assert any("record with watch" in one.message for one in lint([], cwd=shop.root))
    async with captain(shop) as engine:
        assert "not measured by this captain yet" in found(engine, "asked").message
    write(shop)
