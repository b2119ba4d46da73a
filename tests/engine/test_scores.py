"""A review's score as a probe of another step sees it: the review's own numbers, never a pass that nobody verified."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from captain.clock import SystemClock
from captain.engine import Engine
from captain.loader import lint
from captain.measurement import Verdict
from tests.engine.stories import BOB, captain, found
from tests.git_repo import Repo
from tests.shop import CHECKLIST, SERVICE, Shop

REVIEW: dict[str, Any] = {
    "checklist": "readiness",
    "title": "Readiness",
    "per": "service",
    "sections": [
        {
            "id": "infra",
            "title": "Infrastructure",
            "steps": [
                {
                    "id": "healthy",
                    "title": "Healthy",
                    "http": {"url": "${{ vars.url }}/healthz"},
                    "expect": "status == 200",
                },
                {"id": "script", "title": "There is a script", "file": {"path": "deploy.py"}, "severity": "warning"},
            ],
        },
        {"id": "people", "title": "People", "steps": [{"id": "rota", "title": "Rota", "manual": "Is there one?"}]},
    ],
}


def reviewed(shop: Shop, *more: dict[str, Any], score: dict[str, Any] | None = None, expect: Any = None) -> None:
    """The shop with a review, `more` as its third section, and a step of the release that asks for its score."""
    service = SERVICE.replace("[checklists/deploy.yaml]", "[checklists/deploy.yaml, checklists/readiness.yaml]")
    shop.write(service, CHECKLIST)
    step = {"id": "asked", "title": "Asked", "score": score or {"checklist": "readiness"}}
    checklist = yaml.safe_load((shop.root / "checklists" / "deploy.yaml").read_text())
    checklist["sections"][0]["steps"].append(step | ({} if expect is None else {"expect": expect}))
    (shop.root / "checklists" / "deploy.yaml").write_text(yaml.safe_dump(checklist, sort_keys=False))
    sections = [*REVIEW["sections"], *([{"id": "sum", "title": "Sum", "steps": list(more)}] if more else [])]
    (shop.root / "checklists" / "readiness.yaml").write_text(
        yaml.safe_dump(REVIEW | {"sections": sections}, sort_keys=False)
    )


class Ahead(SystemClock):
    """A clock that shows a later time."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> datetime:
        return super().now() + self.by


def review(shop: Shop, **keys: Any) -> Any:
    return captain(shop, None, checklist="readiness", **keys)


async def check(engine: Engine, *sections: str) -> None:
    if engine.run is None:
        await engine.open(None)
    for section in sections or ("infra",):
        await engine.measure_section(section)


async def ask(engine: Engine, step: str = "asked") -> tuple[Verdict, dict[str, Any], str]:
    await engine.measure(step)
    seen = found(engine, step)
    assert seen.result is not None
    return seen.verdict, dict(seen.result.observed), seen.message


async def test_nothing_reviewed_is_unknown_and_the_way_to_begin_is_said(shop: Shop) -> None:
    reviewed(shop)
    async with captain(shop) as engine:
        verdict, observed, message = await ask(engine)
        assert (verdict, observed) == (Verdict.UNKNOWN, {})
        assert "no review of readiness stands in staging" in message
        assert "captain check readiness -e staging" in message
        async with review(shop) as other:
            await other.open(None)
        verdict, observed, message = await ask(engine)
        assert (verdict, observed) == (Verdict.UNKNOWN, {})
        assert "nothing of readiness was measured in staging yet" in message


async def test_a_checklist_that_nobody_knows_is_unknown(shop: Shop) -> None:
    reviewed(shop, score={"checklist": "nowhere"})
    async with captain(shop) as engine:
        assert (await ask(engine))[0] is Verdict.UNKNOWN


async def test_what_nobody_verified_is_neither_a_pass_nor_a_fail(shop: Shop) -> None:
    reviewed(shop, expect="percent >= 10")
    async with review(shop) as other, captain(shop) as engine:
        await check(other)
        verdict, observed, message = await ask(engine)
        assert verdict is Verdict.UNKNOWN, "the rota is not confirmed: 50 to 100"
        assert (observed["low"], observed["high"], observed["unverified"]) == (50, 100, 1)
        assert not {"percent", "go", "blockers", "label"} & set(observed)
        assert observed["decision"] == "NO-GO: unverified"
        assert "Rota" in message


