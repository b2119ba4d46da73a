"""What the inspect document and the history of an image say. Pure: knows no engine, no clock, no verdict.

Names of variables only, never what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from captain.systems.docker import containers as told
from captain.systems.docker.passwd import without_group
from captain.systems.secret_arguments import secret_arguments
from captain.systems.secret_names import assigns_secret, secret_value

Document = Mapping[str, Any]
Basis = Literal["graphdriver", "unpacked", "history_sum", "content"]

_BUILD_ARGUMENTS = re.compile(r"^(?:RUN )?\|(\d{1,4}) ")
_SHELL = re.compile(r" /[^ ]{0,100}(?:sh|cmd) -\w{1,4} | # buildkit$")
_ASSIGNED = re.compile(r"(?<![A-Za-z0-9_$.{-])([A-Za-z_][A-Za-z0-9_]{0,127})=(\"[^\"]*\"|'[^']*'|[^\s;&|]*)")
_SETS = re.compile(r"^(?:/bin/sh -c #\(nop\) +)?(ENV|LABEL) ")
_FIXED_BEFORE = 2000
_HITS = 1000


def user(document: Document) -> str:
    """Who its processes start as, without the group; "" where nothing is said, which is root."""
    return without_group(str(told.part(document, "Config").get("User") or ""))


def created(document: Document) -> datetime | None:
    """When it was built; None where nobody says, or the build writes the same date always."""
    at = told.moment(document.get("Created"))
    return at if at is not None and at.year >= _FIXED_BEFORE else None


def layer_digests(document: Document) -> list[str]:
    """Its layers, the lowest first."""
    return [str(each) for each in told.part(document, "RootFS").get("Layers") or []]


def env_secrets(document: Document) -> list[str]:
    """Names of the variables that hold a secret, sorted. Labels are everybody's to read too.

    Values are final: what the build made of a `$` it made already.
    """
    config = told.part(document, "Config")
    pairs = [str(each).partition("=")[::2] for each in config.get("Env") or []]
    pairs += [(str(key), str(value)) for key, value in told.labels_of(document).items()]
    return sorted({name for name, value in pairs if assigns_secret(name, value, final=True)})[:_HITS]


def history_secrets(history: Sequence[Document], known: Sequence[str] = ()) -> list[str]:
    """Names of what the commands of the build were given, or wrote, that is a secret; sorted.

    `known` are names already found in the image's variables: the instruction that set them is no second secret.
    """
    found = set[str]()
    for step in history:
        command = str(step.get("CreatedBy") or "")
        pairs = _ASSIGNED.findall(command)
        if match := _BUILD_ARGUMENTS.match(command):
            given = command[match.end() :]
            shell = _SHELL.search(given)
            # A value may hold spaces, so what stands before the shell is read name by name.
            pairs += _arguments(given[: shell.start()] if shell else given)
        sets = bool(_SETS.match(command))
        hits = {name for name, value in pairs if assigns_secret(name, value, final=sets)}
        found |= {name for name in hits if not (sets and name in known)}
        found |= secret_arguments(command)
        rule = secret_value(command, final=sets)
        if rule is not None and not any(secret_value(value, final=sets) == rule for _, value in pairs):
            found.add(rule)
    return sorted(found)[:_HITS]


def size(
    document: Document, history: Sequence[Document], info: Document | None, listed: Document | None
) -> tuple[int | None, Basis]:
    """Bytes it takes unpacked, and where that is known from; None where only the packed size is.

    The inspect document's size is the packed one on the containerd store (until the engines of late 2026), so there
    the list's manifests are asked, then the history. `info` None: nobody says which store it is.
    """
    total = sum(_int(step.get("Size")) for step in history)
    if info is not None and not containerd_store(info):
        return _int(document.get("Size")), "graphdriver"
    unpacked = [
        _int(told.part(each, "ImageData", "Size").get("Unpacked"))
        for each in (listed or {}).get("Manifests") or []
        if isinstance(each, Mapping) and each.get("Available", True)
    ]
    if any(unpacked):
        return max(unpacked), "unpacked"
    return (total, "history_sum") if total else (None, "content")


def containerd_store(info: Document) -> bool:
    """Whether the engine keeps images in containerd's store."""
    status = info.get("DriverStatus") or []
    return any("io.containerd.snapshotter" in str(value) for pair in status for value in pair) or (
        str(info.get("Driver")) == "overlayfs"
    )


def _arguments(given: str) -> list[tuple[str, str]]:
    names = list(re.finditer(r"(?:^|\s)([A-Za-z_][A-Za-z0-9_]{0,127})=", given))
    ends = [match.start() for match in names[1:]] + [len(given)]
    return [(match[1], given[match.end() : end]) for match, end in zip(names, ends, strict=True)]


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
