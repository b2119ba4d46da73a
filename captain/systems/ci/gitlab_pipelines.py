"""Reads .gitlab-ci.yml into one pipeline: local includes, extends, defaults, references, stages. No verdict.

What is included from another project, a URL, a component or a template is named and not read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from captain.documents import Node
from captain.errors import ProbeError, UsageError
from captain.systems.ci.pipelines import Job, Pipeline, Step, as_map, roots, script_lines, texts
from captain.systems.ci.shell_lines import Line, Shell
from captain.systems.tree_files import Tree, check_pattern

MAX_CALLS = 10
_KEYWORDS = frozenset(
    (
        *("default", "include", "stages", "variables", "workflow", "image", "services", "cache"),
        *("before_script", "after_script", "spec", "types"),
    )
)
_STAGES = ("build", "test", "deploy")
_SOURCE = re.compile(r"\$CI_PIPELINE_SOURCE\s*(?:==|=~)\s*[\"'/^(]{0,3}([a-z_|]{3,80})")
_MERGE_REQUEST = re.compile(r"\$CI_MERGE_REQUEST_I?ID\b")
_REFERENCE = "!reference"
_ONLY = {"merge_requests": "merge_request_event", "schedules": "schedule", "pushes": "push", "branches": "push"}
_ONLY |= {"tags": "push", "web": "web", "api": "api", "triggers": "trigger", "pipelines": "pipeline"}
_FULL = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def read_pipeline(tree: Tree, file: str) -> Pipeline | None:
    """The pipeline of one file, None where it describes no job."""
    reader = _Reader(tree)
    top = reader.load(file, ())
    if top is None:
        return None
    stages = [".pre", *(texts(top.get("stages")) or _STAGES), ".post"]
    plain = {name: node for name, node in top.mapping.items() if _is_job(name, node)}
    nodes = {name: reader.extended(top, node, (name,)) for name, node in plain.items()}
    nodes = {name: node for name, node in nodes.items() if not _never(node)}
    if not nodes or _never(top.get("workflow")):
        return None
    rank = {name: _rank(node, stages) for name, node in nodes.items()}
    jobs = {}
    for name, node in nodes.items():
        earlier = frozenset(other for other, at in rank.items() if at < rank[name])
        jobs[name] = reader.job(top, name, node, earlier)
    triggers = dict.fromkeys(one for name, node in nodes.items() for one in _triggers(node, top))
    return Pipeline(
        *(file, tuple(triggers), (), jobs),
        imports=tuple(reader.imports),
        unread=tuple(dict.fromkeys(reader.unread)),
    )


def _is_job(name: str, node: Node) -> bool:
    shaped = any(node.get(key) is not None for key in ("script", "run", "trigger", "extends"))
    return not name.startswith(".") and name not in _KEYWORDS and shaped


def _text(node: Node | None) -> str:
    return "" if node is None else node.text or ""


def _never(node: Node | None) -> bool:
    """Whether nothing adds it: a rule that always holds, or every rule, says never."""
    return node is not None and (_text(node.get("when")) == "never" or _outcomes(node) == {"never"})


def _outcomes(node: Node) -> set[str]:
    """What its rules come to, up to the first that holds always."""
    rules, found = node.get("rules"), set()
    for rule in rules.items if rules else []:
        found.add(_text(rule.get("when")) or "on_success")
        if not {"if", "changes", "exists"} & set(rule.mapping):
            break
    return found


def _rank(node: Node, stages: list[str]) -> int:
    stage = _text(node.get("stage")) or "test"
    return stages.index(stage) if stage in stages else 0


def _triggers(node: Node, top: Node) -> list[str]:
    """What starts a job, as far as its rules name it; a job without rules runs for every push."""
    holders = [node.get("rules"), top.get("workflow", "rules")]
    said = " ".join(_text(rule.get("if")) for holder in holders if holder for rule in holder.items)
    found = [one for match in _SOURCE.finditer(said) for one in match[1].split("|")]
    found += ["merge_request_event"] if _MERGE_REQUEST.search(said) else []
    only = node.get("only")
    refs = (texts(only) or texts(only.get("refs"))) if only is not None else []
    found += [_ONLY.get(one, "push") for one in refs]
    return found or ["push"]


def _merged(base: Node, over: Node, depth: int = 0) -> Node:
    """Mappings key by key, anything else replaced, as `extends` and `include` do."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict) or depth > 20:
        return over
    value = dict(base.value)
    for key, node in over.value.items():
        value[key] = _merged(value[key], node, depth + 1) if key in value else node
    return Node(value, "mapping", over.line, over.column, over.document, keys={**base.keys, **over.keys})