async def test_a_review_that_is_a_go_passes_with_its_numbers(shop: Shop) -> None:
    numbers = ["go", "percent == 100", "label == 'Excellent'", "coverage == 1.0", "blockers == 0", "unverified == 0"]
    more = ["sections.infra == 100", "age < duration('1m')", "checked_at <= now", "decision == 'GO'"]
    reviewed(shop, expect=[*numbers, *more])
    async with review(shop) as other, captain(shop) as engine:
        await check(other)
        await other.sign("rota", "approve")
        verdict, observed, message = await ask(engine)
        assert verdict is Verdict.PASS, message
        assert other.run is not None and observed["run"] == other.run.id


async def test_one_open_blocker_is_a_fail_at_any_score(shop: Shop) -> None:
    reviewed(shop, expect=["go", "blockers == 0"])
    shop.health = 503
    async with review(shop) as other, captain(shop) as engine:
        await check(other)
        verdict, observed, message = await ask(engine)
        assert (verdict, observed["go"], observed["blockers"]) == (Verdict.FAIL, False, 2)
        assert "Healthy" in message


async def test_a_result_that_grew_old_is_no_longer_verified(shop: Shop) -> None:
    reviewed(shop)
    text = (shop.root / "checklists" / "readiness.yaml").read_text()
    (shop.root / "checklists" / "readiness.yaml").write_text(
        text.replace("title: Healthy", "title: H\n    max_age: 1m")
    )
    async with review(shop) as other:
        await check(other)
        await other.sign("rota", "approve")
    async with captain(shop) as engine:
        assert (await ask(engine))[0] is Verdict.PASS
    async with captain(shop, "1.6.0", clock=Ahead(timedelta(minutes=2))) as later:
        verdict, observed, _ = await ask(later)
        assert (verdict, observed["decision"]) == (Verdict.UNKNOWN, "NO-GO: unverified")


async def test_another_environment_has_a_review_of_its_own(shop: Shop) -> None:
    reviewed(shop, score={"checklist": "readiness", "environment": "production"})
    async with review(shop) as other, captain(shop) as engine:
        await check(other)
        await other.sign("rota", "approve")
        assert (await ask(engine))[0] is Verdict.UNKNOWN
        async with review(shop, environment="production") as there:
            await check(there)
            await there.sign("rota", "approve")
        assert (await ask(engine))[0] is Verdict.PASS


async def test_files_that_ask_for_more_now_were_not_answered_by_an_older_review(shop: Shop) -> None:
    reviewed(shop)
    async with review(shop) as other:
        await check(other)
        await other.sign("rota", "approve")
    async with captain(shop) as engine:
        assert (await ask(engine))[0] is Verdict.PASS
        reviewed(shop, {"id": "new", "title": "New", "file": {"path": "deploy.py"}})
        verdict, observed, message = await ask(engine)
        assert (verdict, observed["unverified"]) == (Verdict.UNKNOWN, 1)
        assert "New" in message
        (shop.root / "checklists" / "readiness.yaml").write_text("checklist: [")
        assert (await ask(engine))[0] is Verdict.UNKNOWN


async def test_a_new_commit_makes_what_was_read_from_files_unverified(shop: Shop) -> None:
    reviewed(shop)
    repo = Repo(shop.root)
    repo.write(".gitignore", "state/\n")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "all")
    async with review(shop) as other:
        await check(other)
        await other.sign("rota", "approve")
    async with captain(shop) as engine:
        verdict, observed, _ = await ask(engine)
        assert (verdict, observed["commit"]) == (Verdict.PASS, repo.git("rev-parse", "HEAD"))
        repo.write("more.md", "more")
        repo.git("add", "-A")
        repo.git("commit", "-q", "-m", "more")
        assert (await ask(engine))[0] is Verdict.UNKNOWN


OWN = {"id": "own", "title": "Own score", "score": {"checklist": "readiness"}}
ABOVE = {"id": "above", "title": "Above", "needs": ["own"], "file": {"path": "nowhere.txt"}}
STANDS_FOR = {"id": "again", "title": "Again", "alias": "own"}
SECOND = {"id": "second", "title": "Second", "score": {"checklist": "readiness"}, "expect": "low >= 0 && go"}


async def test_a_review_that_asks_for_its_own_score_does_not_count_itself_or_what_rests_on_it(shop: Shop) -> None:
    reviewed(shop, OWN, ABOVE, STANDS_FOR, SECOND)
    async with review(shop) as engine:
        await check(engine)
        await engine.sign("rota", "approve")
        first = await ask(engine, "own")
        assert first[0] is Verdict.PASS, first[2]
        assert (await ask(engine, "second"))[0] is Verdict.PASS
        await engine.measure("above")
        assert found(engine, "above").verdict is Verdict.FAIL
        again = await ask(engine, "own")
        for one in (first, again):
            one[1].pop("age")
        assert again == first, "nothing of what rests on it changes it"


