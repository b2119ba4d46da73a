"""Run by the project's own Python: what its Alembic revisions are, as one line of JSON.

Reads only. Knows nothing of captain, and must run with every Alembic since 1.9. What crashes is told by part, so that
a database that does not answer hides nothing of what the files say.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

DROPS = {
    "drop_table": "the table and its rows are gone",
    "drop_column": "the column and its values are gone",
    "delete": "rows are gone",
    "drop_all": "tables and their rows are gone",
}
RENAMES = ("rename_table",)
LOSING = re.compile(r"\b(drop|truncate)\b|(?<!\bon )\bdelete\b", re.IGNORECASE)
NOTHING = re.compile(r"(select \d+|\s|;)*", re.IGNORECASE)
SENDS = ("execute", "exec_driver_sql", "scalar", "scalars")
READABLE = (
    *("alembic", "sqlalchemy", "textwrap", "datetime", "uuid", "json", "string", "decimal", "enum", "typing", "re"),
    *("itertools", "functools", "collections", "logging", "time", "math", "warnings", "__future__"),
)
"""Modules that bring no SQL of their own."""
BUILTINS = (
    *("str", "int", "float", "bool", "len", "repr", "format", "list", "tuple", "set", "dict", "range", "enumerate"),
    *("zip", "sorted", "reversed", "min", "max", "sum", "any", "all", "print", "isinstance", "hasattr", "frozenset"),
)
DEEPEST = 8
"""How far calls of a revision's own functions are followed."""


def said(error: Any) -> Any:
    """The end of a traceback as one line, which is what a person looks at first."""
    return " ".join("".join(traceback.format_exception_only(type(error), error)).split())[:500]


def report(asked: Any) -> Any:
    told: dict[str, Any] = {"tool": "alembic", "errors": {}}
    config = Config(asked["config"], stdout=sys.stderr)
    directory = part(told, "files", lambda: ScriptDirectory.from_config(config))
    scripts = part(told, "files", lambda: {one.revision: one for one in directory.walk_revisions()})
    if scripts is None:
        return told
    wanted = set(asked["files"])
    told["known"] = len(scripts)
    told["conflicts"] = max(len(directory.get_heads()) - 1, 0)
    told["new"] = sorted(revision for revision, one in scripts.items() if of(one, wanted))
    told["found"] = sorted(file for file in wanted if any(of(one, {file}) for one in scripts.values()))
    unapplied = part(told, "database", lambda: applied(config, directory, scripts, told))
    if unapplied == [] and told["applied"]:
        # Of a database without a revision Alembic would make its own table.
        part(told, "models", lambda: drift(config, told))
    looked_at = {*told["new"], *(unapplied or ())}
    part(told, "operations", lambda: told.update(findings=findings(scripts, looked_at), looked_at=sorted(looked_at)))
    return told


def part(told: Any, what: Any, work: Any) -> Any:
    """One part of the report; a crash of it is told and keeps the others."""
    try:
        return work()
    except (Exception, SystemExit) as error:
        told["errors"].setdefault(what, said(error))
        return None


def of(script: Any, files: Any) -> Any:
    path = os.path.realpath(script.path)
    return any(path.endswith("/" + "/".join(file.split("/")[-3:])) for file in files)


def applied(config: Any, directory: Any, scripts: Any, told: Any) -> Any:
    """Asks the database through the project's own env.py; what it lacks, the oldest first."""
    current: list[str] = []
    file = re.match(r"sqlite(?:\+\w+)?:///([^?]+)", config.get_main_option("sqlalchemy.url") or "")
    if file and file[1] != ":memory:":
        # Connecting would make an empty file.
        Path(file[1]).open("rb").close()

    def look(revision: Any, context: Any) -> Any:
        current.extend([revision] if isinstance(revision, str) else revision or ())
        return []

    with EnvironmentContext(config, directory, fn=look, dont_mutate=True):
        directory.run_env()
    told["foreign"] = sorted(revision for revision in current if revision not in scripts)
    if told["foreign"]:
        raise CommandError("the database is at a revision that these files do not know: " + ", ".join(told["foreign"]))
    there = set()
    left = list(current)
    while left:
        revision = left.pop()
        if revision not in there:
            there.add(revision)
            left += before(scripts[revision])
    told["applied"] = len(there)
    told["unapplied"] = [
        one.revision for one in reversed(list(directory.walk_revisions())) if one.revision not in there
    ]
    return told["unapplied"]


def before(script: Any) -> Any:
    found = []
    for names in (script.down_revision, script.dependencies):
        found += [names] if isinstance(names, str) else list(names or ())
    return found


