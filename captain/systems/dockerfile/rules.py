"""What a release should know about a Dockerfile: who runs, what is copied, which secrets stand in it. Pure.

Names of variables only, never what they hold. What the base image brings is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from captain.safe import safe
from captain.systems.dockerfile.reading import Dockerfile, Instruction, Stage, fill
from captain.systems.secret_names import file_rule, secret_key, secret_value

_URL = re.compile(r"(?:https?|ftp)://|git@|git://|ssh://")
_SOME = "x"
"""In the place of a value that the build gives."""
_MOST = 200

Finding = dict[str, Any]


class Reading:
    """One Dockerfile as it is built for one target."""

    def __init__(self, file: Dockerfile, path: str, final: Stage) -> None:
        self._file, self._path, self._final = file, path, final
        self._line = final.line_of_descent()
        self.findings: list[Finding] = []
        self.notes: list[str] = []

    def look(self, expected_user: str | None) -> dict[str, Any]:
        """What the kind observes."""
        final = self._final
        stages = self._built()
        observed: dict[str, Any] = {
            "stages": len(stages),
            "copy_from_stage": sum(1 for _ in self._copied_from_stages()),
            "final_from_stage": final.parent is not None,
            "has_healthcheck": self._healthcheck(),
            "base_unpinned": self._bases(stages),
            "add_url": self._adds(stages),
            "copies_dotenv": self._dotenv(stages),
            **self._user(expected_user),
            **self._secrets(stages),
        }
        for one in self._file.unknown[:_MOST]:
            self._found(one.line, "no-instruction")
        if self._file.unknown:
            self.notes.append(f"line {self._file.unknown[0].line} is no instruction; a build fails there")
        observed["findings"] = sorted(self.findings, key=lambda one: (one["line"], one["rule"]))
        return observed

    def _built(self) -> list[Stage]:
        """Every stage up to the last one that is built: BuildKit skips what the target does not need."""
        return list(self._file.stages[: self._final.index + 1])

    def _copied_from_stages(self) -> Iterator[Instruction]:
        """COPYs into what becomes the image, from an earlier stage that does not."""
        for stage in self._line:
            for one in stage.instructions:
                source = one.flag("from") if one.name == "COPY" else None
                found = self._file.stage(fill(source, stage.scope)) if source else None
                if found is not None and found.index < stage.index and found not in self._line:
                    yield one

    def _healthcheck(self) -> bool:
        found = [one for stage in self._line for one in stage.instructions if one.name == "HEALTHCHECK"]
        return bool(found) and found[-1].rest.split()[:1] not in ([], ["NONE"], ["none"])

    def _user(self, expected: str | None) -> dict[str, Any]:
        found = [(stage, one) for stage in self._line for one in stage.instructions if one.name == "USER"]
        if not found:
            if self._line[0].base.lower() == "scratch":
                self._found(self._final.line, "root-user")
                return {"has_user": False, "final_user": "", "final_user_is_root": True, **_as(expected, "")}
            self._found(self._final.line, "no-user")
            self.notes.append("no USER stands in it: who runs is what the base image says, most often root")
            return {"has_user": False}
        stage, one = found[-1]
        user = fill(one.rest.strip().strip("\"'"), _scope_at(stage, one))
        name = user.partition(":")[0]
        if "$" in name or not name:
            self.notes.append(f"line {one.line}: which user {safe(one.rest, 80)} is depends on the build")
            return {"has_user": True}
        is_root = name == "root" or (name.isdecimal() and not int(name[:20]))
        if is_root:
            self._found(one.line, "root-user")
        return {"has_user": True, "final_user": user[:200], "final_user_is_root": is_root, **_as(expected, user)}

    def _bases(self, stages: list[Stage]) -> int:
        count = 0
        for stage in stages:
            images = [(stage.line, stage.base)] if stage.parent is None else []
            for one in stage.instructions:
                source = one.flag("from") if one.name == "COPY" else None
                if source and self._file.stage(fill(source, stage.scope)) is None:
                    images.append((one.line, fill(source, stage.scope)))
            for line, image in images:
                if image.lower() != "scratch" and "@sha256:" not in image:
                    count += 1
                    self._found(line, f"unpinned {safe(image, 120)}")
        return count

    def _adds(self, stages: list[Stage]) -> int:
        count = 0
        for one in _all(stages, "ADD"):
            if any(_URL.match(word) for word in one.words()[:-1]) and not one.flag("checksum"):
                count += 1
                self._found(one.line, "add-url")
        return count

    def _dotenv(self, stages: list[Stage]) -> bool:
        found = False
        for one in _all(stages, "COPY", "ADD"):
            if one.flag("from"):
                continue
            for word in one.words()[:-1]:
                rule = file_rule(word.removeprefix("./"))
                if rule is not None:
                    found = found or rule.id == "env-file"
                    self._found(one.line, f"copies {rule.id}")
        return found

    def _secrets(self, stages: list[Stage]) -> dict[str, Any]:
        args: dict[str, None] = {}
        envs: dict[str, None] = {}
        total = 0
        for stage in [None, *stages]:
            for one in self._file.globals if stage is None else stage.instructions:
                lasts = stage in self._line
                names = [name for name, value in _secret_pairs(one, lasts=lasts) if name]
                for name in names:
                    (args if one.name == "ARG" else envs)[name] = None
                    self._found(one.line, f"secret-{one.name.lower()} {safe(name, 80)}")
                total += len(names)
                if one.name in ("RUN", "LABEL", "CMD", "ENTRYPOINT", "COPY", "ADD", "HEALTHCHECK"):
                    rule = secret_value(one.rest) or secret_value(one.heredoc)
                    if rule is not None:
                        total += 1
                        self._found(one.line, f"secret-in-{one.name.lower()} {rule}")
        return {"secret_args": list(args)[:_MOST], "secret_envs": list(envs)[:_MOST], "secrets": total}

    def _found(self, line: int, rule: str) -> None:
        self.findings.append({"file": self._path, "line": line, "rule": rule})


def _as(expected: str | None, user: str) -> dict[str, bool]:
    if expected is None:
        return {}
    return {"user_as_expected": user == expected if ":" in expected else user.partition(":")[0] == expected}


def _scope_at(stage: Stage, until: Instruction) -> dict[str, str]:
    """What the stage's variables are at its end; one that changes after `until` is not known."""
    later = {
        name
        for one in stage.instructions[stage.instructions.index(until) + 1 :]
        if one.name in ("ENV", "ARG")
        for name, _ in one.pairs()
    }
    return {name: value for name, value in stage.scope.items() if name not in later}


def _all(stages: list[Stage], *names: str) -> Iterator[Instruction]:
    return (one for stage in stages for one in stage.instructions if one.name in names)


def _secret_pairs(one: Instruction, *, lasts: bool) -> Iterator[tuple[str, str]]:
    """What ARG and ENV keep that is a secret.

    A value in the file is one wherever it stands. One that the build gives is kept by the image only where the
    instruction belongs to it: the ARG of an earlier stage does not show there.
    """
    if one.name not in ("ARG", "ENV"):
        return
    for name, value in one.pairs():
        given = not value or "$" in value
        if one.name == "ENV" and not value:
            continue
        judged = _SOME if given and lasts else value
        if secret_key(name, judged) or secret_value(value) is not None:
            yield name, value
