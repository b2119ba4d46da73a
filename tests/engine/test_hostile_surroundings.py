"""A log that somebody else wrote, a repository that borrows another's trust, secrets in pipes: nothing gets further."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from captain.errors import LogError
from captain.events import shapes
from captain.settings import Settings
from tests.shop import Shop


@pytest.mark.parametrize("name", ["../../../victim", "..", ".", "a/b", "", "-rf", "x" * 300, "a\n", "\0"])
def test_no_name_of_a_log_becomes_a_path_of_somebody_elses(tmp_path: Path, name: str) -> None:
    settings = Settings(tmp_path / "log.sqlite")
    with pytest.raises(LogError):
        settings.attempt(name)
    with pytest.raises(LogError):
        settings.target("shop-staging-1.5.0", name)
    with pytest.raises(LogError):
        settings.target(name, "web")
    finished: dict[str, object] = {
        "attempt": name,
        "outcome": "lost",
        "exit_code": None,
        "signal": None,
        "duration_ms": None,
        "stdout": None,
        "stderr": None,
        "truncated": False,
        "survivors": [],
    }
    assert shapes.faults("action.finished", finished) != []


async def test_trust_given_in_one_repository_does_not_hold_in_another(shop: Shop, tmp_path: Path) -> None:
    engine = shop.engine()
    await engine.open("1.5.0")
    request = engine.trust()
    assert request is not None
    await engine.accept(request.digest)
    assert engine.trust() is None
    await engine.abort("enough")
    await engine.close()

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(shop.root, elsewhere, ignore=shutil.ignore_patterns("state"))
    shop.root, home = elsewhere, shop.root
    other = shop.engine()
    await other.open("1.5.1")
    again = other.trust()
    assert again is not None
    assert again.digest == request.digest
    await other.close()
    shop.root = home


async def test_a_secret_in_a_pipe_is_unset_instead_of_holding_captain(shop: Shop) -> None:
    pipe = shop.root / "pipe"
    os.mkfifo(pipe)
    shop.environ.pop("SHOP_TOKEN")
    shop.environ["SHOP_TOKEN_FILE"] = str(pipe)
    async with asyncio.timeout(10):
        engine = shop.engine()
        await engine.open("1.5.0")
        await engine.close()


def test_an_empty_secret_is_an_unset_one(shop: Shop) -> None:
    shop.environ["SHOP_TOKEN"] = ""
    engine = shop.engine()
    assert engine._desk.secrets == {}
    asyncio.run(engine.close())


async def test_no_half_of_a_secret_is_left_where_a_condition_is_shown_resolved(shop: Shop) -> None:
    secret = shop.environ["SHOP_TOKEN"]
    (shop.root / "notes.txt").write_text("x" * 70 + secret + "y" * 500)
    checklist = (shop.root / "checklists" / "deploy.yaml").read_text()
    step = "{ id: notes, title: Notes, file: { path: notes.txt, parse: text }, expect: ['text == \"fine\"'] }"
    changed = checklist.replace("    steps:\n", f"    steps:\n      - {step}\n", 1)
    (shop.root / "checklists" / "deploy.yaml").write_text(changed)
    engine = shop.engine()
    await engine.open("1.5.0")
    await engine.measure("notes")
    await engine.close()
    with shop.log(read_only=True) as log:
        stored = "\n".join(log.bodies())
        digests = [one["evidence"] for event in log.by_type("step.result") for one in event.data["probes"]]
        blobs = [log.evidence(digest) for digest in digests]
    for text in (stored, *(blob.data.decode() for blob in blobs if blob is not None)):
        assert not any(secret[at : at + 6] in text for at in range(len(secret) - 5)), text
