"""A count that is not as it should be says where: nobody has to look for the four services that it counts."""

from __future__ import annotations

import pytest

from tests.engine.stories import captain, found
from tests.engine.test_measuring import write
from tests.git_repo import Repo
from tests.shop import Shop

COMPOSE = """\
services:
  web: { image: 'shop:1' }
  worker: { image: 'shop:1' }
  db: { image: 'postgres:16', environment: { POSTGRES_PASSWORD: hunter2-planted } }
  cache: { image: 'redis:7' }
  proxy: { image: 'nginx:1' }
"""


@pytest.fixture
def shop(shop: Shop) -> Shop:
    (shop.root / "compose.yaml").write_text(COMPOSE)
    (shop.root / "settings.py").write_text("CONN_MAX_AGE = 0\nDEBUG = True\n")
    Repo(shop.root).git("add", "settings.py", "compose.yaml")
    return shop


async def message(shop: Shop, step: str) -> str:
    write(shop, f"- id: look\n  title: Look\n{step}")
    async with captain(shop) as engine:
        await engine.measure("look")
        return found(engine, "look").message


async def test_a_count_of_services_names_the_first_of_them_and_their_lines(shop: Shop) -> None:
    said = await message(shop, "  compose: {}\n  expect: ['no_healthcheck == 0', 'services > 0']")
    assert said.endswith("; compose.yaml:2 web, compose.yaml:3 worker, compose.yaml:4 db and 2 more")


async def test_of_several_probes_only_the_one_that_the_condition_is_about_is_told(shop: Shop) -> None:
    step = """\
  probes:
    a: { compose: {} }
    b: { source: { globs: ['*.py'], patterns: [{ id: debug, regex: 'DEBUG = True' }] } }
  expect: ['a.literal_secrets == 0', 'b.files > 0']"""
    said = await message(shop, step)
    assert said.endswith("; compose.yaml:4 db POSTGRES_PASSWORD")
    assert "hunter2" not in said


async def test_what_must_not_stand_there_is_told_with_its_line(shop: Shop) -> None:
    step = "  source: { globs: ['*.py'], patterns: [{ id: debug, regex: 'DEBUG = True' }] }\n  expect: ['matches == 0']"
    assert (await message(shop, step)).endswith("matches = 1; settings.py:2 debug")


async def test_what_is_nowhere_is_told_as_what_was_looked_for(shop: Shop) -> None:
    step = """\
  source:
    globs: ['*.py']
    patterns: [{ id: age, regex: 'CONN_MAX_AGE' }, { id: kept, regex: 'CONN_MAX_AGE = 600' }]
  expect: ['per_pattern["age"] > 0 && per_pattern["kept"] > 0']"""
    said = await message(shop, step)
    assert said.endswith("; no line fits CONN_MAX_AGE = 600")


async def test_names_that_git_would_take_are_told(shop: Shop) -> None:
    said = await message(shop, "  ignore: { mode: git, candidates: [.env] }\n  expect: ['uncovered_count == 0']")
    assert "uncovered_count = 1; .env; " in said


async def test_files_that_are_in_no_commit_are_named(shop: Shop) -> None:
    Repo(shop.root).git("commit", "-qm", "Files to look at")
    (shop.root / "settings.py").write_text("DEBUG = False\n")
    (shop.root / "notes.txt").write_text("half a thought")
    said = await message(shop, "  git: {}\n  expect: ['dirty == 0', 'untracked == 0']")
    assert said.endswith("; M settings.py; captain.yaml, checklists/deploy.yaml, current and 4 more")


async def test_a_condition_that_is_met_tells_no_place(shop: Shop) -> None:
    assert "compose.yaml" not in await message(shop, "  compose: {}\n  expect: ['no_healthcheck < 9']")
