"""An action is shown as it will run, then as it runs, then as ended; and where R leads is said release first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.content import Content

from captain.tui.dialogs.base import Dialog
from captain.tui.present import Look
from captain.tui.wayback import goal
from tests.shop import CHECKLIST, SERVICE, Shop
from tests.tui.snapshots import until, words
from tests.tui.test_run_stories import app_over, dialog, mark, opened


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialog, "guard", 0.0)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    # Found by name, as people write it, and no long path of this machine.
    world.write(SERVICE.replace("{python}", "python3"), CHECKLIST.replace("{python}", "python3"))
    yield world
    world.close()


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_dialog_shows_the_command_that_will_run_and_no_word_is_cut(shop: Shop, size: tuple[int, int]) -> None:
    app = app_over(shop)
    async with app.run_test(size=size) as pilot:
        run = await opened(pilot)
        engine = app.engines[0]
        await engine.measure("healthy-before")
        await engine.sign("on-call-told", "approve")
        await engine.gate("pre", "go")
        await until(pilot, lambda: run.moment is not None and run.moment.view.run.opened == "deploy")
        run.checklist.go("roll-out")
        await pilot.press("a")
        await dialog(pilot)
        shown = words(app)
        assert "runs     python3 deploy.py 1.6.0" in shown, shown
        assert "captain looks what is" in shown and "really there" in shown
        box = app.screen.query_one("#box").region
        inside = [row[box.x + 1 : box.right - 1] for row in shown.splitlines()[box.y : box.bottom]]
        assert not any("…" in row for row in inside), shown
        assert str(shop.root)[-12:] in "".join(inside).replace(" ", "").replace("│", "")
        await pilot.press("enter")
        await until(pilot, lambda: mark(run, "roll-out") == "pass")
        await until(pilot, lambda: "ended · 2 lines" in words(app))
        assert "live" not in words(app)
        await until(pilot, lambda: "R → 1.4.0  python3 deploy.py 1.4.0  ready ✓" in words(app))


async def test_secrets_are_shown_by_their_name(shop: Shop) -> None:
    started = "python3, deploy.py, '${{{{ release.version }}}}'"
    told = CHECKLIST.replace(
        "'{python}', deploy.py, '${{{{ release.version }}}}'", f"{started}, s3cr3t-token-of-the-shop"
    )
    shop.write(SERVICE.replace("{python}", "python3"), told)
    engine = shop.engine("staging")
    try:
        await engine.open("1.6.0")
        assert engine.shown("roll-out") == ("python3", "deploy.py", "1.6.0", "[secret SHOP_TOKEN]")
        assert engine.shown("on-call-told") == ()
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("release", "to", "shown"),
    [
        ("1.3.9", "1.3.9 sha256:9f3c…", "1.3.9 sha256:9f3c… ready ✓"),
        ("1.3.9", "registry/shop:1.3.9 sha256:9f3c…", "1.3.9 sha256:9f3c… ready ✓"),
        ("1.3.9", "registry/shop:latest sha256:9f3c…", "1.3.9  registry/shop:latest sha256:9f3c…  ready ✓"),
        ("1.4.0", "python3 deploy.py 1.4.0", "1.4.0  python3 deploy.py 1.4.0  ready ✓"),
        ("1.4.0", "/usr/bin/python3 deploy.py 1.4.0", "1.4.0  python3 deploy.py 1.4.0  ready ✓"),
        (
            "1.4.0",
            "python3 deploy.py --to a-very-long-name-of-something",
            "1.4.0  python3 deploy.py --to …  ready ✓",
        ),
        ("", "python3 deploy.py 1.4.0", "python3 deploy.py 1.4.0  ready ✓"),
        ("1.4.0", "", "1.4.0 ready ✓"),
    ],
)
def test_the_release_comes_first_and_then_how(release: str, to: str, shown: str) -> None:
    found: Content = goal(Look(), release, to, 52, "ready ✓")
    assert found.plain == shown
    assert goal(Look(), release, to, 20, "ready ✓").plain.startswith(release)
