"""What counts as having come back, from what runs before and after."""

from __future__ import annotations

from captain.systems.docker.comeback import Running, restarted

BEFORE = Running("web", {"a": 1, "b": 0}, (None, "healthy"))


def test_something_was_restarted_or_replaced_and_as_many_run_as_before() -> None:
    for now in ({"a": 2, "b": 0}, {"a": 1, "c": 0}, {"a": 2, "b": 0, "c": 0}):
        assert restarted(BEFORE, Running("web", now))
    for now in ({}, {"a": 1, "b": 0}, {"a": 2}, {"c": 0}, {"a": 1}):
        assert not restarted(BEFORE, Running("web", now))


def test_health_is_of_each() -> None:
    assert not BEFORE.unhealthy and not BEFORE.starting
    assert Running("web", {}, ("healthy", "unhealthy")).unhealthy
    assert Running("web", {}, (None, "starting")).starting
