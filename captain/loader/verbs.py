"""What commands ask the loader for: the service at hand, a Target, a pinned Target, every problem."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from captain.checklist import Service, Source, Target
from captain.documents import Document
from captain.errors import Problem, UsageError
from captain.loader.building import build_checklist
from captain.loader.drafts import Draft
from captain.loader.loading import Loading, text_of
from captain.loader.problems import Problems
from captain.loader.services import environment_names
from captain.loader.sheets import SERVICE_FILES
from captain.loader.shelf import is_checklist


@dataclass(frozen=True, slots=True)
class Home:
    """What lies at the root: the service as its top level says, no environment merged in."""

    root: str
    """Absolute path of the folder of captain.yaml, or where it was looked for."""
    declared: bool
    """Whether there is a captain.yaml."""
    service: Service
    environments: tuple[str, ...]
    checklists: dict[str, str]
    """Path as captain.yaml names it, by id."""
    standing: frozenset[str] = frozenset()
    """Ids of those with `per: service`, which take no version."""


def load_service(start: Path) -> Home:
    """What lies at or above `start`. Raises ProblemsError where captain.yaml cannot be used."""
    start = Path(start).absolute()
    loading = Loading(start, start)
    service = loading.service(None)
    loading.problems.check()
    if service is None:
        raise UsageError("captain.yaml cannot be read", hint="captain lint says why")
    checklists: dict[str, str] = {}
    standing: set[str] = set()
    for entry, document in loading.shelf(None).documents():
        name = text_of(document.root, "checklist") if document is not None and document.root is not None else ""
        if name:
            checklists.setdefault(name, entry.text or "")
            if document is not None and document.root is not None and text_of(document.root, "per") == "service":
                standing.add(name)
    declared = loading.file is not None
    return Home(
        str(loading.sheets.root), declared, service, tuple(service.environments), checklists, frozenset(standing)
    )


def load(checklist: str, environment: str | None, *, cwd: Path) -> Target:
    """The Target that a command means; `checklist` is a path or an id, `environment` None the only one declared.

    Raises UsageError for a name that is nothing, ProblemsError with every problem of every file.
    """
    cwd = Path(cwd).absolute()
    loading = Loading(cwd, cwd)
    if loading.file is not None and loading.top is None:
        loading.problems.check()
    chosen = loading.environment(environment)
    shelf = loading.shelf(chosen)
    return loading.target(shelf, shelf.named(checklist), chosen)


def load_pinned(files: tuple[Source, ...], environment: str, *, root: Path) -> Target:
    """The Target of files as a run pinned them, in the order of `Target.files`; nothing is read from disk.

    Raises ProblemsError where this captain understands them no more.
    """
    loading = Loading(root, root, files)
    if loading.file is not None and loading.top is None:
        loading.problems.check()
    chosen = loading.environment(environment)
    shelf = loading.shelf(chosen)
    first = next((source.path for source in files if source.path not in SERVICE_FILES), None)
    if first is None:
        raise UsageError("no checklist is pinned")
    return loading.target(shelf, shelf.draft(loading.sheets.pinned_document(first)), chosen)


def lint(paths: Iterable[Path | str] = (), *, cwd: Path) -> list[Problem]:
    """Every problem and note of those files, without paths of captain.yaml and all its checklists.

    Raises UsageError where there is nothing to lint.
    """
    cwd = Path(cwd).absolute()
    found = Problems()
    given = [Path(path) for path in paths]
    if not given:
        loading = Loading(cwd, cwd)
        if loading.file is None:
            raise UsageError("no captain.yaml here", hint="name a file, or write one with captain init")
        _lint(loading, [], found, whole=True)
    for path in given:
        loading = Loading(cwd, cwd)
        document = loading.sheets.user(path)
        if is_checklist(document):
            _lint(loading, [document], found, whole=False)
        else:
            folder = (cwd / path).parent
            _lint(Loading(folder, cwd), [], found, whole=True)
    return found.all


def _more_than_reading(draft: Draft) -> bool:
    """Whether it holds a kind that may do more than read, which each environment allows for itself."""
    return any(ask.cls is not None and ask.cls.more_than_reading for step in draft.steps() for ask in step.asks)


def _lint(loading: Loading, documents: list[Document], found: Problems, *, whole: bool) -> None:
    environments: list[str | None] = []
    if loading.top is not None:
        environments += environment_names(loading.top)
    seen = set()
    for environment in environments or [None]:
        shelf = loading.shelf(environment)
        service = loading.service(environment) or Service(service="unknown")
        world = loading.world(environment, shelf)
        loading.check_service(world, shelf)
        drafts = [(document.path, shelf.draft(document)) for document in documents]
        if whole:
            drafts += [(entry.text or "", draft) for entry, draft in shelf.declared()]
        setting = loading.setting(service, environment, tiered=False)
        for name, draft in drafts:
            # Environments that mean the same are looked at once.
            if draft is None:
                continue
            own = environment if _more_than_reading(draft) else None
            sign = (name, own, repr((world.vars, world.secrets, world.params, world.overrides)))
            if sign not in seen:
                seen.add(sign)
                build_checklist(draft, setting, loading.problems)
                loading.check(draft, world)
    if loading.file is None:
        for document in documents:
            message = "no captain.yaml: vars, secrets and people are not checked"
            found.add(Problem(document.path, 1, 1, "note", "", message))
    for problem in loading.problems.all:
        found.add(problem)
