"""Finds the files that a command, captain.yaml or another checklist means, and lays what they extend under them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from captain.documents import Document, Node
from captain.loader.drafts import OTHER_QUESTIONS, STEP_KEYS, Draft, draft
from captain.loader.kinds import Kinds
from captain.loader.merge import overlay, without
from captain.loader.problems import Problems, show
from captain.loader.sheets import SERVICE_FILES, Sheets, Unreadable, is_path, shipped_files, unknown_checklist
from captain.loader.validate import a_shape

MAX_EXTENDS = 5
MAX_CHECKLISTS = 200


@dataclass
class Shelf:
    """The checklists of one load, each read once."""

    sheets: Sheets
    kinds: Kinds
    problems: Problems
    service: Node | None
    """Root of captain.yaml, with the environment laid over it."""
    used: list[Document] = field(default_factory=list)
    """The documents that drafts were made of, in order."""
    _parts: dict[int, list[Document]] = field(default_factory=dict)
    """By draft: its own document and those it extends."""
    _drafts: dict[int, Draft | None] = field(default_factory=dict)

    def named(self, reference: str) -> Draft | None:
        """What CHECKLIST on the command line means; None where the file holds no checklist, which is noted.

        Raises UsageError where there is no such file.
        """
        if is_path(reference):
            return self.draft(self.sheets.user(Path(reference)))
        found = self.other(reference)
        if found is None:  # perhaps because the one that is meant cannot be read
            for _, document in self.documents():
                if document is not None:
                    self.problems.document(document)
        if found is None and self.problems.met == 0:
            known = [one.id for _, one in self.declared() if one is not None]
            raise unknown_checklist(reference, [*known, *shipped_files()])
        return found

    def other(self, name: str) -> Draft | None:
        """The checklist of that id: declared in captain.yaml, else shipped."""
        document = self._declared_document(name) or self.sheets.shipped(name)
        return self.draft(document) if document is not None else None

    def declared(self) -> Iterator[tuple[Node, Draft | None]]:
        """Each entry of `checklists` with its draft; what cannot be read is noted."""
        seen: dict[str, str] = {}
        for entry, document in self.documents(noted=True):
            found = self.draft(document) if document is not None else None
            if found is not None and found.id:
                if found.id in seen:
                    message = f"checklist {show(found.id)} is also that of {seen[found.id]}"
                    self.problems.error(entry, message, hint="give each its own id")
                seen.setdefault(found.id, entry.text or "")
            yield entry, found

    def documents(self, *, noted: bool = False) -> Iterator[tuple[Node, Document | None]]:
        """Each entry of `checklists` with its file, None where it cannot be read."""
        listed = self.service.get("checklists") if self.service is not None else None
        for entry in listed.items[:MAX_CHECKLISTS] if listed is not None else ():
            if entry.text is None:
                continue
            try:
                yield entry, self.sheets.beneath(entry.text)
            except Unreadable as error:
                if noted:
                    self.problems.error(entry, f"{show(entry.text)} {error}")
                yield entry, None

    def _declared_document(self, name: str) -> Document | None:
        for _, document in self.documents():
            if document is not None and document.root is not None:
                written = document.root.get("checklist")
                if written is not None and written.text == name:
                    return document
        return None

    def draft(self, document: Document) -> Draft | None:
        """The draft of a file and of what it extends; None where it holds none, which is noted."""
        if id(document) not in self._drafts:
            self._drafts[id(document)] = None  # met again on the way: a checklist that extends itself
            self._use(document)
            root = self._root(document)
            if root is not None:
                before = {id(document): document}
                whole = self._extended(root, document, (document,), before)
                made = draft(whole, self.kinds, self.problems)
                self._drafts[id(document)] = made
                self._parts[id(made)] = [*before.values()]
        return self._drafts[id(document)]

    def made_of(self, drafts: Iterable[Draft]) -> list[Document]:
        """The documents that these drafts were made of, in order; of others only the name was looked up."""
        wanted = {id(document) for one in drafts for document in self._parts[id(one)]}
        return [document for document in self.used if id(document) in wanted]

    def _use(self, document: Document) -> None:
        if document not in self.used:
            self.used.append(document)
            self.problems.document(document)

    def _root(self, document: Document) -> Node | None:
        root = document.root
        if root is None:
            if not document.problems:
                self.problems.place(document.path, "the file is empty", hint="it begins with checklist: and an id")
            return None
        if not isinstance(root.value, dict):
            self.problems.error(root, f"a checklist is a mapping, not {a_shape(root)}")
            return None
        return root

    def _extended(
        self, root: Node, document: Document, chain: tuple[Document, ...], parts: dict[int, Document]
    ) -> Node:
        holder = root.get("extends")
        if holder is None or holder.text is None:
            return root
        if len(chain) > MAX_EXTENDS:
            self.problems.error(holder, f"extends goes more than {MAX_EXTENDS} files deep")
            return root
        try:
            base = self._base(holder.text, chain)
        except Unreadable as error:
            self.problems.error(holder, f"{show(holder.text)} {error}")
            return root
        if base in chain:
            self.problems.error(holder, f"{show(holder.text)} extends this file again")
            return root
        self._use(base)
        parts[id(base)] = base
        below = self._root(base)
        if below is None:
            return root
        below = self._extended(below, base, (*chain, base), parts)
        return overlay(without(below, "extends"), root, self._asks)

    def _base(self, reference: str, chain: tuple[Document, ...]) -> Document:
        if is_path(reference):
            return self.sheets.beneath(reference)
        declared = self._declared_document(reference)
        # A checklist may carry the name of the shipped one it extends.
        document = self.sheets.shipped(reference) if declared is None or declared in chain else declared
        if document is None:
            raise Unreadable("is no checklist; a path holds / or ends in .yaml")
        return document

    def _asks(self, key: str) -> bool:
        return key in OTHER_QUESTIONS or (key not in STEP_KEYS and self.kinds.is_kind(key))


def shipped(name: str) -> str:
    """The text of a checklist captain brings along. Raises UsageError where it has none of that name."""
    path = shipped_files().get(name)
    if path is None:
        raise unknown_checklist(name, shipped_files())
    return path.read_text(encoding="utf-8")


def is_checklist(document: Document) -> bool:
    """Whether a file is meant as a checklist and not as captain.yaml."""
    keys = document.root.mapping if document.root is not None else {}
    if "checklist" in keys or "sections" in keys:
        return True
    return "service" not in keys and Path(document.path).name not in SERVICE_FILES
