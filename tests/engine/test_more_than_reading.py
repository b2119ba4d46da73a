"""A step that does more than read runs only by itself, where it may, recorded before and after whatever happens."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from captain.engine import Engine
from captain.errors import CaptainError, NeedsConfirmation, ProblemsError, Refusal
from captain.loader import lint
from captain.run import allowed
from captain.run.gates import readiness
from tests.engine.stories import BOB, captain, found, until
from tests.shop import CHECKLIST, SERVICE, Shop
from tests.stirring import stirred

HEAD = """\
checklist: deploy
title: Deployment
sections:
  - id: pre
    title: Before
    phase: pre
    steps:
"""
TAIL = CHECKLIST[CHECKLIST.index("  - id: deploy") :]
DRILL = "- { id: stirred, title: Stirred, stir: { say: SAY } }"


def write(shop: Shop, steps: str = DRILL, *, say: str = "moved", allow: str = "[active, drill]") -> None:
    """A checklist whose first section has these steps, in environments that allow this."""
    steps = steps.replace("SAY", say).replace("{", "{{").replace("}", "}}")
    indented = "".join(f"      {line}\n" for line in steps.strip("\n").splitlines())
    service = SERVICE.replace("staging: {{}}", f"staging: {{{{ allow: {allow} }}}}")
    service = service.replace("protected: true", f"protected: true, allow: {allow}")
    shop.write(service, HEAD + indented + TAIL)


def step(engine: Engine, name: str = "stirred") -> Any:
    at = engine.view().step(name)
    assert at is not None
    return at[1]


async def test_nothing_but_act_runs_it(shop: Shop) -> None:
    write(
        shop,
        """
- { id: stirred, title: Stirred, stir: {} }
- { id: same, title: Same, alias: stirred }
""",
    )
    async with captain(shop) as engine:
        with pytest.raises(Refusal, match="it runs only by itself") as caught:
            await engine.measure("stirred")
        assert caught.value.hint == "a runs it"
        await engine.measure_section("pre")
        with pytest.raises(Refusal, match=r"drill: it runs only by itself \(key a, or captain act\)") as gated:
            await engine.gate("pre", "go")
        assert gated.value.exit_code == 3
        assert found(engine, "stirred").state == "todo"
        assert found(engine, "same").verdict == "unknown"
        assert stirred(shop.root) == []
        await engine.act("stirred")
        await engine.measure("same")
        assert (found(engine, "stirred").verdict, found(engine, "same").verdict) == ("pass", "pass")
        await engine.gate("pre", "go")
    assert stirred(shop.root) == ["begun", "cleaned"]


async def test_it_is_recorded_before_and_after(shop: Shop) -> None:
    write(shop, "- { id: stirred, title: Stirred, stir: { say: '${{ release.version }}' } }")
    async with captain(shop) as engine:
        await engine.act("stirred")
    intent, result = shop.recorded("step.intent", "step.result")
    assert (intent.type, intent.data["safety"], result.data["purpose"]) == ("step.intent", "drill", "drill")
    assert intent.data["attempt"] == result.data["attempt"]
    assert intent.data["does"] == ["stirs the pot: 1.5.0", "afterwards: wipes the spoon"]
    assert (shop.root / "stirred").read_text().startswith("shop-staging-1.5.0 staging begun\n")


@pytest.mark.parametrize(("say", "verdict"), [("stuck", "fail"), ("nothing", "unknown")])
async def test_what_it_saw_is_judged_like_everything_else(shop: Shop, say: str, verdict: str) -> None:
    write(shop, say=say)
    async with captain(shop) as engine:
        await engine.act("stirred")
        assert (found(engine, "stirred").verdict, found(engine, "stirred").state) == (verdict, "measured")


async def test_where_the_environment_does_not_allow_it_the_line_to_add_is_said(shop: Shop) -> None:
    write(shop, allow="[active]")
    async with captain(shop) as engine:
        with pytest.raises(Refusal, match=r"environments\.staging\.allow does not name it") as caught:
            await engine.act("stirred")
        assert caught.value.hint == "in captain.yaml: environments: { staging: { allow: [active, drill] } }"
        assert "not name it" in found(engine, "stirred").message
    assert stirred(shop.root) == [] and shop.recorded("step.intent") == []
    notes = [one for one in lint([], cwd=shop.root) if one.severity == "note"]
    assert {"stirred is drill, which staging does not allow", "stirred is drill, which production does not allow"} == {
        one.message for one in notes
    }


async def test_a_protected_environment_asks_for_its_name(shop: Shop) -> None:
    write(shop)
    async with captain(shop, environment="production") as engine:
        with pytest.raises(NeedsConfirmation, match="this drill needs the environment's name typed: production"):
            await engine.act("stirred")
        assert stirred(shop.root) == []
        await engine.act("stirred", confirmed="production")
    assert shop.recorded("step.intent")[0].data["confirmed"] == "production"


async def test_a_check_and_a_reader_run_nothing(shop: Shop) -> None:
    write(shop)
    async with captain(shop, None) as engine:
        await engine.open(None, kind="check")
        with pytest.raises(Refusal, match="only measures"):
            await engine.act("stirred")
    async with captain(shop) as engine:
        pass
    async with captain(shop, None, read_only=True) as engine:
        await engine.resume("shop-staging-1.5.0", quiet=True)
        with pytest.raises(Refusal, match="read-only"):
            await engine.act("stirred")
    assert stirred(shop.root) == []


MIXED = """
- id: stirred
  title: Stirred
  probes:
    live: { http: { url: '${{ vars.url }}/healthz' } }
    pot: { stir: {} }
  expect: [live.status == 200, pot.moved]
  warn: [live.status == 200]
