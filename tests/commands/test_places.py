"""Where a step is written: the line of the file that says it last, as the repository names that file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from captain.checklist import Source
from captain.commands.shared.places import Place, places
from captain.loader import load
from tests.git_repo import Repo

SERVICE = "service: shop\nenvironments: { staging: {} }\nchecklists: [lists/base.yaml, lists/own.yaml]\n"
BASE = """\
checklist: base
title: Base
per: service
sections:
  - id: one
    title: One
    steps:
      - { id: kept, title: Kept, file: { path: a } }
      - title: Changed
        id: changed
        file: { path: b }
"""
OWN = """\
checklist: own
title: Own
extends: base
sections:
  - id: one
    steps:

      - id: added
        title: Added
        file: { path: c }
      - id: changed
        severity: info
"""


def written(folder: Path) -> None:
    (folder / "lists").mkdir(parents=True)
    (folder / "captain.yaml").write_text(SERVICE)
    (folder / "lists" / "base.yaml").write_text(BASE)
    (folder / "lists" / "own.yaml").write_text(OWN)


def test_what_a_checklist_says_itself_comes_before_what_it_extends(tmp_path: Path) -> None:
    written(tmp_path)
    assert places(load("own", "staging", cwd=tmp_path)) == {
        "kept": Place("lists/base.yaml", 8),
        "changed": Place("lists/own.yaml", 11),
        "added": Place("lists/own.yaml", 8),
    }


def test_a_service_in_a_folder_of_a_repository_is_named_from_its_top(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.git("status")
    written(tmp_path / "services" / "shop")
    found = places(load("own", "staging", cwd=tmp_path / "services" / "shop"))
    assert found["added"] == Place("services/shop/lists/own.yaml", 8)


@pytest.mark.parametrize("path", ["shipped:base.yaml", "/etc/base.yaml", "../base.yaml"])
def test_what_lies_outside_of_the_repository_has_no_place_in_it(path: str, tmp_path: Path) -> None:
    written(tmp_path)
    target = load("base", "staging", cwd=tmp_path)
    assert places(replace(target, files=(Source(path, BASE.encode()),))) == {}
