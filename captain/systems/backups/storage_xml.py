"""The XML of object stores as plain values: elements, pages of lists, errors. Bounded, without entities. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from xml.parsers import expat

from captain.systems.backups.listing import Item

_DEEPEST = 8
_ELEMENTS = 50_000


@dataclass(slots=True)
class Page:
    """One page of a list of objects."""

    items: list[Item] = field(default_factory=list)
    more: str | None = None
    """The token with which the next page is asked for."""


def texts(body: bytes) -> dict[str, str]:
    """The texts of a short answer by the last name of their element, {} where it is no XML."""
    try:
        return {path.rpartition("/")[2]: text for path, text in flat(body)}
    except ValueError:
        return {}


def item(entry: Mapping[str, str], key: str, modified: str, size: str) -> Item:
    """One object of a list, from the elements of those names. Raises ValueError."""
    try:
        made = Item(entry[key], _moment(entry[modified]), int(entry[size]))
    except (KeyError, ValueError) as error:
        raise ValueError("an object of the list has no key, time or size") from error
    if made.modified.tzinfo is None or made.size < 0:
        raise ValueError("an object of the list has no time zone or no size")
    return made


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


def flat(body: bytes) -> list[tuple[str, str]]:
    """Every element by its path with its text: the root first, without its text, then each as it ends.

    Raises ValueError where it is no XML, or none that a store sends.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    found: list[tuple[str, str]] = []
    path: list[str] = []
    text: list[str] = []

    def start(name: str, _: object) -> None:
        path.append(name.rpartition(" ")[2])
        text.clear()
        if len(path) == 1:
            found.append((path[0], ""))
        if len(path) > _DEEPEST or len(found) > _ELEMENTS:
            raise ValueError("the XML is larger than any answer of a store")

    def end(_: str) -> None:
        if len(path) > 1:
            found.append(("/".join(path), "".join(text)))
        text.clear()
        path.pop()

    def refuse(*_: object) -> None:
        raise ValueError("the XML holds a document type, which no store sends")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise ValueError(f"the answer is no XML: {error}") from error
    return found