"""


async def test_where_it_can_never_run_the_reading_half_still_counts(shop: Shop) -> None:
    write(shop, MIXED, allow="[]")
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        assert found(engine, "stirred").verdict == "warn"
        result = found(engine, "stirred").result
        assert result is not None and result.max_age_ms == 15 * 60 * 1000, "it is as soon old as what was asked"
        shop.health = 500
        await engine.measure("stirred")
        assert found(engine, "stirred").verdict == "fail"
    write(shop, MIXED)
    async with captain(shop, None) as engine:
        await engine.open(None, kind="check")
        await engine.measure("stirred", "check")
        assert found(engine, "stirred").verdict == "fail"
    assert stirred(shop.root) == []


async def test_what_kept_the_reading_half_from_being_measured_is_said(shop: Shop) -> None:
    """Not only that the other half was not run: the captain must know what would make it known."""
    nobody = MIXED.replace("'${{ vars.url }}/healthz'", "'http://127.0.0.1:9/'")
    write(shop, nobody, allow="[]")
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        half = found(engine, "stirred")
        assert half.verdict == "fail", "the product is down, whatever was not run"
        assert "pot was not run" in half.message and "127.0.0.1:9/: connection refused" in half.message
    away = MIXED.replace("http: { url: '${{ vars.url }}/healthz' }", "docker: { host: 'unix:///nowhere.sock' }")
    write(shop, away.replace("live.status == 200", "live.matched > 0"), allow="[]")
    async with captain(shop, "1.6.0") as engine:
        await engine.measure_section("pre")
        half = found(engine, "stirred")
        assert half.verdict == "unknown"
        assert "pot was not run" in half.message and "nowhere.sock: cannot connect" in half.message
        assert "not observed" not in half.message


async def test_where_it_may_run_the_reading_half_alone_is_not_taken_for_it(shop: Shop) -> None:
    write(shop, MIXED)
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        assert found(engine, "stirred").state == "todo"
        await engine.act("stirred")
        assert found(engine, "stirred").verdict == "pass"


async def test_it_runs_once_at_a_time(shop: Shop) -> None:
    write(shop, say="wait")
    async with captain(shop) as engine:
        first = asyncio.ensure_future(engine.act("stirred"))
        await until(lambda: stirred(shop.root))
        assert found(engine, "stirred").state == "measuring"
        for other in (engine.act("stirred"), engine.gate("pre", "go"), engine.abort("no")):
            with pytest.raises(Refusal, match="still running"):
                await other
        async with captain(shop, None, actor=BOB) as second:
            await second.resume("shop-staging-1.5.0", quiet=True)
            with pytest.raises(Refusal, match=r"karen@example.com runs stirred in staging since .* UTC"):
                await second.act("stirred")
        (shop.root / "go").touch()
        await first
        assert found(engine, "stirred").verdict == "pass"
    assert stirred(shop.root) == ["begun", "cleaned"]


async def test_a_drill_waits_for_nobodys_deployment(shop: Shop) -> None:
    """While somebody deploys here, an experiment would be taken for the deployment's doing."""
    write(shop, "- { id: told, title: Told, manual: Tell them. }\n" + DRILL + "\n- { id: z, title: Z, manual: Z }")
    async with captain(shop, "1.5.0") as engine, captain(shop, "1.6.0", actor=BOB) as other:
        for name in ("told", "z"):
            await engine.sign(name, "approve", "yes")
        await engine.act("stirred")
        await engine.gate("pre", "go")
        with pytest.raises(Refusal, match="is held by karen"):
            await other.act("stirred")


