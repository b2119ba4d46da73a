"""A step that waits until CI is green for exactly the commit that is released, and a token that is told to nobody."""

from __future__ import annotations

import asyncio
from typing import Any

from captain.measurement import Verdict
from tests.engine.stories import captain, found, until
from tests.forge_server import ForgeServer
from tests.git_repo import Repo
from tests.shop import SERVICE, Shop

TOKEN = "s3cr3t-token-of-the-shop"
CHECKLIST = """\
checklist: deploy
title: Deployment
sections:
  - id: pre
    title: Before
    phase: pre
    steps:
      - id: tests-passing
        title: All tests passing
        ci: {{ provider: github, repo: acme/shop, api: '%s', token_env: SHOP_TOKEN, required: [pytest] }}
        within: 20s
        every: 100ms
  - id: post
    title: After
    phase: post
    steps:
      - {{ id: checkout-works, title: Works, http: {{ url: '${{{{ vars.url }}}}/checkout' }} }}
"""


def reports(forge: ForgeServer, commit: str, conclusion: str | None) -> None:
    run: dict[str, Any] = {"id": 1, "name": "pytest", "head_sha": commit, "conclusion": conclusion}
    run["status"] = "completed" if conclusion else "queued"
    path = f"repos/acme/shop/commits/{commit}"
    forge.put(f"{path}/check-runs", {"total_count": 1, "check_runs": [run]})
    forge.put(f"{path}/check-suites", {"total_count": 0, "check_suites": []})
    forge.put(f"{path}/status", {"state": "pending", "total_count": 0, "statuses": []})


async def test_a_step_waits_for_the_checks_of_the_release_and_then_passes(shop: Shop, forge: ForgeServer) -> None:
    commit = Repo(shop.root).commit()
    shop.write(SERVICE, CHECKLIST % forge.url)
    reports(forge, commit, None)
    async with captain(shop, "1.4.0") as engine:
        measuring = asyncio.create_task(engine.measure("tests-passing"))
        await until(lambda: len(forge.asked) >= 4)
        assert not measuring.done()
        reports(forge, commit, "success")
        await measuring
        assert found(engine, "tests-passing").verdict is Verdict.PASS
    assert all(f"Bearer {TOKEN}" in head for head in forge.heads)
    assert TOKEN.encode() not in shop.settings.log.read_bytes()


async def test_a_forge_that_refuses_the_token_leaves_the_step_unknown(shop: Shop, forge: ForgeServer) -> None:
    Repo(shop.root).commit()
    shop.write(SERVICE, CHECKLIST.replace("within: 20s", "within: 300ms") % forge.url)
    forge.refuse("*", "401 Unauthorized", body={"message": f"Bad credentials {TOKEN}"})
    async with captain(shop, "1.4.0") as engine:
        await engine.measure("tests-passing")
        status = found(engine, "tests-passing")
        assert status.verdict is Verdict.UNKNOWN
        assert TOKEN not in repr(engine.run)
