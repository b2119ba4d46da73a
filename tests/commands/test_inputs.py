"""The questions of captain.yaml: asked when a run is opened, checked, kept, and used in texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from captain.commands.run import _Call
from captain.commands.shared.options import Common
from captain.tui.app import CaptainApp
from captain.tui.dialogs.inputs import InputsDialog
from captain.tui.moment import Known
from tests.commands.conftest import Captain
from tests.shop import CHECKLIST, SERVICE, Shop

ASKS = SERVICE + (
    "inputs:\n  - {{ id: ticket, ask: Change ticket, match: '^CHG\\d+$' }}\n  - {{ id: note, ask: Anything else }}\n"
)
RUN = ("run", "deploy", "-e", "staging", "-r", "1.5.0", "--no-screen")


@pytest.fixture
def asking(shop: Shop) -> Shop:
    shop.write(ASKS, CHECKLIST.replace("/healthz'", "/healthz', headers: {{ X-Ticket: '${{{{ inputs.ticket }}}}' }}"))
    return shop


def test_a_question_that_nobody_answered_is_told_and_nothing_is_recorded(asking: Shop, captain_says: Captain) -> None:
    said = captain_says(*RUN)
    assert said.code == 4
    assert "Change ticket (ticket), and 1 more" in said.err
    assert "--set ticket=… --set note=…" in said.err
    assert not asking.settings.log.exists() or asking.recorded("run.start") == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ticket=4711", "ticket does not match ^CHG\\d+$"),
        ("ticket=CHG1 and more", "does not match"),
        ("ticket=", "is empty"),
        ("ticket=CHG1\x07", "is not one line"),
        ("tickets=CHG1", "did you mean ticket?"),
        ("ticket", "--set takes NAME=TEXT"),
    ],
)
def test_an_answer_that_will_not_do_is_refused(asking: Shop, captain_says: Captain, given: str, told: str) -> None:
    said = captain_says(*RUN, "--set", "note=x", "--set", given)
    assert (said.code, told in said.err) == (2, True), said.err
    assert not asking.settings.log.exists() or asking.recorded("run.start") == []


def test_answers_are_kept_and_stand_in_texts_of_this_run_and_of_later_commands(
    asking: Shop, captain_says: Captain
) -> None:
    said = captain_says(*RUN, "--set", "ticket=CHG4711", "--set", "note=none")
    assert said.code == 4
    assert asking.recorded("run.inputs")[0].data["values"] == {"ticket": "CHG4711", "note": "none"}
    captain_says("check", "deploy", "-e", "staging", "--run", "shop-staging-1.5.0", "--phase", "pre")
    assert asking.recorded("step.result")[-1].data["verdict"] == "pass"
    assert captain_says(*RUN).code == 4, "it is not asked again"
    other = captain_says(*RUN, "--set", "ticket=CHG1")
    assert (other.code, "ticket is CHG4711 in shop-staging-1.5.0" in other.err) == (2, True)
    assert captain_says("verify").code == 0


def test_a_check_measures_what_needs_no_answer_and_says_how_to_give_one(asking: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--phase", "pre", "--no-manual")
    assert said.code == 3
    assert "inputs.ticket was not answered" in said.out
    good = captain_says("check", "deploy", "-e", "staging", "--phase", "pre", "--no-manual", "--set", "ticket=CHG1")
    assert good.code == 0


def test_a_secret_that_is_typed_as_an_answer_is_not_kept(
    asking: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cr3t-token-of-the-shop")
    captain_says(*RUN, "--set", "ticket=CHG1", "--set", "note=s3cr3t-token-of-the-shop")
    assert "s3cr3t" not in str(asking.recorded("run.inputs")[0].data)


async def test_the_screen_asks_before_it_opens_and_again_where_an_answer_will_not_do(asking: Shop) -> None:
    given = dict.fromkeys(("commit", "trust"), None) | {
        "checklist": "deploy",
        "version": "1.5.0",
        "environment": "staging",
        "read_only": False,
        "ascii_only": False,
        "images": (),
        "inputs": (),
    }
    call = _Call(Common(), given)
    app = CaptainApp(
        Path(asking.settings.log), known=Known("shop", "staging", False, "1.5.0"), opener=call._opener(), calm=True
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await _until(pilot, lambda: isinstance(app.screen, InputsDialog))
        await pilot.pause(0.35)
        await pilot.press(*"4711", "enter", *"none", "enter")
        await _until(pilot, lambda: isinstance(app.screen, InputsDialog) and app.screen.trouble is not None)
        await pilot.pause(0.35)
        await pilot.press(*"CHG4711", "enter", *"none", "enter")
        await _until(pilot, lambda: bool(app.engines))
    assert asking.recorded("run.inputs")[0].data["values"]["ticket"] == "CHG4711"


async def _until(pilot: object, done: object) -> None:
    for _ in range(400):
        await pilot.pause(0.02)  # type: ignore[attr-defined]
        if done():  # type: ignore[operator]
            return
    raise AssertionError("it never came")
