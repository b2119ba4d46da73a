"""Steps that do more than read, from a shell: only act runs them, and every other command says how."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.commands.conftest import Captain, as_published
from tests.engine.test_more_than_reading import MIXED, write
from tests.shop import Shop
from tests.stirring import stirred

RUN = "shop-staging-1.5.0"


def opened(shop: Shop, captain_says: Captain, environment: str = "staging") -> str:
    from tests.commands.conftest import digest

    said = captain_says("trust", "-e", environment, "--digest", digest(shop, environment))
    assert said.code == 0, said.err
    run = captain_says("run", "deploy", "-r", "1.5.0", "-e", environment, "--no-screen")
    assert run.code == 4, run.err
    return run.out.strip()


def test_act_says_what_it_will_do_runs_it_and_tells_the_verdict(shop: Shop, captain_says: Captain) -> None:
    write(shop)
    run = opened(shop, captain_says)
    said = captain_says("act", run, "stirred")
    assert (said.code, "pass" in said.out) == (0, True), said.err
    assert "stirs the pot: moved" in said.err and "afterwards: wipes the spoon" in said.err
    shown = captain_says("show", run)
    assert "starts the drill Stirred: stirs the pot: moved" in shown.out
    assert "drill: Stirred ✓ pass" in shown.out
    assert "step.intent" in captain_says("export", run, "--format", "csv", "-o", "-").out


def test_what_was_seen_decides_the_exit_code(shop: Shop, captain_says: Captain) -> None:
    write(shop, say="stuck")
    run = opened(shop, captain_says)
    assert captain_says("act", run, "stirred").code == 1
    write(shop, say="nothing")


def test_a_protected_environment_and_one_that_does_not_allow_it(shop: Shop, captain_says: Captain) -> None:
    write(shop)
    run = opened(shop, captain_says, "production")
    said = captain_says("act", run, "stirred")
    assert (said.code, "--confirm production" in said.err, stirred(shop.root)) == (4, True, [])
    assert captain_says("act", run, "stirred", "--confirm", "production").code == 0


def test_without_permission_the_line_to_add_is_said(shop: Shop, captain_says: Captain) -> None:
    write(shop, allow="[]")
    run = opened(shop, captain_says)
    said = captain_says("act", run, "stirred")
    assert said.code == 1
    assert "environments.staging.allow does not name it" in said.err
    assert "environments: { staging: { allow: [drill] } }" in said.err
    assert stirred(shop.root) == []


def test_check_never_runs_it_and_an_unmeasured_blocker_is_no_pass(shop: Shop, captain_says: Captain) -> None:
    write(shop)
    said = captain_says("check", "deploy", "-e", "staging", "-r", "1.5.0", "--no-manual", "--phase", "pre")
    assert (said.code, stirred(shop.root)) == (3, [])
    assert "drill: not run by check; captain act runs it in a release's run" in said.out
    found = captain_says("check", "deploy", "-e", "staging", "-r", "1.5.0", "--phase", "pre", "--json").json
    as_published(found)
    (step,) = found["sections"][0]["steps"]
    assert (step["verdict"], step["state"], step["safety"], found["exit_code"]) == ("unknown", "todo", "drill", 3)


def test_a_check_of_a_run_counts_what_was_run_in_it(shop: Shop, captain_says: Captain) -> None:
    write(shop)
    run = opened(shop, captain_says)
    words = ("check", "deploy", "-e", "staging", "--run", run, "--phase", "pre")
    before = captain_says(*words)
    assert before.code == 3
    assert "drill: it runs only by itself (key a, or captain act)" in before.out
    assert f"next: captain act {run} stirred" in captain_says("status", run).out
    captain_says("act", run, "stirred")
    assert captain_says(*words).code == 0
    assert stirred(shop.root) == ["begun", "cleaned"]


def test_a_check_measures_the_half_that_only_reads(shop: Shop, captain_says: Captain) -> None:
    write(shop, MIXED)
    said = captain_says("check", "deploy", "-e", "staging", "-r", "1.5.0", "--phase", "pre")
    assert said.code == 0 and "warn" in said.out and stirred(shop.root) == []


def test_lint_notes_where_it_does_not_run(shop: Shop, captain_says: Captain) -> None:
    write(shop, allow="[active]")
    said = captain_says("lint")
    assert said.code == 0
    assert (
        "note: stirred is drill, which staging does not allow; environments: { staging: { allow: [active, drill]"
        in (said.out)
    )


def test_ctrl_c_breaks_it_off_and_says_where_to_look(shop: Shop, captain_says: Captain) -> None:
    write(shop, say="wait")
    run = opened(shop, captain_says)
    script = "import sys, tests.stirring; from captain.__main__ import main; sys.exit(main(sys.argv[1:]))"
    root = Path(__file__).parents[2]
    act = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {script}", "act", run, "stirred"],
        cwd=shop.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not stirred(shop.root):
        assert time.monotonic() < deadline and act.poll() is None
        time.sleep(0.02)
    act.send_signal(signal.SIGINT)
    _, err = act.communicate(timeout=20)
    assert act.returncode == 130
    assert f"stirred was broken off; captain show {run} says what is known of it" in err
    assert stirred(shop.root) == ["begun", "cleaned"]
    assert shop.recorded("step.result")[-1].data["message"] == "broken off: what it left behind is unknown"
