"""A reference that names its digest never moves: nobody has to be asked what it is."""

from __future__ import annotations

import pytest

from captain.errors import ProbeError
from captain.systems.docker.reader import image_pin

DIGEST = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize("name", ["shop", "registry.example:5000/team/shop", "shop:1.4.0", "localhost:5000/shop:1.4.0"])
def test_a_pinned_reference_is_taken_at_its_word_without_an_engine(name: str) -> None:
    pin = image_pin(f"{name}@{DIGEST}", host="unix:///nowhere.sock", environ={}, seconds=5)
    bare = name.removesuffix(":1.4.0")
    assert (pin.pinned, pin.digest, pin.basis) == (f"{bare}@{DIGEST}", DIGEST, "repository")


@pytest.mark.parametrize("ref", ["shop:1.4.0", "shop@sha256:abc", f"shop@{DIGEST}0", f"@{DIGEST}"])
def test_any_other_is_asked_for(ref: str) -> None:
    with pytest.raises(ProbeError):
        image_pin(ref, host="unix:///nowhere.sock", environ={}, seconds=5)
