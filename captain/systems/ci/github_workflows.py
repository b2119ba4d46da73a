"""Reads workflows of GitHub Actions (and of Gitea and Forgejo, which share the format) into pipelines. No verdict.

Reusable workflows and composite actions of the same repository are unfolded where they are called; what lies in
another repository is named and not read.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace

from captain.documents import Node
from captain.errors import ProbeError
from captain.systems.ci.pipelines import Job, Pipeline, Step, as_map, roots, script_lines, texts
from captain.systems.ci.shell_lines import read_shell
from captain.systems.tree_files import Tree

MAX_CALLS = 10
"""Workflows and actions that may call one another in a row."""
_NEVER = re.compile(r"(\$\{\{)?\s*false\s*(\}\})?")
_ALWAYS = re.compile(r"\b(always|failure|cancelled)\s*\(")
_CALLED = "workflow_call"


def is_workflow(root: Node) -> bool:
    """Whether a document has the shape of a workflow."""
    return root.get("jobs") is not None and (root.get("on") is not None or root.get("jobs", "script") is None)


def read_workflow(tree: Tree, file: str, root: Node) -> Pipeline | None:
    """One workflow; None for one that nothing starts but other workflows, where it is read."""
    triggers, crons = _triggers(root.get("on"))
    if not set(triggers) - {_CALLED}:
        return None
    reader = _Reader(tree)
    jobs = reader.jobs(file, root, "")
    return Pipeline(
        file,
        tuple(triggers),
        tuple(crons),
        jobs,
        frozenset(reader.permissions),
        unread=tuple(dict.fromkeys(reader.unread)),
    )


def _triggers(on: Node | None) -> tuple[list[str], list[str]]:
    if on is None:
        return [], []
    names = texts(on) or list(on.mapping)
    schedule = on.get("schedule")
    crons = [_text(item.get("cron")) for item in (schedule.items if schedule else [])]
    return list(dict.fromkeys(names)), [cron for cron in crons if cron]


def _text(node: Node | None) -> str:
    return "" if node is None else node.text or ""


def _off(node: Node | None) -> bool:
    """Whether an `if` never holds."""
    return node is not None and bool(_NEVER.fullmatch(_text(node)))


def _own_shell(job: Node) -> str:
    """The shell of a job that names none: of Windows PowerShell, else nothing that has to be named."""
    return "pwsh" if any("windows" in label.lower() for label in texts(job.get("runs-on"))) else ""


def _true(node: Node | None) -> bool:
    """Whether a switch is on, or may be: an expression is taken for what it can be."""
    return node is not None and _text(node).strip().lower() not in ("", "false", "${{ false }}")


@dataclass(slots=True)
class _Reader:
    tree: Tree
    permissions: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)

    def jobs(self, file: str, root: Node, soft: str, calls: tuple[str, ...] = ()) -> dict[str, Job]:
        """The jobs of one workflow that can run."""
        calls = (*calls, file)
        self._permit(root.get("permissions"))
        default_shell, env = _text(root.get("defaults", "run", "shell")), as_map(root.get("env"))
        holder = root.get("jobs")
        found = {}
        for name, node in (holder.mapping if holder else {}).items():
            if _off(node.get("if")):
                continue
            self.tree.spend(calls[0])
            self._permit(node.get("permissions"))
            own = soft or ("continue-on-error" if _true(node.get("continue-on-error")) else "")
            steps = self._steps(
                *(file, node.get("steps"), own, calls),
                default_shell=_text(node.get("defaults", "run", "shell")) or default_shell or _own_shell(node),
                env=env | as_map(node.get("env")),
            )
            if uses := node.get("uses"):
                steps += self._workflow(file, uses, own, calls)
            found[name] = Job(
                *(name, file, (holder.keys if holder else {}).get(name, (node.line, 0))[0]),
                needs=frozenset(texts(node.get("needs"))),
                steps=tuple(steps),
                always=bool(_ALWAYS.search(_text(node.get("if")))),
            )
        return found

    def _permit(self, node: Node | None) -> None:
        if node is not None:
            self.permissions.update([node.text] if node.text else [f"{k}: {v}" for k, v in as_map(node).items()])

    def _workflow(self, file: str, uses: Node, soft: str, calls: tuple[str, ...]) -> list[Step]:
        """The call of a reusable workflow, and the steps of it."""
        call = Step(file, uses.line, uses=_text(uses), soft=soft)
        path = self._local(_text(uses), calls)
        if path is None:
            return [call]
        documents = roots(self.tree, path)
        if not documents:
            self.unread.append(_text(uses))
            return [call]
        jobs = self.jobs(path, documents[0], soft, calls)
        return [call, *(step for job in jobs.values() for step in job.steps)]

    def _local(self, uses: str, calls: tuple[str, ...]) -> str | None:
        """The path of what is called, None where it lies in another repository."""
        if not uses.startswith("./"):
            self.unread.append(uses)
            return None
        path = posixpath.normpath(uses)
        if path in calls or len(calls) > MAX_CALLS:
            raise ProbeError(f"{calls[0]}: calls itself, or more than {MAX_CALLS} files in a row")
        return path

    def _steps(
        self,
        file: str,
        holder: Node | None,
        soft: str,
        calls: tuple[str, ...],
        *,
        default_shell: str,
        env: dict[str, str],
    ) -> list[Step]:
        found: list[Step] = []
        for node in holder.items if holder else []:
            if _off(node.get("if")):
                continue
            self.tree.spend(calls[0])
            own = soft or ("continue-on-error" if _true(node.get("continue-on-error")) else "")
            step = Step(file, node.line, soft=own, env=env | as_map(node.get("env")))
            if uses := node.get("uses"):
                options = {key.lower(): value for key, value in as_map(node.get("with")).items()}
                found.append(replace(step, line=uses.line, uses=_text(uses), options=options))
                if _text(uses).startswith("./"):
                    found += self._action(uses, own, calls, env)
            elif run := node.get("run"):
                named = _text(node.get("shell")) or default_shell
                found.append(replace(step, lines=script_lines(self.tree, run), interpreter=read_shell(named)))
        return found

    def _action(self, uses: Node, soft: str, calls: tuple[str, ...], env: dict[str, str]) -> list[Step]:
        """The steps of a composite action of this repository."""
        folder = self._local(_text(uses), calls)
        for name in ("action.yml", "action.yaml"):
            documents = roots(self.tree, f"{folder}/{name}")
            if documents:
                path = f"{folder}/{name}"
                steps = documents[0].get("runs", "steps")
                return self._steps(path, steps, soft, (*calls, str(folder)), default_shell="", env=env)
        self.unread.append(_text(uses))
        return []
