"""A draft into the Checklist model: every step typed, defaults, params and tiers applied."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from captain.checklist import Ask, Checklist, Defaults, Gate, Section, Step
from captain.documents import Node
from captain.loader.asking import asks_of, default_expect, default_warn, observe_of
from captain.loader.drafts import Draft, DraftSection, DraftStep
from captain.loader.problems import Problems, nearest, show
from captain.loader.soaks import check_soak
from captain.loader.validate import build
from captain.measurement import SAFETIES, Safety

MAX_NAMES = 200
"""Vars, params or probes that one mapping may name: every condition is compiled against all of them."""
_PLACE = re.compile(r"\{params\.([^{}\s]*)\}")
_USED = re.compile(r"params\.([a-z_][a-z0-9_]*)")
_PRODUCT = re.compile(r"(-?[0-9.]+) \* (kB|MB|GB|KiB|MiB|GiB)")
_CALL = re.compile(r"""(?:duration|timestamp)\(["']([^"']*)["']\)""")
_DAYS = re.compile(r"days\(([0-9]+)\)")


@dataclass(frozen=True)
class Setting:
    """What a checklist stands in: the service and one of its environments."""

    defaults: Defaults
    params: Mapping[str, str]
    """Of the top level of captain.yaml."""
    overrides: Mapping[str, str]
    """Params of the environment, which win over everything."""
    tier: str | None = None
    tiered: bool = False
    """Whether steps of other tiers are left out."""
    environment: str | None = None
    """Its name, where captain.yaml declares it."""
    allow: tuple[Safety, ...] = ()
    """What steps may do in it besides reading."""
    places: tuple[str, ...] | None = None
    """Every environment that captain.yaml declares; None where there is no captain.yaml."""
    review: bool = False
    """Whether the checklist is `per: service`."""


def build_checklist(draft: Draft, setting: Setting, problems: Problems) -> Checklist | None:
    """The model, or None with the problems noted."""
    before = problems.met
    own = draft.node.get("defaults")
    chosen = build(Defaults, own, problems) if own is not None and own.value is not None else Defaults()
    setting = replace(setting, review=draft.per == "service")
    defaults = _laid(setting.defaults, chosen or Defaults())
    params = {**setting.params, **texts(draft.node.get("params"))}
    sections = [_section(section, defaults, params, setting, problems) for section in draft.sections]
    ready = {
        "sections": _reachable([section for section in sections if section is not None and section.steps]),
        "defaults": defaults,
    }
    built = build(Checklist, draft.node, problems, ready=ready)
    if built is not None:
        title = _titled(built.title, draft.node, {**params, **setting.overrides}, problems)
        built = built.model_copy(update={"title": title})
    return built if problems.met == before else None


def texts(node: Node | None) -> dict[str, str]:
    """The texts of a mapping, as far as they are texts; what is beyond `MAX_NAMES` is an error elsewhere."""
    entries = islice(node.mapping.items(), MAX_NAMES) if node is not None else ()
    return {name: child.text for name, child in entries if child.text is not None}


def _laid(base: Defaults, over: Defaults) -> Defaults:
    return base.model_copy(update={name: getattr(over, name) for name in over.model_fields_set})


def _section(
    draft: DraftSection, defaults: Defaults, params: Mapping[str, str], setting: Setting, problems: Problems
) -> Section | None:
    steps = [build_step(step, defaults, params, setting, problems) for step in draft.steps]
    kept = tuple(step for step in steps if step is not None and _exists(step, setting))
    gate = draft.node.get("gate")
    ready = {"steps": kept, "gate": (build(Gate, gate, problems) if gate is not None else None) or Gate()}
    built = build(Section, draft.node, problems, ready=ready, checked=False)
    if built is None:
        return None
    title = _titled(built.title, draft.node, {**params, **setting.overrides}, problems)
    return built.model_copy(update={"steps": kept, "title": title})


def _reachable(sections: list[Section]) -> tuple[Section, ...]:
    """Without needs of steps that this tier does not have: nobody could wait for them."""
    ids = {step.id for section in sections for step in section.steps}

    def trimmed(step: Step) -> Step:
        needs = tuple(need for need in step.needs if need in ids)
        return step if needs == step.needs else step.model_copy(update={"needs": needs})

    return tuple(section.model_copy(update={"steps": tuple(map(trimmed, section.steps))}) for section in sections)


def _exists(step: Step, setting: Setting) -> bool:
    return not (setting.tiered and step.tier and setting.tier not in step.tier)


def build_step(
    draft: DraftStep, defaults: Defaults, params: Mapping[str, str], setting: Setting, problems: Problems
) -> Step | None:
    """The model of one step, or None with the problems noted."""
    asks = asks_of(draft.asks, problems)
    ready: dict[str, object] = {"asks": asks or {}}
    if draft.observe is not None:
        ready["observe"] = observe = observe_of(draft.observe, draft.observe_asks, problems)
        if observe is None:
            asks = None
        else:
            _only_reads(draft.observe, observe.asks, problems)
    built = build(Step, draft.node, problems, ready=ready, checked=False)
    if built is None or asks is None:
        return None
    own = texts(draft.node.get("params"))
    merged = {**params, **own, **setting.overrides}
    # Only what the step names: a sign-off must not lapse because some other step's threshold moved.
    used = own.keys() | set(_USED.findall(json.dumps(draft.node.plain)))
    update = {
        "params": {name: text for name, text in merged.items() if name in used},
        "title": _titled(built.title, draft.node, merged, problems),
        "review": setting.review,
    }
    if not built.expect:
        update["expect"] = default_expect(draft.asks)
        update["warn"] = built.warn or default_warn(draft.asks)
    if built.soak is not None and setting.review:
        check_soak(draft.node, built, setting.places, problems)
    if built.safety != "read":
        _more_than_reading(draft.node, built, setting, problems)
    return built.model_copy(update=update | _defaulted(built, defaults))


_REPEATED = ("retry", "every", "within", "for")


def _more_than_reading(node: Node, step: Step, setting: Setting, problems: Problems) -> None:
    """What a step that does more than read cannot be told, and where it will not run."""
    for key in _REPEATED:
        if key in node.mapping:
            why = f"{key} has no effect: the step is {step.safety}, so it is asked once, by itself"
            problems.key(node, key, why, hint="leave it out, or give the step probes that only read")
    if setting.environment is not None and step.safety not in setting.allow:
        allow = ", ".join(one for one in SAFETIES[1:] if one in (*setting.allow, step.safety))
        where = setting.environment
        hint = f"environments: {{ {where}: {{ allow: [{allow}] }} }} in captain.yaml lets it run, asked each time"
        message = f"{step.id} is {step.safety}, which {where} does not allow"
        problems.key(node, "id", message, hint=hint, severity="note")


def _only_reads(observe: Node, asks: Mapping[str, object], problems: Problems) -> None:
    """How an action is seen is asked by itself, as often as it takes."""
    for ask in asks.values():
        if isinstance(ask, Ask) and ask.probe is not None and ask.probe.safety != "read":
            message = f"observe only reads, and {ask.kind} is {ask.probe.safety} with these parameters"
            problems.error(observe, message, hint="observe with a probe that only reads")


def _defaulted(step: Step, defaults: Defaults) -> dict[str, object]:
    """What the defaults say where the step says nothing. They never touch what an action does."""
    given, found = step.model_fields_set, {}
    for name in ("severity",) if step.soak is not None else ("severity", "max_age"):
        if name not in given and getattr(defaults, name) is not None:
            found[name] = getattr(defaults, name)
    if step.kind == "probe":
        # An experiment takes its time; what does more than read is never repeated by itself.
        usual = {"read": ("timeout", "retry", "on_error", "within"), "active": ("timeout", "on_error")}
        for name in usual.get(step.safety, ("on_error",)):
            if name == "within" and step.soak is not None:
                continue
            if name not in given and getattr(defaults, name) is not None:
                found[name] = getattr(defaults, name)
        # `every` turns retry off, so it only reaches steps that keep asking.
        asking = step.within or step.hold or found.get("within")
        if "every" not in given and asking and defaults.every is not None:
            found["every"] = defaults.every
    if step.observe is not None:
        names = ("timeout", "every", "within", "on_error")
        update = {
            name: getattr(defaults, name)
            for name in names
            if name not in step.observe.model_fields_set and getattr(defaults, name) is not None
        }
        found["observe"] = step.observe.model_copy(update=update)
    return found


def _titled(title: str, node: Node, params: Mapping[str, str], problems: Problems) -> str:
    """The title with `{params.max}` filled in."""
    holder = node.get("title")
    for match in _PLACE.finditer(title):
        if match[1] not in params and holder is not None:
            problems.error(
                *(holder, f"params.{show(match[1])[1:-1]} is not known"),
                hint=nearest(match[1], params),
                offset=match.start(),
            )
    return _PLACE.sub(lambda match: spoken(params.get(match[1], match[0])), title)


def spoken(constant: str) -> str:
    """A CEL constant as people say it: `500 * MB` is 500 MB, `duration("1h")` is 1h."""
    text = constant.strip()
    if match := _PRODUCT.fullmatch(text):
        return f"{match[1]} {match[2]}"
    if match := _CALL.fullmatch(text):
        return match[1]
    if match := _DAYS.fullmatch(text):
        return f"{match[1]} days"
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
