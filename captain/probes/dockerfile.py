"""The kind `dockerfile`: what a Dockerfile says before it is built."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypedDict

from captain.errors import ProbeError
from captain.fields import Bool, Text
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.dockerfile.reading import read_dockerfile
from captain.systems.dockerfile.rules import Reading
from captain.systems.tree_files import Tree

_SHARE = 0.8
"""Of the attempt's time, what hadolint may take."""


@probe("dockerfile")
class DockerfileProbe(Probe):
    """Does the Dockerfile end with a user that is not root, and hold no secret?

    Reads the file and builds nothing. ARG before FROM, heredocs, continued lines and stages that build on stages are
    followed; a variable stands for its default, and where it has none, what hangs on it is left out. Without USER the
    base image says who runs: then `has_user` is false and `final_user_is_root` is left out, unless the base is scratch.

    A secret that stands in the file counts in every stage. One that the build gives (ARG TOKEN) counts where the image
    would keep it: the ARG of an earlier stage does not show in the image, better still is RUN --mount=type=secret.
    hadolint is asked as well where it is installed.
    """

    rests: ClassVar[str] = "without hadolint"
    default_expect: ClassVar[tuple[str, ...]] = (
        "has_user",
        "!final_user_is_root",
        "secrets == 0",
        "!copies_dotenv",
        "add_url == 0",
    )
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    errors: ClassVar[str] = (
        "fail: the file is no Dockerfile, or has no stage of the name in `target`; unknown: it is not there or cannot "
        "be read"
    )
    example: ClassVar[str] = """\
id: multi-stage
title: The image is built in stages and runs as appuser
dockerfile: { path: backend/Dockerfile, expected_user: appuser }
expect: ['stages >= 2 && copy_from_stage >= 1', 'user_as_expected', '!final_user_is_root', 'secrets == 0']"""

    path: Text = "Dockerfile"
    """The file, relative to the folder of captain.yaml."""
    target: Text | None = None
    """The stage that is built, default the last."""
    expected_user: Text | None = None
    """Who should run: `appuser`, `1000:1000`."""
    hadolint: Bool = True
    """Ask hadolint too where it is installed."""

    class Observes(TypedDict, total=False):
        """What the file says of the image that is built."""

        stages: Annotated[int, "stages up to the one that is built"]
        copy_from_stage: Annotated[int, "COPYs into the image from an earlier stage that does not become part of it"]
        final_from_stage: Annotated[bool, "the last stage builds on an earlier one"]
        has_user: Annotated[bool, "a USER stands in it"]
        final_user: Annotated[str, "who runs, as written, variables filled in"]
        final_user_is_root: Annotated[bool, "that is root"]
        user_as_expected: Annotated[bool, "that is expected_user; its group counts where one is given there"]
        has_healthcheck: Annotated[bool, "a HEALTHCHECK stands in it, and the last one is not NONE"]
        secret_args: Annotated[list[str], "names of ARGs that are secrets"]
        secret_envs: Annotated[list[str], "names of ENVs that are secrets"]
        secrets: Annotated[int, "places with a secret: ARG, ENV, and what looks like one in RUN, LABEL, COPY, CMD"]
        copies_dotenv: Annotated[bool, "a .env is copied by name"]
        base_unpinned: Annotated[int, "images it builds on or copies from that no digest pins"]
        add_url: Annotated[int, "ADDs of an address without a checksum"]
        lint_errors: Annotated[int, "errors hadolint finds (left out where it is not installed)"]
        lint_warnings: Annotated[int, "warnings hadolint finds"]
        findings: Annotated[list[dict[str, Any]], "every place: file, line, rule"]

    def asks(self) -> str:
        return f"Dockerfile {self.path}" + (f", target {self.target}" if self.target else "")

    async def measure(self, ctx: Context) -> Measurement:
        tree = Tree(ctx.root)
        text = await ctx.blocking(lambda: self._text(tree))
        observed, notes = self._look(text)
        # What hadolint says hangs on its version and on settings that lie elsewhere.
        alone = not (self.hadolint and await self._lint(ctx, text, observed, notes))
        observed["findings"].sort(key=lambda one: one["line"])
        body = "\n".join(f"{one['file']}:{one['line']}: {one['rule']}" for one in observed["findings"])
        return Measurement(
            observed,
            self.asks(),
            ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(notes),
            rests=tree.rests if alone else None,
        )

    def _text(self, tree: Tree) -> str:
        data = tree.read(self.path)
        if data is None:
            raise ProbeError(f"{safe(self.path, 200)}: there is no such file", hint="check `path`")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ProbeError(f"{safe(self.path, 200)}: is not UTF-8 text: byte {error.start}") from error

    def _look(self, text: str) -> tuple[dict[str, Any], list[str]]:
        try:
            file = read_dockerfile(text)
        except ValueError as error:
            raise ProbeError(f"{safe(self.path, 200)}:{error}", fault="subject") from error
        final = file.stages[-1] if self.target is None else file.stage(self.target)
        if final is None:
            sentence = f"{safe(self.path, 200)}: has no stage {safe(self.target, 60)}"
            raise ProbeError(sentence, fault="subject", hint="check `target`")
        reading = Reading(file, self.path, final)
        return reading.look(self.expected_user), reading.notes

    async def _lint(self, ctx: Context, text: str, observed: dict[str, Any], notes: list[str]) -> bool:
        """Whether hadolint was there to be asked."""
        from captain.systems.dockerfile.hadolint import lint

        said = await lint(text, ctx.root, ctx.environ, ctx.timeout * _SHARE)
        if isinstance(said, str):
            notes.append(said)
            return "not installed" not in said
        levels = [level for _, level, _ in said.found]
        observed |= {"lint_errors": levels.count("error"), "lint_warnings": levels.count("warning")}
        for line, level, rule in said.found:
            observed["findings"].append({"file": self.path, "line": line, "rule": f"{rule} {level}"})
        return True
