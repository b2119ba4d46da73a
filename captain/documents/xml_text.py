"""Untrusted XML text as a bounded tree. Declares no entity, loads nothing, expands nothing but XML's own five."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from captain.safe import safe

MAX_DEPTH = 64
MAX_ELEMENTS = 300_000


@dataclass(slots=True)
class Element:
    """One element: name, attributes and children. Text between elements is left out."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """Every element of that name below this one, at any depth, in order."""
        rest = list(reversed(self.children))
        while rest:
            one = rest.pop()
            if one.name == name:
                yield one
            rest.extend(reversed(one.children))


class _Refused(Exception):
    """Raised within a handler, so that reading ends there."""


def parse_xml(data: bytes, *, max_depth: int = MAX_DEPTH, max_elements: int = MAX_ELEMENTS) -> Element:
    """The root of one XML document.

    Raises ValueError with a sentence for anything else: declarations of its own in a DOCTYPE, entities that XML does
    not know by itself, deeper than `max_depth`, more than `max_elements`. A DOCTYPE that only names a DTD elsewhere
    is read over; what it names is never fetched.
    """
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    top = Element("", {})
    stack = [top]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > max_depth:
            raise _Refused(f"the XML is nested deeper than {max_depth} levels")
        if count > max_elements:
            raise _Refused(f"the XML holds more than {max_elements} elements")
        element = Element(name, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def doctype(_name: str, _system: str | None, _public: str | None, internal: int) -> None:
        if internal:
            raise _Refused("the XML declares things of its own in its DOCTYPE, which captain does not read")

    def entity(name: str, *_: object) -> None:
        raise _Refused(f"the XML uses the entity {safe(name, 60)}, which captain does not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = entity
    parser.SkippedEntityHandler = entity
    try:
        parser.Parse(data, True)
    except _Refused as refused:
        raise ValueError(str(refused)) from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise ValueError(f"the text is not XML: {safe(error, 200)}") from error
    return top.children[0]