async def test_its_own_old_verdict_never_holds_a_score_down(shop: Shop) -> None:
    reviewed(shop, OWN)
    shop.health = 503
    async with review(shop) as engine:
        await check(engine)
        await engine.sign("rota", "approve")
        assert (await ask(engine, "own"))[0] is Verdict.FAIL
        shop.health = 200
        await engine.measure("healthy")
        assert found(engine, "own").stale, "what it sums up is another now"
        assert (await ask(engine, "own"))[0] is Verdict.PASS


async def test_a_score_is_stale_as_soon_as_anybody_measures_signs_or_takes_back(shop: Shop) -> None:
    reviewed(shop, OWN)
    async with review(shop) as engine:
        await check(engine)
        assert (await ask(engine, "own"))[0] is Verdict.UNKNOWN
        await engine.sign("rota", "approve", "a week each")
        assert found(engine, "own").state == "stale"
        assert (await ask(engine, "own"))[0] is Verdict.PASS
        assert found(engine, "own").state == "measured"
        signed = found(engine, "rota").signed[0]
        await engine.withdraw(signed.seq, "there is none")
        assert found(engine, "own").state == "stale"
        assert (await ask(engine, "own"))[0] is Verdict.UNKNOWN
        await engine.waive("own", "known", "karen", engine.view().now + timedelta(days=1))
        assert found(engine, "own").stale_why is None, "what is said of the score itself changes nothing of it"


async def test_what_sums_up_is_asked_behind_all_that_it_counts(shop: Shop) -> None:
    reviewed(shop, OWN, {"id": "late", "title": "Late", "file": {"path": "deploy.py"}})
    async with review(shop) as engine:
        await check(engine)
        await engine.sign("rota", "approve")
        await engine.measure_section("sum")
        assert found(engine, "own").verdict is Verdict.PASS
        assert not found(engine, "own").stale
    order = [event.data["step"] for event in shop.recorded("step.result")]
    assert order[-2:] == ["late", "own"]


async def test_whoever_asks_gets_the_number_that_the_review_itself_has(shop: Shop) -> None:
    from captain.score import score

    reviewed(shop, OWN, expect="low >= 0")
    async with review(shop, actor=BOB) as other, captain(shop) as engine:
        await check(other, "infra", "sum")
        _, observed, _ = await ask(engine)
        whole = score(other.view())
        assert (observed["low"], observed["high"]) == (whole.low, whole.high)
        assert observed["unverified"] == 2, "seen from another run its own step is one like any other"
        assert found(other, "own").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("words", ["score: { }", "score: { checklist: '${{ vars.url }}' }"])
def test_a_score_names_its_checklist(shop: Shop, words: str) -> None:
    reviewed(shop)
    path = shop.root / "checklists" / "readiness.yaml"
    path.write_text(path.read_text().replace("file:\n      path: deploy.py", words))
    assert any("checklist" in problem.key or "checklist" in problem.message for problem in lint([path], cwd=shop.root))


def test_a_checklist_that_has_no_review_is_noted_and_no_error(shop: Shop) -> None:
    reviewed(shop, OWN, expect="go")
    paths = [shop.root / "checklists" / name for name in ("deploy.yaml", "readiness.yaml")]
    assert lint(paths, cwd=shop.root) == []
    for name, why in (("nowhere", "is no checklist"), ("deploy", "is not per: service")):
        reviewed(shop, score={"checklist": name})
        (note,) = lint(paths, cwd=shop.root)
        assert (note.severity, note.key.rpartition(".")[2]) == ("note", "checklist")
        assert why in note.message


async def test_a_review_of_which_nothing_applies_has_no_number(shop: Shop) -> None:
    reviewed(shop, expect="low == 0")
    path = shop.root / "checklists" / "readiness.yaml"
    review_of_nothing = yaml.safe_load(path.read_text())
    async with review(shop) as other:
        await check(other)
    for section in review_of_nothing["sections"]:
        for step in section["steps"]:
            step["disabled"] = "not ours"
    path.write_text(yaml.safe_dump(review_of_nothing, sort_keys=False))
    async with captain(shop) as engine:
        verdict, observed, _ = await ask(engine)
        assert (verdict, observed["decision"]) == (Verdict.UNKNOWN, "NO-GO: unverified")
        assert not {"low", "high", "percent", "label", "go"} & set(observed)
