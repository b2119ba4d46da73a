"""Ctrl-C, TERM and HUP in the middle of headless work: exit codes, what stays recorded, what goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from captain.errors import LogError
from tests.commands.conftest import Captain, Shell, digest
from tests.shop import CHECKLIST, SERVICE, Shop

PATIENCE = 20.0


def until(true: Callable[[], bool]) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def recorded(shop: Shop, kind: str) -> bool:
    try:
        return bool(shop.recorded(kind))
    except LogError:  # it is being made just now
        return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_check_keeps_what_it_measured(
    shop: Shop, shell: Shell, number: signal.Signals, code: int
) -> None:
    slow = CHECKLIST.replace("        expect: [status == 200]\n", "        expect: [status == 200]\n", 1)
    head, _, tail = slow.rpartition("        expect: [status == 200]\n")
    shop.write(SERVICE, f"{head}        expect: [status == 200]\n        every: 100ms\n        for: 1h\n{tail}")
    process = shell("check", "deploy", "-e", "staging")
    until(lambda: recorded(shop, "step.result"))
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (code, "")
    assert "what was measured is recorded" in err
    assert [event.data["step"] for event in shop.recorded("step.result")] == ["healthy-before"]
    end = shop.recorded("run.end")[0].data
    assert (end["state"], end["verdict"]) == ("checked", "unknown")
    assert len(shop.recorded("run.suspended")) == 0, "the run ended before"


def test_ctrl_c_leaves_an_action_running_and_says_how_to_look_again(
    shop: Shop, shell: Shell, captain_says: Captain
) -> None:
    captain_says("trust", "-e", "staging", "--digest", digest(shop))
    captain_says("run", "deploy", "-r", "1.4.1", "-e", "staging", "--no-screen")
    captain_says("sign", "on-call-told", "--approve")
    assert captain_says("gate", "pre", "--go").code == 0
    (shop.root / "delay").write_text("1.5")
    process = shell("act", "roll-out")
    until(lambda: bool(shop.effects))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "the action goes on" in err
    look = "check deploy -e staging --run shop-staging-1.4.1 --step roll-out"
    assert f"captain {look}" in err
    running = captain_says("status", "--json").json["sections"][1]["steps"][0]
    assert (running["state"], running["action"]["running"]) == ("measuring", True)
    until(lambda: shop.current == "1.4.1")
    until(lambda: not captain_says("status", "--json").json["sections"][1]["steps"][0]["action"]["running"])
    again = captain_says(*look.split())
    assert again.code == 0, again.out
    assert shop.effects == ["1.4.1"], "looking again starts nothing"
    assert captain_says("gate", "deploy", "--go").code == 0


def test_a_first_ctrl_c_does_not_stop_a_rollback(shop: Shop, shell: Shell, captain_says: Captain) -> None:
    captain_says("trust", "-e", "staging", "--digest", digest(shop))
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    captain_says("sign", "on-call-told", "--approve")
    captain_says("gate", "pre", "--go")
    assert captain_says("act", "roll-out").code == 0
    (shop.root / "delay").write_text("1")
    process = shell("rollback")
    until(lambda: shop.effects == ["1.5.0", "1.4.0"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "the rollback goes on" in err
    assert shop.current == "1.4.0"


def test_term_leaves_its_line_in_the_log_of_an_open_run(shop: Shop, shell: Shell, captain_says: Captain) -> None:
    captain_says("trust", "-e", "staging", "--digest", digest(shop))
    captain_says("run", "deploy", "-r", "1.4.1", "-e", "staging", "--no-screen")
    captain_says("sign", "on-call-told", "--approve")
    captain_says("gate", "pre", "--go")
    (shop.root / "delay").write_text("1")
    process = shell("act", "roll-out")
    until(lambda: bool(shop.effects))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert shop.recorded("run.suspended")[0].data["signal"] == "SIGTERM"
    until(lambda: shop.current == "1.4.1")


def test_a_reader_that_leaves_early_gets_no_traceback(shop: Shop, shell: Shell, captain_says: Captain) -> None:
    captain_says("check", "deploy", "-e", "staging")
    process = shell("export", "--format", "jsonl", "-o", "-")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=PATIENCE)
    assert process.stderr is not None
    said = process.stderr.read()
    assert "Traceback" not in said
