"""What a file of CI says, whatever its language: pipelines of jobs of steps, and why a step cannot fail them.

Pure. Knows neither GitHub nor GitLab: their readers build these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from captain.documents import Node, read_foreign_yaml
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.ci.shell_lines import Line, Shell, read_lines
from captain.systems.tree_files import Tree


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job: an action it uses, or lines it runs."""

    file: str
    line: int
    uses: str = ""
    lines: tuple[Line, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    """What an action is given, by lower-case name."""
    env: Mapping[str, str] = field(default_factory=dict)
    soft: str = ""
    """Why its failure, or its job's, changes nothing: the rule's name, empty where it does."""
    interpreter: Shell = field(default_factory=Shell)
    """What runs its lines."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job, called files unfolded into it."""

    id: str
    file: str
    line: int
    needs: frozenset[str] = frozenset()
    """Jobs that must be over before it begins."""
    steps: tuple[Step, ...] = ()
    always: bool = False
    """It runs although a job it needs has failed."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One file that something starts, with everything it calls within the repository."""

    file: str
    triggers: tuple[str, ...] = ()
    crons: tuple[str, ...] = ()
    jobs: Mapping[str, Job] = field(default_factory=dict)
    permissions: frozenset[str] = frozenset()
    """`pull-requests: write`; `write-all`."""
    imports: tuple[tuple[str, int, str], ...] = ()
    """File, line and name of what is taken from elsewhere in a version that can move."""
    unread: tuple[str, ...] = ()
    """What it calls and captain does not read: it lies in another repository, or is not there."""

    def steps(self) -> Iterator[tuple[Job, Step]]:
        """Every step with the job it runs in."""
        return ((job, step) for job in self.jobs.values() for step in job.steps)

    def before(self, job: str, *, gating: bool = False) -> frozenset[str]:
        """The jobs that must be over before `job` begins; with `gating` those whose failure keeps it from running."""
        found: set[str] = set()
        waiting = [job]
        while waiting:
            one = self.jobs.get(waiting.pop())
            if one is None or (gating and one.always):
                continue
            new = one.needs - found
            found |= new
            waiting += new
        return frozenset(found)


def roots(tree: Tree, path: str) -> list[Node] | None:
    """The documents of one file, None where there is none. Raises ProbeError where it is no YAML."""
    if path in tree.made:
        known: list[Node] = tree.made[path]
        return known
    data = tree.read(path)
    if data is None:
        return None
    try:
        found = tree.made[path] = read_foreign_yaml(data, path)
        return found
    except ValueError as error:
        raise ProbeError(f"{safe(path, 200)}:{error}", hint="its CI cannot read it either; mend the file") from error


def texts(node: Node | None) -> list[str]:
    """A text or a list of texts as a list."""
    if node is None:
        return []
    if node.text is not None:
        return [node.text]
    return [item.text for item in node.items if item.text is not None]


def as_map(node: Node | None) -> dict[str, str]:
    """The texts of a mapping."""
    return {} if node is None else {key: value.text or "" for key, value in node.mapping.items()}


def script_lines(tree: Tree, node: Node) -> tuple[Line, ...]:
    """The lines of a script. A text in block style begins on the line after its mark."""
    script, file = node.text or "", node.document.path
    tree.spend(file, script)
    return read_lines(script, file, node.line + 1 if node.style in ("literal", "folded") else node.line)
