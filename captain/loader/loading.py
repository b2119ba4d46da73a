"""From a name on the command line to a Target, or every problem at once. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from captain.checklist import Checklist, Environment, Service, Source, Target
from captain.documents import Node
from captain.errors import UsageError
from captain.fields import ID_PATTERN
from captain.loader.building import Setting, build_checklist, texts
from captain.loader.drafts import Draft
from captain.loader.judging import judge_checklist
from captain.loader.kinds import Kinds
from captain.loader.problems import Problems, nearest, show
from captain.loader.rules import check_rules
from captain.loader.service_rules import check_service
from captain.loader.services import build_service, environment_names, merged
from captain.loader.sheets import SERVICE_FILES, Sheets, find_service
from captain.loader.shelf import Shelf
from captain.loader.templates import check_templates
from captain.loader.world import World
from captain.safe import safe


class Loading:
    """One load: its files, its problems and what was made of them."""

    def __init__(
        self, start: Path, cwd: Path, pinned: tuple[Source, ...] | None = None, root: Path | None = None
    ) -> None:
        self.problems = Problems()
        self.kinds = Kinds()
        if pinned is None:
            file = find_service(start)
            top = file.parent if file is not None else start
            self.sheets = Sheets(top, cwd)
            self.file = self.sheets.user(file) if file is not None else None
        else:
            self.sheets = Sheets(start, cwd, {source.path: source for source in pinned})
            named = next((source.path for source in pinned if source.path in SERVICE_FILES), None)
            self.file = self.sheets.beneath(named) if named else None
        if self.file is not None:
            self.problems.document(self.file)
        self.top = self._top()

    def _top(self) -> Node | None:
        """The root mapping of captain.yaml."""
        if self.file is None:
            return None
        top = self.file.root
        if top is not None and isinstance(top.value, dict):
            return top
        if not self.file.problems:
            self.problems.place(self.file.path, "captain.yaml is a mapping", hint="it begins with service: and a name")
        return None

    def environment(self, given: str | None) -> str:
        """The environment that is meant. Raises UsageError."""
        names = environment_names(self.top) if self.top is not None else []
        if self.file is None:
            if given is None:
                raise UsageError(
                    "no environment given; there is no captain.yaml here",
                    hint="captain init writes one; without it say which: -e NAME",
                )
            if not re.fullmatch(ID_PATTERN, given):
                raise UsageError(
                    f"{show(given)} is not the name of an environment", hint="use lower-case letters, digits and -"
                )
            return given
        if given is None and len(names) == 1:
            return names[0]
        said = f"declared are {', '.join(safe(name, 60) for name in names)}" if names else "none is declared"
        if given is None:
            raise UsageError(f"no environment given; {said}", hint="say which: -e NAME")
        if given not in names:
            raise UsageError(f"no environment {show(given)}; {said}", hint=nearest(given, names))
        return given

    def shelf(self, environment: str | None) -> Shelf:
        """The checklists as that environment lists them."""
        top = merged(self.top, environment) if self.top is not None else None
        return Shelf(self.sheets, self.kinds, self.problems, top)

    def service(self, environment: str | None) -> Service | None:
        """The model, structure checked."""
        if self.file is None:
            return Service(
                service=service_name(self.sheets.root), environments={environment: Environment()} if environment else {}
            )
        if self.top is None:
            return None
        return build_service(self.top, environment, self.kinds, self.problems)

    def world(self, environment: str | None, shelf: Shelf) -> World:
        """What names mean there."""
        top, node = self.top, shelf.service
        if top is None or node is None:
            return World(self.kinds, self.problems, None, None, (), {}, {}, None, shelf.other)
        secrets, inputs, people = node.get("secrets"), node.get("inputs"), node.get("people")
        return World(
            self.kinds,
            self.problems,
            vars=tuple(texts(node.get("vars"))),
            secrets=tuple(entry.text for entry in (secrets.items if secrets else ()) if entry.text),
            inputs=tuple(text for entry in (inputs.items if inputs else ()) if (text := text_of(entry, "id"))),
            params=texts(top.get("params")),
            overrides=texts(top.get("environments", environment, "params")) if environment is not None else {},
            roles=_roles(people) if people is not None and people.mapping else None,
            other=shelf.other,
        )

    def setting(self, service: Service, environment: str | None, *, tiered: bool) -> Setting:
        """What a checklist is built in."""
        declared = service.environments.get(environment) if environment is not None else None
        return Setting(
            service.defaults,
            params=texts(self.top.get("params")) if self.top is not None else {},
            overrides=dict(declared.params) if declared is not None else {},
            tier=declared.tier if declared is not None else None,
            tiered=tiered and self.file is not None,
            environment=environment if declared is not None else None,
            allow=declared.allow if declared is not None else (),
            places=tuple(service.environments) if self.file is not None else None,
        )

    def check(self, draft: Draft, world: World) -> None:
        """What a checklist means."""
        check_rules(draft, world)
        judge_checklist(draft, world)
        check_templates(draft, world)

    def check_service(self, world: World, shelf: Shelf) -> None:
        """What captain.yaml means in one environment."""
        if self.top is not None and shelf.service is not None:
            check_service(self.top, shelf.service, world)

    def target(self, shelf: Shelf, draft: Draft | None, environment: str) -> Target:
        """The Target, everything checked. Raises ProblemsError."""
        service = self.service(environment)
        world = self.world(environment, shelf)
        self.check_service(world, shelf)
        checklist: Checklist | None = None
        others: dict[str, Checklist] = {}
        drafts = [draft] if draft is not None else []
        if service is not None and draft is not None:
            setting = self.setting(service, environment, tiered=True)
            checklist = build_checklist(draft, setting, self.problems)
            self.check(draft, world)
            for other in self._referred(draft, shelf):
                drafts.append(other)
                built = build_checklist(other, setting, self.problems)
                self.check(other, world)
                if built is not None:
                    others[built.checklist] = built
        self.problems.check()
        if service is None or checklist is None:
            raise UsageError("the checklist cannot be read", hint="captain lint says why")
        chosen = service.environments.get(environment, Environment())
        used = [document for document in (self.file, *shelf.made_of(drafts)) if document is not None]
        target = Target(
            service=service,
            environment=environment,
            protected=chosen.protected,
            tier=chosen.tier,
            checklist=checklist,
            root=str(self.sheets.root),
            files=tuple(self.sheets.source(document) for document in used),
            allow=chosen.allow,
            others=others,
        )
        self._verified(target, shelf)
        return target

    def _referred(self, draft: Draft, shelf: Shelf) -> Iterator[Draft]:
        """The other checklists that verify steps and aliases name, each once."""
        seen = {draft.id}
        left = [draft]
        verify = shelf.service.get("rollback", "verify") if shelf.service is not None else None
        names = [entry.text for entry in (verify.items if verify else ()) if entry.text]
        while names or left:
            if left:
                steps = left.pop().steps()
                names += [ask.alias for step in steps for ask in (*step.asks, *step.observe_asks) if ask.alias]
                continue
            name = names.pop().rpartition("/")[0]
            if name and name not in seen:
                seen.add(name)
                found = shelf.other(name)
                if found is not None:
                    left.append(found)
                    yield found

    def _verified(self, target: Target, shelf: Shelf) -> None:
        """A step of another tier cannot prove a rollback here."""
        verify = shelf.service.get("rollback", "verify") if shelf.service is not None else None
        for entry in verify.items if verify is not None else ():
            if entry.text and target.step(entry.text) is None:
                self.problems.error(
                    entry, f"{show(entry.text)} does not exist in {target.environment}", hint="see its tier"
                )
            elif entry.text and (step := target.step(entry.text)) is not None and step.safety != "read":
                message = f"{show(entry.text)} is {step.safety}: it runs only by itself, so it proves no rollback"
                self.problems.error(entry, message, hint="a verify step only reads")
        self.problems.check()


def _roles(people: Node) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, roles in people.mapping.items():
        for entry in roles.items or [roles]:
            if entry.text:
                found.setdefault(entry.text, []).append(name)
    return found


def text_of(node: Node, key: str) -> str:
    """The text under a key, "" where there is none."""
    child = node.get(key)
    return (child.text if child is not None else None) or ""


def service_name(folder: Path) -> str:
    """A folder's name as the id of a service."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.name.lower()).strip("-._")[:64]
    return name or "service"
