"""Which results of a review say nothing any more once HEAD is another commit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from captain.checklist import Ask, Step
from captain.probes import probes
from captain.run.since import of_commit
from tests.run.diary import Diary, target


def step(kind: str, **params: Any) -> Step:
    cls = probes.find(kind)
    assert cls is not None
    return Step(id="it", title="It", asks={"": Ask(kind, params, cls.model_validate(params))})


@pytest.mark.parametrize(
    ("kind", "params", "bound"),
    [
        ("file", {"path": "a"}, True),
        ("ci", {"provider": "github", "repo": "acme/shop"}, True),
        ("ci", {"provider": "github", "repo": "acme/shop", "commit": "${{ release.commit }}"}, True),
        ("ci", {"provider": "github", "repo": "acme/shop", "mode": "workflow", "commit": "abcdef1"}, False),
        ("report", {"format": "trivy", "path": "trivy.json"}, True),
        ("report", {"format": "trivy", "url": "https://example.com/trivy.json"}, False),
        ("http", {"url": "https://example.com"}, False),
        ("http", {"url": "https://example.com", "version": "json.version"}, True),
        ("http", {"url": "https://example.com/${{ release.version }}"}, True),
        ("tcp", {"host": "example.com", "port": 1}, False),
    ],
)
def test_what_was_seen_of_the_commit_is_bound_to_it(kind: str, params: dict[str, Any], bound: bool) -> None:
    asked = step(kind, **params)
    diary = Diary(target(asked))
    diary.result("it", max_age=timedelta(hours=24))
    assert of_commit(asked, diary.run.results["it"]) is bound
