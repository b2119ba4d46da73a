"""What a new run needs to know: version, environment and checklist."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Choice, Field

VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, slots=True)
class NewRun:
    """Start or resume this."""

    version: str
    environment: str
    checklist: str


class NewRunDialog(Dialog[NewRun]):
    """Asks what to release. `environments` are (name, protected); `checklists` are their ids."""

    key = "enter"
    leaves = "esc starts nothing"
    first = "version"

    def __init__(
        self,
        service: str,
        environments: Sequence[tuple[str, bool]],
        checklists: Sequence[str],
        *,
        version: str = "",
        standing: Collection[str] = (),
    ) -> None:
        """`standing` are checklists that take no version."""
        self.environments = tuple(environments)
        super().__init__(Heading(service, *self.environments[0]))
        self.checklists = tuple(checklists)
        self.version = version
        self.standing = frozenset(standing)

    def headline(self) -> str:
        return "Open the review" if self.standing >= set(self.checklists) else "Start a release"

    def about(self) -> Content:
        return self.say("an open run of the same release is resumed", "muted")

    def fields(self) -> Iterator[Widget]:
        yield self.label("version", "1.4.0")
        yield Field("version", value=self.version, cap=64)
        yield self.gap()
        yield self.label("environment")
        yield Choice("environment", [(name, name) for name, _ in self.environments], self.look)
        yield self.gap()
        if len(self.checklists) > 1:
            yield self.label("checklist")
            yield Choice("which-checklist", [(name, name) for name in self.checklists], self.look)
            yield self.gap()

    def redraw(self) -> None:
        name = self._chosen("environment", self.environments[0][0])
        self.heading = Heading(self.heading.service, name, dict(self.environments)[name], self.text("version") or None)
        super().redraw()

    def _chosen(self, ident: str, otherwise: str) -> str:
        return next((one.value for one in self.query(f"#{ident}").results(Choice)), otherwise)

    @property
    def _stands(self) -> bool:
        return self._chosen("which-checklist", self.checklists[0]) in self.standing

    def outcome(self) -> Sequence[Content]:
        if self._stands:
            return [self.fact("then", self.say("its one run is opened, of the commit at hand; it takes no version"))]
        return [self.fact("then", self.say("the pre-deployment section opens; nothing is changed yet"))]

    def blocked(self) -> str | None:
        version = self.text("version")
        if self._stands:
            return None
        if not version:
            return "version missing"
        if VERSION.fullmatch(version) is None:
            return "letters, digits and . _ + - only"
        return None

    def verb(self) -> str:
        return "open" if self._stands else "start"

    def answer(self) -> NewRun:
        return NewRun(
            "" if self._stands else self.text("version"),
            self._chosen("environment", self.environments[0][0]),
            self._chosen("which-checklist", self.checklists[0]),
        )
