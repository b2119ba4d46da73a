"""The XML of S3 as plain values: lists of objects, settings, errors. Bounded, without entities. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
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


def page(body: bytes) -> Page:
    """A page of ListObjectsV2. Raises ValueError with a sentence for anything else."""
    found = _flat(body)
    if not found or found[0][0] != "ListBucketResult":
        raise ValueError("the answer is no list of objects")
    made = Page()
    entry: dict[str, str] = {}
    cut = False
    for path, text in found:
        parent, _, name = path.rpartition("/")
        if path == "ListBucketResult/Contents":
            made.items.append(_item(entry))
            entry = {}
        elif parent == "ListBucketResult/Contents":
            entry[name] = text
        elif path == "ListBucketResult/NextContinuationToken":
            made.more = text
        elif path == "ListBucketResult/IsTruncated":
            cut = text == "true"
    if cut and not made.more:
        raise ValueError("the list is cut, and says not how it goes on")
    if not cut:
        made.more = None
    return made


def texts(body: bytes) -> dict[str, str]:
    """The texts of a short answer by the last name of their element, {} where it is no XML."""
    try:
        return {path.rpartition("/")[2]: text for path, text in _flat(body)}
    except ValueError:
        return {}


def _item(entry: dict[str, str]) -> Item:
    try:
        modified = datetime.fromisoformat(entry["LastModified"])
        size = int(entry["Size"])
        key = entry["Key"]
    except (KeyError, ValueError) as error:
        raise ValueError("an object of the list has no key, time or size") from error
    if modified.tzinfo is None or size < 0:
        raise ValueError("an object of the list has no time zone or no size")
    return Item(key, modified, size)


def _flat(body: bytes) -> list[tuple[str, str]]:
    """Every element by its path with its text: the root first, without its text, then each as it ends."""
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
            raise ValueError("the XML is larger than any answer of S3")

    def end(_: str) -> None:
        if len(path) > 1:
            found.append(("/".join(path), "".join(text)))
        text.clear()
        path.pop()

    def refuse(*_: object) -> None:
        raise ValueError("the XML holds a document type, which S3 never sends")

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