def drift(config: Any, told: Any) -> Any:
    """Changes of the models that no revision has; nothing where the project gives Alembic no models."""
    try:
        command.check(config)
    except CommandError as error:
        if type(error).__name__ != "AutogenerateDiffsDetected":
            raise
        told["drift"] = [str(diff)[:300] for diff in getattr(error, "diffs", None) or [error]]
    else:
        told["drift"] = []


def findings(scripts: Any, looked_at: Any) -> Any:
    found = []
    for revision in sorted(looked_at):
        text = Text(ast.parse(Path(scripts[revision].path).read_bytes()))
        up, down = text.functions.get("upgrade"), text.functions.get("downgrade")
        if up is None or text.does_nothing(up):
            continue
        if down is None or text.does_nothing(down) or refuses(down):
            how = "is missing" if down is None else "does nothing" if text.does_nothing(down) else "raises"
            found.append(finding(revision, "downgrade", "irreversible", "downgrade() " + how))
        seen = []
        for call, names in text.calls(up):
            for one in (finding(revision, called(call), *why) for why in judged(call, text, names)):
                if (call, one) not in seen:
                    seen.append((call, one))
                    found.append(one)
    return found


class Text:
    """The text of a revision: what its names hold, as texts and whether they are all that it may be."""

    def __init__(self, tree: Any) -> None:
        self.functions = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
        self.names: Any = {}
        self.busy: Any = []
        self.statements = [one.value for one in ast.walk(tree) if isinstance(one, ast.Expr)]
        for node in within(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for one in node.names:
                    module = (getattr(node, "module", None) or one.name).split(".")[0]
                    known = module in READABLE and one.name != "context" and not getattr(node, "level", 0)
                    self.names[one.asname or one.name.split(".")[0]] = ((), known)
            elif isinstance(node, ast.ClassDef):
                texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
                self.names[node.name] = (tuple(text for text in texts if isinstance(text, str)), True)
        self.names = self.bound(tree, self.names)

    def calls(self, function: Any, given: Any = None, above: Any = ()) -> Any:
        """Every call that happens in a function and in those of this file that it calls, with what names hold there."""
        names = self.bound(function, {**self.names, **(given or {})})
        followed = set()
        for node in within(function):
            if isinstance(node, ast.Call):
                yield node, names
                name = node.func.id if isinstance(node.func, ast.Name) else None
                if name in self.functions:
                    followed.add(node.func)
                    yield from self.into(name, self.given(node, names), above)
        for node in within(function):
            # A function that is handed on is called somewhere.
            if isinstance(node, ast.Name) and node.id in self.functions and node not in followed:
                yield from self.into(node.id, {}, above)

    def into(self, name: Any, given: Any, above: Any) -> Any:
        if name not in above and len(above) < DEEPEST:
            yield from self.calls(self.functions[name], given, (*above, name))

    def given(self, call: Any, names: Any) -> Any:
        """What the parameters of a function of this file hold."""
        arguments = self.functions[call.func.id].args
        listed = [*getattr(arguments, "posonlyargs", ()), *arguments.args]
        values = dict(enumerate(arguments.defaults, len(listed) - len(arguments.defaults)))
        values.update(enumerate(call.args[: len(listed)]))
        pairs: Any = [(listed[at].arg, value) for at, value in values.items()]
        pairs += [(one.arg, arguments.kw_defaults[at]) for at, one in enumerate(arguments.kwonlyargs)]
        pairs += [(one.arg, one.value) for one in call.keywords if one.arg]
        return {name: self.value(value, names) for name, value in pairs if value}

    def bound(self, scope: Any, names: Any) -> Any:
        """`names` and those that are given something within a function or the file."""
        now = dict(names)
        for _ in range(4):
            then, now = now, dict(names)
            for node in within(scope):
                pairs: Any
                if isinstance(node, ast.Assign):
                    pairs = [(target, node.value) for target in node.targets]
                elif isinstance(node, (ast.For, ast.comprehension)):
                    pairs = [(node.target, node.iter)]
                elif isinstance(node, ast.withitem):
                    pairs = [(node.optional_vars, node.context_expr)]
                elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
                    pairs = [(node.target, node.value)]
                else:
                    continue
                for target, value in pairs:
                    for one in ast.walk(target) if target and value else ():
                        if isinstance(one, ast.Name):
                            now[one.id] = joined([now.get(one.id, ((), True)), self.value(value, then)])
        return now

    def value(self, node: Any, names: Any, depth: Any = 0) -> Any:
        """The texts an expression is made of, and whether nothing else is in it."""
        if isinstance(node, ast.Constant):
            return ((node.value,) if isinstance(node.value, str) else ()), True
        if isinstance(node, ast.Name):
            return names.get(node.id, ((), node.id in BUILTINS))
        if isinstance(node, ast.Lambda) or depth > 4 * DEEPEST:
            return (), False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.functions:
            return self.back(node, names)
        children = [one.value if isinstance(one, ast.keyword) else one for one in ast.iter_child_nodes(node)]
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            children = [one for one in children if not isinstance(one, ast.comprehension)]
            children += [part for one in node.generators for part in (one.iter, *one.ifs)]
        return joined([self.value(one, names, depth + 1) for one in children if isinstance(one, ast.expr)])

    def back(self, call: Any, names: Any) -> Any:
        """What a function of this file gives back."""
        name = call.func.id
        if name in self.busy:
            return (), False
        self.busy.append(name)
        function = self.functions[name]
        inside = self.bound(function, {**self.names, **self.given(call, names)})
        found = [one.value for one in within(function) if isinstance(one, ast.Return) and one.value]
        value = joined([self.value(one, inside) for one in found])
        self.busy.remove(name)
        return value

    def alone(self, call: Any) -> Any:
        """Whether nothing is done with what a call gives back."""
        return call in self.statements

    def does_nothing(self, function: Any) -> Any:
        return all(isinstance(one, ast.Pass) or self.idle(one) for one in function.body)

    def idle(self, statement: Any) -> Any:
        """Whether a statement is a comment, or a call that changes nothing."""
        if not isinstance(statement, ast.Expr) or isinstance(statement.value, ast.Constant):
            return isinstance(statement, ast.Expr)
        if not isinstance(statement.value, ast.Call):
            return False
        texts, known = self.value(sent(statement.value), self.names) if sent(statement.value) else ((), False)
        bare = [re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL) for text in texts]
        nothing = bool(texts) and known and all(NOTHING.fullmatch(text) for text in bare)
        return nothing or called(statement.value) in ("get_bind", "print")


