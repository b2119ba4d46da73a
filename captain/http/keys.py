"""The types of keys that name a URL or headers, shared by the kinds that ask over HTTP. Loads no client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from captain.fields import Text, wrong
from captain.http import refused_url

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_RESERVED = frozenset(("connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"))


def _url(value: str) -> str:
    if "${{" not in value and (refused := refused_url(value)) is not None:
        raise wrong(refused)
    return value


def _base(value: str) -> str:
    if "${{" not in value and ("?" in value or "#" in value):
        raise wrong("is not the address of an API: what stands after ? or # does not belong there")
    return value


def _name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise wrong("is not the name of a header")
    return name


def _own(name: str) -> str:
    if name.lower() in _RESERVED:
        raise wrong(f"{name} is set by captain")
    return name


def _header_value(value: str) -> str:
    if not value.isprintable():
        raise wrong("holds control characters, which no header can")
    return value


Url = Annotated[Text, AfterValidator(_url)]
"""Starts with http:// or https://; holds no user or password."""
BaseUrl = Annotated[Url, AfterValidator(_base)]
"""A URL under which an API lies."""
HeaderName = Annotated[Text, AfterValidator(_name)]
"""The name of any header."""
Headers = Mapping[Annotated[HeaderName, AfterValidator(_own)], Annotated[Text, AfterValidator(_header_value)]]
"""Headers to send, by name."""
