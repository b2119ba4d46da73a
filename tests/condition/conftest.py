"""What an http probe of these tests observes, and the scopes of a step with one probe or several."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict

import pytest

from captain.condition import CelType, Scope, observes

NOW = datetime(2026, 11, 23, 14, 2, 7, tzinfo=UTC)


class Observes(TypedDict, total=False):
    status: Annotated[int, "the status code"]
    latency: Annotated[timedelta, "the whole request"]
    json: Annotated[Any, "the body, parsed"]
    headers: Annotated[dict[str, str], "lower-case"]
    text: Annotated[str, "the body"]
    ratio: Annotated[float, "of requests"]
    services: Annotated[list[dict[str, Any]], "one by one"]
    expires: Annotated[datetime, "the certificate"]
    exists: Annotated[bool, "whether there is one"]


PARAMS = {"max": "500 * MB", "rto": 'duration("1h")', "modes": '["verify-ca", "verify-full"]'}


@pytest.fixture
def kind() -> dict[str, CelType]:
    return {name: declared.type for name, declared in observes(Observes).items()}


@pytest.fixture
def one(kind: dict[str, CelType]) -> Scope:
    """A step with one probe."""
    return Scope.of({"": kind}, PARAMS, ["base_url"])


@pytest.fixture
def several(kind: dict[str, CelType]) -> Scope:
    """A step with two named probes and one this captain cannot measure yet."""
    return Scope.of({"shop": kind, "api": kind, "ci": None}, PARAMS, ["base_url"])


@pytest.fixture
def open_scope() -> Scope:
    """A step whose only probe is of a kind that this captain cannot measure yet."""
    return Scope.of({"": None}, PARAMS, ["base_url"])


@pytest.fixture
def seen() -> dict[str, Any]:
    """What was observed once."""
    return {
        "status": 200,
        "latency": timedelta(milliseconds=812),
        "json": {"status": "degraded", "commit": "a1b2c3d4e5", "checks": {"db": "ok", "cache": "down"}, "none": None},
        "headers": {"strict-transport-security": "max-age=31536000"},
        "text": "hello world",
        "ratio": 0.25,
        "services": [{"name": "web", "image": "sha256:1"}, {"name": "worker", "image": "sha256:2"}],
        "expires": NOW + timedelta(days=30),
        "exists": True,
        "now": NOW,
        "signed": False,
        "environment": "production",
        "vars.base_url": "https://shop.example.com",
        "release.version": "1.4.0",
        "release.commit": "A1B2C3D",
        "release.images": {"web": "registry.example.com/shop@sha256:1"},
        "release.digests": {"web": "sha256:1"},
        "before.latency": timedelta(milliseconds=400),
        "last": {"status": 200, "latency": timedelta(seconds=1), "expires": NOW},
    }