def within(scope: Any) -> Any:
    """Every node of a function or file, without those of the functions in it."""
    for one in ast.iter_child_nodes(scope):
        yield one
        if not isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from within(one)


def joined(values: Any) -> Any:
    return tuple({text: None for texts, _ in values for text in texts}), all(known for _, known in values)


def sent(call: Any) -> Any:
    """What a call sends to the database, None where it is not one that does."""
    if called(call) not in SENDS or not isinstance(call.func, ast.Attribute):
        return None
    named = [one.value for one in call.keywords if one.arg in ("sqltext", "statement")]
    return next(iter([*call.args, *named]), None)


def root(node: Any) -> Any:
    """The name that a chain of attributes and calls begins with."""
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


def finding(revision: Any, operation: Any, kind: Any, reason: Any) -> Any:
    return {"migration": revision, "op": operation, "kind": kind, "reason": reason}


def refuses(function: Any) -> Any:
    return any(isinstance(one, ast.Raise) for one in function.body)


def called(call: Any) -> Any:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def judged(call: Any, text: Any, names: Any) -> Any:
    """What stands in the way back from one call of upgrade(), as (kind, reason)."""
    operation = called(call)
    given = {one.arg: one.value for one in call.keywords}
    if operation in DROPS:
        yield "destructive", DROPS[operation]
    elif operation in RENAMES:
        yield "breaking", "the release before knows the old name only"
    elif operation == "alter_column":
        if "new_column_name" in given:
            yield "breaking", "the release before knows the old name only"
        if "type_" in given:
            yield "destructive", "the type changes: values may not fit"
        nullable = given.get("nullable")
        if isinstance(nullable, ast.Constant) and nullable.value is False:
            yield "destructive", "takes no NULL any more"
    elif operation == "add_column":
        for column in (one for one in call.args if isinstance(one, ast.Call)):
            options = {one.arg: one.value for one in column.keywords}
            nullable = options.get("nullable")
            required = isinstance(nullable, ast.Constant) and nullable.value is False
            if required and "server_default" not in options:
                yield "breaking", "the column is required, which the release before does not know"
    elif sent(call) is not None:
        texts, known = text.value(sent(call), names)
        if any(LOSING.search(" ".join(one.split())) for one in texts):
            yield "destructive", "SQL that drops or deletes"
        elif not known:
            yield "unread", f"what line {call.lineno} executes is not all written in its file"
    elif not text.value(root(call.func), names)[1] and getattr(root(call.func), "id", "") not in text.functions:
        # Where nothing comes back, or where it is given the connection, it may do anything.
        handed = {one.id for part in call.args for one in ast.walk(part) if isinstance(one, ast.Name)}
        if text.alone(call) or handed & {"op", "bind", "connection", "conn", "session"}:
            yield "unread", f"line {call.lineno} calls what is not written in its file"


def main(asked: Any) -> None:
    """Answer; called with the question by what captain puts behind this text."""
    sys.stdout.write("\n" + asked["mark"] + json.dumps(report(asked)) + "\n")
    sys.stdout.flush()