@dataclass(slots=True)
class _Reader:
    tree: Tree
    unread: list[str] = field(default_factory=list)
    imports: list[tuple[str, int, str]] = field(default_factory=list)

    def load(self, file: str, calls: tuple[str, ...]) -> Node | None:
        """A file with its local includes below it."""
        if file in calls or len(calls) > MAX_CALLS:
            raise ProbeError(f"{calls[0]}: includes itself, or more than {MAX_CALLS} files in a row")
        self.tree.spend(file)
        documents = roots(self.tree, file)
        if not documents:
            return None
        # A document before the last describes the inputs of a component.
        own = documents[-1]
        if not isinstance(own.value, dict):
            return None
        base: Node | None = None
        include = own.get("include")
        for one in [] if include is None else include.items or [include]:
            for path in self._included(file, one):
                below = self.load(path, (*calls, file))
                if below is None:
                    self.unread.append(path)
                else:
                    base = below if base is None else _merged(base, below)
        return own if base is None else _merged(base, own)

    def _included(self, file: str, one: Node) -> list[str]:
        path = one.text or _text(one.get("local"))
        if path and "://" not in path:
            path = posixpath.normpath(path.lstrip("/"))
            if "*" not in path:
                return [path]
            try:
                return self.tree.matching([check_pattern(path)])
            except UsageError as error:
                raise ProbeError(f"{file}: {error.message}") from error
        remote = path or _text(one.get("remote"))
        project, component = _text(one.get("project")), _text(one.get("component"))
        name = remote or project or component or _text(one.get("template")) or "an include"
        self.unread.append(name)
        moves = (remote and one.get("integrity") is None) or (project and not _FULL.fullmatch(_text(one.get("ref"))))
        if moves or (component and not _FULL.fullmatch(component.rpartition("@")[2])):
            self.imports.append((file, one.line, name))
        return []

    def extended(self, top: Node, node: Node, seen: tuple[str, ...]) -> Node:
        """A job with everything it extends below it."""
        self.tree.spend(node.document.path)
        if len(seen) > MAX_CALLS + 1:
            raise ProbeError(f"job {seen[0]}: extends more than {MAX_CALLS} jobs in a row")
        base: Node | None = None
        for name in texts(node.get("extends")):
            parent = top.mapping.get(name)
            if parent is None or name in seen:
                self.unread.append(f"extends {name}")
                continue
            below = self.extended(top, parent, (*seen, name))
            base = below if base is None else _merged(base, below)
        return node if base is None else _merged(base, node)

    def job(self, top: Node, name: str, node: Node, earlier: frozenset[str]) -> Job:
        """One job; without `needs` it waits for every job of the stages before."""
        needs = node.get("needs")
        named = None
        if needs is not None:
            named = [text for item in needs.items if (text := item.text or _text(item.get("job")))]
        soft = _soft(node)
        before = node.get("before_script") or top.get("default", "before_script") or top.get("before_script")
        env = as_map(top.get("variables")) | as_map(node.get("variables"))
        script = (*self._script(top, before), *self._script(top, node.get("script")))
        steps = [self._step(node, script, soft, env)]
        after = node.get("after_script") or top.get("default", "after_script") or top.get("after_script")
        if after is not None:
            # What it comes to changes nothing about the job.
            steps.append(self._step(node, self._script(top, after), "after-script", env))
        return Job(
            *(name, node.document.path, top.keys.get(name, (node.line, 0))[0]),
            needs=earlier if named is None else frozenset(named),
            steps=tuple(steps),
            always=_text(node.get("when")) in ("always", "on_failure"),
        )

    def _step(self, node: Node, script: tuple[Line, ...], soft: str, env: Mapping[str, str]) -> Step:
        first = script[0] if script else None
        file, line = (first.file, first.number) if first else (node.document.path, node.line)
        # The runner sets errexit and pipefail, and gives one shell the whole script.
        return Step(file, line, lines=script, env=env, soft=soft, interpreter=Shell(pipefail=True))

    def _script(self, top: Node, node: Node | None, depth: int = 0) -> tuple[Line, ...]:
        """The lines of a script: a text, lists within lists, references to other jobs' scripts."""
        if node is None or depth > MAX_CALLS:
            return ()
        self.tree.spend(node.document.path)
        if node.text is not None:
            return script_lines(self.tree, node)
        if (named := node.get(_REFERENCE)) is not None:
            return self._script(top, top.get(*texts(named)), depth + 1)
        return tuple(line for item in node.items for line in self._script(top, item, depth + 1))


def _soft(node: Node) -> str:
    allowed = node.get("allow_failure")
    if allowed is not None and (allowed.text == "true" or allowed.get("exit_codes") is not None):
        return "allow-failure"
    rules = node.get("rules")
    if any(_text(rule.get("allow_failure")) == "true" for rule in (rules.items if rules else [])):
        return "allow-failure"
    if "on_failure" in (_text(node.get("when")), *_outcomes(node)):
        return "on-failure"
    # A manual job holds nobody up unless it says so.
    if _text(node.get("when")) == "manual" and rules is None and allowed is None:
        return "manual"
    return ""
