"""Whether a report is about an image that is asked for. Pure."""

from __future__ import annotations

import re

from captain.systems.reports import Image

_DIGEST = re.compile(r"(?:^|@)(sha256:[0-9a-f]{64})$")


def matches(image: Image | None, wanted: str) -> tuple[bool | None, str | None]:
    """Whether it is that one, None where the report does not say; and why not, as a sentence."""
    if image is None:
        return None, "the report names no artifact"
    if not _agrees(image):
        return False, f"the report is of {image.name}, but its tags are {', '.join(image.tags[:5])}"
    digest = _digest(wanted)
    if digest is None:
        return _by_name(image, wanted)
    known = {found for one in (*image.digests, image.name) if (found := _digest(one))}
    if digest in known or digest == image.image_id:
        return True, None
    # A digest of a registry can only differ from another one; a bare one may be that or the id, so from both.
    if known and ("@" in wanted or image.image_id):
        return False, f"the report is of {image.name}, another image than {wanted}"
    return None, f"the report names nothing that can be compared with {wanted}"


def _agrees(image: Image) -> bool:
    """Whether what it was asked about is among the tags of what it found."""
    tagged = _digest(image.name) is None and image.tags
    return not tagged or full_name(image.name) in {full_name(one) for one in image.tags}


def _by_name(image: Image, wanted: str) -> tuple[bool | None, str | None]:
    names = [image.name] if _digest(image.name) is None else [*image.tags]
    if not names:
        return None, "the report names no tag"
    if full_name(wanted) in {full_name(one) for one in names}:
        return True, None
    return False, f"the report is of {image.name}, not of {wanted}"


def _digest(name: str) -> str | None:
    found = _DIGEST.search(name)
    return found[1] if found else None


def full_name(name: str) -> str:
    """A name as engines understand it: `docker.io/library/redis:latest` of `redis`."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