async def test_closing_captain_breaks_it_off_cleaned_up_and_recorded(shop: Shop) -> None:
    write(shop, say="wait")
    async with captain(shop) as engine:
        running = asyncio.ensure_future(engine.act("stirred"))
        await until(lambda: stirred(shop.root))
        await engine.close()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert stirred(shop.root) == ["begun", "cleaned"]
    intent, result = shop.recorded("step.intent", "step.result")
    assert result.data["attempt"] == intent.data["attempt"]
    assert (result.data["verdict"], result.data["message"]) == ("unknown", "broken off: what it left behind is unknown")


async def test_whoever_stops_waiting_leaves_it_running(shop: Shop) -> None:
    write(shop, say="wait")
    async with captain(shop) as engine:
        running = asyncio.ensure_future(engine.act("stirred"))
        await until(lambda: stirred(shop.root))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (shop.root / "go").touch()
        await until(lambda: found(engine, "stirred").verdict == "pass")


async def test_a_captain_killed_in_the_middle_leaves_it_unknown_until_it_is_run_again(shop: Shop) -> None:
    write(shop, say="wait")
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.stirring", str(shop.root)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "begun\n"
    async with captain(shop, None) as other:
        await other.resume("shop-staging-1.5.0", quiet=True)
        assert found(other, "stirred").state == "measuring"
        with pytest.raises(Refusal, match="still running"):
            await other.act("stirred")
    worker.kill()
    worker.communicate(timeout=10)
    async with captain(shop, "1.5.0") as engine:
        seen = found(engine, "stirred")
        assert (seen.state, seen.verdict, seen.counts) == ("measured", "unknown", False)
        assert "nobody saw its end: what it left behind is unknown" in seen.message
        section = engine.view().section
        assert section is not None
        assert readiness(engine.view(), section).exit_code == 3
        (shop.root / "go").touch()
        await engine.act("stirred", again=True)
        assert found(engine, "stirred").verdict == "pass"
    assert stirred(shop.root) == ["begun", "begun", "cleaned"]


async def test_an_older_pass_does_not_hide_that_the_newest_start_is_lost(shop: Shop) -> None:
    write(shop, say="wait")
    (shop.root / "go").touch()
    async with captain(shop) as engine:
        await engine.act("stirred")
        assert found(engine, "stirred").counts
    (shop.root / "go").unlink()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.stirring", str(shop.root)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    worker.kill()
    worker.communicate(timeout=10)
    async with captain(shop) as engine:
        assert (found(engine, "stirred").verdict, found(engine, "stirred").counts) == ("unknown", False)


async def test_what_cannot_be_worked_out_is_refused_before_anything_is_done(shop: Shop) -> None:
    write(shop, "- { id: stirred, title: Stirred, stir: { say: '${{ previous.tag }}' } }")
    async with captain(shop) as engine:
        with pytest.raises(CaptainError, match=r"previous\.tag"):
            await engine.act("stirred")
    assert shop.recorded("step.intent") == [] and stirred(shop.root) == []


async def test_a_step_of_another_section_or_without_what_it_needs_waits(shop: Shop) -> None:
    write(shop, "- { id: told, title: Told, manual: Tell. }\n- { id: stirred, title: S, stir: {}, needs: [told] }")
    text = (shop.root / "checklists" / "deploy.yaml").read_text()
    late = "      - { id: late, title: Late, stir: {} }\n"
    (shop.root / "checklists" / "deploy.yaml").write_text(text + late)
    async with captain(shop) as engine:
        with pytest.raises(Refusal, match="needs told"):
            await engine.act("stirred")
        with pytest.raises(Refusal, match="late belongs to Post-deployment, which is not open"):
            await engine.act("late")
        assert allowed.act(engine.view(), step(engine, "told")) is not None


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ("- { id: a, title: A, stir: {}, within: 10m }", "within has no effect: the step is drill"),
        ("- { id: a, title: A, stir: {}, retry: { attempts: 3 } }", "retry has no effect"),
    ],
)
def test_keys_that_would_repeat_it_are_refused(shop: Shop, steps: str, sentence: str) -> None:
    write(shop, steps)
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    assert any(sentence in one.message for one in caught.value.problems)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("running: {{ http: {{ url: '${{{{ vars.url }}}}/version' }}, version: json.version }}",
         "running: {{ stir: {{}}, version: 'string(moved)' }}", "running only reads, and stir is drill"),
        ("verify: [deploy/checkout-works]", "verify: [deploy/stirred]", "it runs only by itself, so it proves no"),
    ],
)  # fmt: skip
def test_what_proves_a_release_only_reads(shop: Shop, old: str, new: str, sentence: str) -> None:
    write(shop)
    steps = "".join(f"      {line}\n" for line in DRILL.replace("SAY", "moved").splitlines())
    shop.write(SERVICE.replace(old, new), HEAD + steps.replace("{", "{{").replace("}", "}}") + TAIL)
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    assert any(sentence in one.message for one in caught.value.problems)


