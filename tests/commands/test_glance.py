"""Which screen is drawn before anything is loaded: a look at the text, which the loader may correct."""

from __future__ import annotations

from pathlib import Path

import pytest

from captain.commands.shared.glance import stands


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "lists").mkdir()
    (tmp_path / "captain.yaml").write_text("service: shop\nchecklists: [lists/a.yaml, lists/b.yaml, lists/gone.yaml]\n")
    (tmp_path / "lists" / "a.yaml").write_text("checklist: release\ntitle: per: service\nsections: []\n")
    (tmp_path / "lists" / "b.yaml").write_text("checklist: 'review'  # ours\nper: \"service\"\n")
    return tmp_path


def test_a_review_is_known_by_its_id_and_by_its_path(here: Path) -> None:
    assert stands(here, "review") and stands(here, "lists/b.yaml")
    assert not stands(here, "release") and not stands(here, "lists/a.yaml")


def test_it_is_known_from_a_folder_below(here: Path) -> None:
    assert stands(here / "lists", "review")


def test_one_that_extends_a_review_is_one(here: Path) -> None:
    (here / "lists" / "a.yaml").write_text("checklist: ours\nextends: review\n")
    assert stands(here, "ours")
    (here / "lists" / "a.yaml").write_text("checklist: ours\nextends: review\nper: release\n")
    assert not stands(here, "ours")


def test_what_extends_itself_ends_somewhere(here: Path) -> None:
    (here / "lists" / "a.yaml").write_text("checklist: ring\nextends: ring\n")
    assert not stands(here, "ring")


def test_what_is_not_there_or_no_text_is_no_review(here: Path) -> None:
    (here / "lists" / "a.yaml").write_bytes(b"\xff\xfe\x00per: service")
    assert not stands(here, "nothing") and not stands(here, "lists/none.yaml") and not stands(here, "lists/a.yaml")


def test_a_shipped_checklist_is_found_without_captain_yaml(tmp_path: Path) -> None:
    assert not stands(tmp_path, "deploy")
