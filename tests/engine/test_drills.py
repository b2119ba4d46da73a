"""An experiment on the running shop: steady before, done, waited for, cleaned up whatever happens, all of it told."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.engine import Engine
from captain.errors import ProblemsError
from captain.trust import request
from tests.engine.drills import drill
from tests.engine.stories import captain, found, until
from tests.shop import Shop

HEALTH = {"web": {"http": {"url": "${{ vars.url }}/version"}}}


def python(script: str, *arguments: str) -> dict[str, Any]:
    return {"do": "run", "args": {"run": [sys.executable, "-c", script, *arguments]}}


def writes(name: str, text: str = "x") -> dict[str, Any]:
    return python("import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])", name, text)


def evidence(shop: Shop) -> dict[str, Any]:
    """What the newest result keeps of its first probe."""
    result = shop.recorded("step.result")[-1]
    with shop.log(read_only=True) as log:
        blob = log.evidence(result.data["probes"][0]["evidence"])
    assert blob is not None
    return dict(json.loads(blob.data))


async def test_a_system_that_comes_through_passes(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": HEALTH,
            "steady": "web.status == 200 && web.json.version == '1.4.0'",
            "steps": [
                writes("current", "1.5.0"),
                {
                    "until": ["web.json.version == '1.5.0'", "web.json.version != before.web.json.version"],
                    "within": "5s",
                },
            ],
            "cleanup": [writes("current", "1.4.0")],
        },
        expect=[
            "ok",
            "cleaned_up",
            "ran",
            "recovery <= duration('5s')",
            "seen.web.status == 200",
            "size(timeline) > 2",
        ],
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert (seen.verdict, seen.message) != ("fail", "")
        assert seen.verdict == "pass", seen.message
    assert shop.current == "1.4.0"
    kept = evidence(shop)
    assert [one["what"].split(":")[0] for one in kept["observed"]["timeline"]] == [
        "steady", f"runs {sys.executable} -c 'import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])' "
        "current 1.5.0", "exit 0", "came true", "cleanup", "exit 0"
    ]  # fmt: skip


async def test_nothing_is_done_where_the_steady_state_does_not_hold(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": HEALTH,
            "steady": "web.json.version == '9.9.9'",
            "steps": [writes("done"), {"until": "web.status == 200"}],
            "cleanup": [writes("cleaned")],
        },
        on_error="fail",
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert seen.verdict == "unknown"
        assert "before anything was done: the steady state does not hold" in seen.message
        assert seen.message.endswith("nothing was done")
    assert not (shop.root / "done").exists() and not (shop.root / "cleaned").exists()


async def test_a_system_that_does_not_come_through_fails_and_is_cleaned_up(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": HEALTH,
            "steps": [writes("current", "1.5.0"), {"until": "web.json.version == '1.4.0'", "within": "1s"}],
            "cleanup": [python("raise SystemExit('no')"), writes("current", "1.4.0")],
        },
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert seen.verdict == "fail" and "ok = false" in seen.message and "cleaned_up = false" in seen.message
        assert seen.result is not None
        assert seen.result.observed["failed_at"].startswith("step 2, waits at most 1s until")
        told = "did not come true in time: step 2, web.json.version == '1.4.0': "
        assert f'{told}web.json.version = "1.5.0"' in seen.message
        assert "recovery" not in seen.result.observed
    # The second half of the cleanup is done although the first did not work.
    assert shop.current == "1.4.0"


async def test_what_nobody_could_see_is_unknown_not_failed_and_not_passed(shop: Shop) -> None:
    """The instrument is gone: a probe whose program is not there."""
    drill(
        shop,
        {
            "probes": {"eye": {"command": {"run": ["./no-such"]}}},
            "steps": [writes("done"), {"until": "eye.exit_code == 0", "within": "1s", "every": "100ms"}],
            "cleanup": [writes("cleaned")],
        },
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert seen.verdict == "unknown"
        assert "nobody can say whether it came true" in seen.message and seen.message.endswith("; cleaned up")
    assert (shop.root / "cleaned").exists()


async def test_a_product_that_stays_down_is_a_failure(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": {"web": {"http": {"url": "http://127.0.0.1:1/"}}},
            "steps": [writes("done"), {"until": "web.status == 200", "within": "1s", "every": "100ms"}],
        },
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "fail"


async def test_a_thing_that_could_not_be_done_is_unknown_and_cleaned_up(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": HEALTH,
            "steps": [python("raise SystemExit('the queue is gone')"), {"until": "web.status == 200"}],
            "cleanup": [writes("cleaned")],
        },
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert seen.verdict == "unknown" and "exit 1: the queue is gone; cleaned up" in seen.message
    assert (shop.root / "cleaned").exists()


async def test_closing_captain_breaks_it_off_and_cleans_up(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": HEALTH,
            "steps": [writes("begun"), {"until": "web.status == 500", "within": "60s"}],
            "cleanup": [writes("cleaned")],
        },
    )
    async with captain(shop) as engine:
        running = asyncio.ensure_future(engine.act("drilled"))
        await until(lambda: (shop.root / "begun").exists())
        await engine.close()
        await asyncio.gather(running, return_exceptions=True)
    assert (shop.root / "cleaned").exists()
    result = shop.recorded("step.result")[-1]
    assert result.data["verdict"] == "unknown"
    assert result.data["message"].endswith("broken off; cleaned up")


async def test_the_steps_time_ends_it_and_the_cleanup_has_its_own(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": HEALTH,
            "steps": [writes("begun"), {"until": "web.status == 500", "within": "60s"}],
            "cleanup": [python("import time; time.sleep(60)"), writes("cleaned")],
        },
        timeout="6s",
    )
    async with captain(shop) as engine:
        began = time.monotonic()
        await engine.act("drilled")
        assert time.monotonic() - began < 7
        seen = found(engine, "drilled")
        assert seen.verdict == "unknown"
        assert "the step's time of 6s is over; NOT cleaned up: runs" in seen.message
    assert (shop.root / "cleaned").exists()


async def test_what_it_says_and_sees_keeps_secrets(shop: Shop) -> None:
    move = python("import os, sys; sys.exit(os.environ['T'])")
    move["args"]["env"] = {"T": "${{ secrets.SHOP_TOKEN }}"}
    drill(shop, {"probes": HEALTH, "steps": [move, {"until": "web.status == 200"}]})
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert "exit 1" in found(engine, "drilled").message
    secret = shop.environ["SHOP_TOKEN"]
    assert secret not in repr(shop.recorded()) and secret not in json.dumps(evidence(shop))


def test_every_program_of_a_drill_is_shown_before_it_is_trusted(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": {"eye": {"command": {"run": ["./look"]}}},
            "steps": [
                {"do": "run", "args": {"run": "./fault on", "env": {"A": "1"}}},
                {"do": "exec", "target": "shop_web", "args": {"run": ["publish", "one"]}},
                {"until": "eye.exit_code == 0"},
            ],
            "cleanup": [{"do": "run", "args": {"run": ["./fault", "off"]}}],
        },
    )
    asked = request(shop.engine().target)
    assert asked is not None
    shown = [(one.run, one.env, one.container) for one in asked.programs]
    assert ("./fault on", ("A",), None) in shown
    assert (("publish", "one"), (), "shop_web") in shown
    assert (("./fault", "off"), (), None) in shown and (("./look",), (), None) in shown


GOOD: dict[str, Any] = {
    "probes": HEALTH,
    "steps": [{"do": "run", "args": {"run": ["true"]}}, {"until": "web.status == 200"}],
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steady": "web.statuss == 200"}, "statuss"),
        ({"steady": 'web.status == "200"'}, "cannot compare a whole number and a text"),
        ({"steps": [GOOD["steps"][0], {"until": "nothing.here > 1"}]}, "nothing"),
        ({"steps": [GOOD["steps"][0]]}, "ends without until"),
        ({"steps": [{"until": "web.status == 200"}]}, "does nothing"),
        ({"steps": []}, "steps"),
        ({"steps": [{**GOOD["steps"][0], "for": "1s"}, GOOD["steps"][1]]}, "for has no effect beside do"),
        ({"steps": [{"do": "signal", "target": "a"}]}, "names no args.signal for signal"),
        ({"steps": [{"do": "signal", "args": {"signal": "KILL"}}]}, "names no target for signal"),
        ({"steps": [{"do": "run", "target": "a", "args": {"run": ["x"]}}]}, "names a target, which run"),
        ({"steps": [{"do": "exec", "target": "a", "args": {"signal": "KILL", "run": ["x"]}}]}, "names args.signal"),
        ({"steps": [{"do": "nuke", "target": "a"}]}, "do takes signal, exec or run"),
        ({"steps": [{"until": "web.status == 200", "do": "run"}]}, "takes either do or until"),
        ({"steps": [{"dow": "run"}]}, "did you mean do"),
        ({"cleanup": [{"until": "web.status == 200"}]}, "only do stands in cleanup"),
        ({"probes": {}}, "asks no probes"),
        ({"probes": {"web": {"htp": {"url": "x"}}}}, "did you mean http"),
        ({"probes": {"web": {"http": {"urll": "http://x"}}}}, "did you mean url"),
        ({"probes": {"web": {"alias": "x"}}}, "alias does not stand inside drill"),
        ({"probes": {"web": {"drill": GOOD}}}, "drill does not stand inside drill"),
        ({"probes": {"now": {"http": {"url": "http://x"}}}}, "now means something else"),
        ({"steps": [{"do": "run", "args": {"run": "a ${{ vars.url }}"}}, GOOD["steps"][1]]}, "give it through env"),
        ({"steps": [{"do": "run", "args": {"run": ["${{ secrets.X }}"]}}, GOOD["steps"][1]]}, "a secret does not"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(shop: Shop, change: dict[str, Any], sentence: str) -> None:
    drill(shop, {**GOOD, **change})
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    told = [f"{one.message}; {one.hint}" for one in caught.value.problems if one.severity == "error"]
    assert any(sentence in one for one in told), told
    assert all(one.line > 5 and one.key.startswith("sections[0].steps[0]") for one in caught.value.problems)


def test_a_condition_that_lies_is_told_at_its_own_column(shop: Shop) -> None:
    drill(shop, {**GOOD, "steady": "web.status == 200 && web.statuss > 1"})
    with pytest.raises(ProblemsError) as caught:
        shop.engine()
    (problem,) = caught.value.problems
    text = (shop.root / "checklists" / "deploy.yaml").read_text().splitlines()
    assert text[problem.line - 1][problem.column - 1 :].startswith("web.statuss")
    assert problem.key == "sections[0].steps[0].drill.steady"


async def test_a_drill_is_meant_for_the_environments_that_it_names(shop: Shop) -> None:
    drill(shop, {**GOOD, "environments": ["qa"]})
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert "meant for qa, not for staging: nothing was done" in found(engine, "drilled").message


async def test_a_captain_killed_in_the_middle_says_what_it_did_and_that_nobody_cleaned_up(shop: Shop) -> None:
    drill(
        shop,
        {
            "probes": HEALTH,
            "steps": [writes("begun"), {"until": "web.status == 500", "within": "60s"}],
            "cleanup": [writes("cleaned")],
        },
    )
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom tests.engine.test_drills import walk\n"
        "asyncio.run(walk(Path(sys.argv[1])))"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, str(shop.root)], cwd=Path(__file__).parents[2])
    await until(lambda: (shop.root / "begun").exists(), 20)
    worker.kill()
    worker.wait(10)
    assert not (shop.root / "cleaned").exists()
    async with captain(shop) as engine:
        assert "nobody saw its end" in found(engine, "drilled").message
    (intent,) = shop.recorded("step.intent")
    assert intent.data["does"][-1].startswith("afterwards runs ")


async def walk(root: Path) -> None:
    """Begin the drill of a shop and never come to its end."""
    from captain.clock import SystemClock
    from captain.events import Actor
    from captain.loader import load
    from captain.log.store import Log
    from captain.settings import Settings

    actor = Actor("karen@example.com", "flag", "karen", 1000, "testhost")
    settings = Settings(root / "state" / "log.sqlite")
    engine = Engine(
        load("deploy", "staging", cwd=root),
        Log.open(settings.log, clock=SystemClock(), actor=actor),
        settings=settings,
        actor=actor,
        publish=lambda event: None,
        environ={"PATH": os.environ["PATH"], "HOME": str(root)},
    )
    await engine.open("1.5.0")
    asked = engine.trust()
    assert asked is not None
    await engine.accept(asked.digest)
    await engine.act("drilled")


def test_times_are_told_as_durations() -> None:
    from captain.probes.drill import DrillProbe

    probe = DrillProbe.model_validate({**GOOD, "probes": {"web": {"http": {"url": "http://x"}}}})
    assert (probe.safety, probe.timeout, list(probe.inner)) == ("drill", timedelta(minutes=10), ["web"])
    assert probe.asks() == "runs true; waits at most 30s until web.status == 200"


COUNT = {"eye": {"command": {"run": "echo >> looks; wc -l < looks", "parse": "int"}}}
"""The first look, before anything is done, sees 1."""


async def test_what_must_stay_true_begins_again_where_it_did_not(shop: Shop) -> None:
    wait = {"until": "eye.value != 3", "within": "5s", "every": "100ms", "for": "300ms"}
    drill(shop, {"probes": COUNT, "steps": [writes("done"), wait]}, expect=["ok", "recovery < duration('2s')"])
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "pass", found(engine, "drilled").message
    kept = evidence(shop)
    told = [one["what"].split(":")[0] for one in kept["observed"]["timeline"]]
    assert told[-4:] == ["came true", "came true and did not stay true", "came true", "stayed true for 0.3s"]
    assert any("came true and did not stay true" in note for note in kept["notes"])


async def test_what_does_not_stay_true_in_time_fails(shop: Shop) -> None:
    wait = {"until": "eye.value % 3 != 0", "within": "1s", "every": "50ms", "for": "10s"}
    drill(shop, {"probes": COUNT, "steps": [writes("done"), wait]})
    async with captain(shop) as engine:
        began = time.monotonic()
        await engine.act("drilled")
        assert time.monotonic() - began < 4
        assert found(engine, "drilled").verdict == "fail", found(engine, "drilled").message


async def test_what_is_not_seen_any_more_did_not_stay_true(shop: Shop) -> None:
    """Two looks and then none: nobody can say."""
    eye = {"eye": {"command": {"run": "echo >> looks; test $(wc -l < looks) -lt 4 && echo 1", "parse": "int"}}}
    wait = {"until": "eye.value == 1", "within": "1s", "every": "100ms", "for": "1s"}
    drill(shop, {"probes": eye, "steps": [writes("done"), wait]})
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert seen.verdict == "unknown" and "nobody can say whether it came true" in seen.message, seen.message