async def test_an_action_is_seen_by_what_only_reads(shop: Shop) -> None:
    tail = TAIL.replace("http: {{ url: '${{{{ vars.url }}}}/version' }}", "stir: {{}}", 1)
    tail = tail.replace("expect: ['json.version == release.version']", "expect: [moved]", 1)
    shop.write(SERVICE, HEAD + "      - {{ id: a, title: A, manual: A }}\n" + tail)
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    assert any("observe only reads, and stir is drill" in one.message for one in caught.value.problems)


async def test_an_active_step_is_asked_as_active_and_a_drill_beside_it_makes_the_whole_a_drill(shop: Shop) -> None:
    write(
        shop,
        """
- { id: poked, title: Poked, stir: { level: active } }
- { id: both, title: Both, probes: { a: { stir: { level: active } }, b: { stir: {} } }, expect: [a.moved, b.moved] }
""",
        allow="[active]",
    )
    async with captain(shop) as engine:
        await engine.act("poked")
        assert found(engine, "poked").verdict == "pass"
        with pytest.raises(Refusal, match="both is drill"):
            await engine.act("both")
    assert [one.data["purpose"] for one in shop.recorded("step.result")] == ["active"]


async def test_a_rollback_does_not_wait_for_an_experiment(shop: Shop) -> None:
    """It breaks the experiment off, cleaned up and recorded, wherever it runs."""
    write(shop, "- { id: told, title: Told, manual: Tell them. }")
    path = shop.root / "checklists" / "deploy.yaml"
    path.write_text(path.read_text() + "      - { id: late, title: Late, stir: { say: wait } }\n")
    async with captain(shop) as engine:
        await engine.sign("told", "approve", "yes")
        await engine.gate("pre", "go")
        await engine.act("roll-out")
        await engine.gate("deploy", "go")
        running = asyncio.ensure_future(engine.act("late"))
        await until(lambda: stirred(shop.root))
        await engine.roll_back(await engine.plan_rollback())
        assert engine.view().run.state == "rolled_back"
        await asyncio.gather(running, return_exceptions=True)
        await until(lambda: len(shop.recorded("step.result")) > 0 and stirred(shop.root)[-1] == "cleaned")
        assert found(engine, "late").verdict == "unknown"
    (result,) = [one for one in shop.recorded("step.result") if one.data["step"] == "late"]
    assert result.data["message"] == "broken off: what it left behind is unknown"


async def test_the_reading_half_alone_has_no_more_patience_than_reading_needs(shop: Shop) -> None:
    from captain.engine.plans import plan_of

    write(shop, MIXED.replace("pot: { stir: {} }", "pot: { drill: { steps: [{ do: signal, target: a, args: "
          "{ signal: KILL } }] } }").replace("pot.moved", "pot.ok"))  # fmt: skip
    async with captain(shop) as engine:
        asked = step(engine)
        assert plan_of(asked).timeout.total_seconds() == 10
        assert plan_of(asked, permitted="drill").timeout.total_seconds() == 600


async def test_the_sections_of_a_review_wait_for_nobody(shop: Shop) -> None:
    """They are categories: a drill of the second is run although the first is not closed."""
    write(shop)
    (shop.root / "checklists" / "deploy.yaml").write_text(
        "checklist: deploy\ntitle: Review\nper: service\nsections:\n"
        "  - { id: one, title: One, steps: [{ id: told, title: Told, manual: Tell. }] }\n"
        "  - { id: two, title: Two, steps: [{ id: stirred, title: Stirred, stir: {} }] }\n"
    )
    text = (shop.root / "captain.yaml").read_text()
    (shop.root / "captain.yaml").write_text(text[: text.index("rollback:")])
    async with captain(shop, "1") as engine:
        await engine.act("stirred")
        assert found(engine, "stirred").verdict == "pass"
