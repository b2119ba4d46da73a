"""The containers of one look, counted by what is wrong with them. Pure: knows no engine, no condition, no verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from captain.measurement import Value
from captain.safe import safe
from captain.systems.docker import containers as told
from captain.systems.docker.look import Look, Seen
from captain.systems.docker.restarts import restarts_since
from captain.systems.docker.users import runs_as
from captain.systems.docker.writable import written
from captain.systems.globs import Glob

_HEALTH = ("healthy", "unhealthy", "starting")
_ITEMS = 1000


class Counts:
    """The observations of one look. What could not be asked of every container is left out."""

    def __init__(
        self,
        found: Look,
        now: datetime,
        *,
        min_matches: int = 1,
        top: bool = False,
        allow_root_pid1: Sequence[str] = (),
        require_mounts: Mapping[str, Sequence[str]] | None = None,
        inner: Sequence[str] = (),
        expected_users: Mapping[str, str] | None = None,
        diff_allow: Sequence[str] | None = None,
        stats: bool = False,
        since: datetime | None = None,
    ) -> None:
        """`inner` names the services or containers whose ports must not be published; `now` is the engine's time.

        `diff_allow` is None where changes were not asked for. `since` is when the deploy began by the engine's clock,
        None where none did or nobody can say.
        """
        self._min_matches = min_matches
        self._top = top
        self._allow_root_pid1 = frozenset(allow_root_pid1)
        self._require_mounts = require_mounts or {}
        self._inner = inner
        self._seen = found.containers
        self._documents = [seen.document for seen in found.containers]
        self._look = found
        self._remapped = found.remapped
        self._expected_users = expected_users or {}
        self._since = since
        self._stats = stats
        allow = None if diff_allow is None else [Glob(pattern) for pattern in diff_allow]
        self._written = None if allow is None else [_written(seen, allow) for seen in found.containers]
        self._now = now
        self.notes: list[str] = [*found.notes]
        self.items: list[Value] = [self._item(seen) for seen in found.containers]

    def observed(self) -> dict[str, Value]:
        names = ", ".join(safe(told.name_of(document), 60) for document in self._documents[:10]) or "none"
        if len(self._seen) < self._min_matches:
            self.notes.append(f"{len(self._seen)} of at least {self._min_matches} containers matched: {names}")
        if unmet := self._look.unmet:
            self.notes.append(f"no container of {', '.join(safe(name, 60) for name in unmet[:10])}")
        if unmet or len(self._seen) < self._min_matches:
            return {"matched": len(self._seen)}
        observed: dict[str, Value] = {"matched": len(self._seen)}
        if len(self.items) <= _ITEMS:
            observed["items"] = self.items
        asked = (self._states, self._health, self._users, self._limits, self._mounts, self._networks, self._rest)
        for counts in (*asked, self._mismatches, self._restarts, self._changes, self._use):
            observed.update(counts())
        return observed

    def _count(self, true: Callable[[Mapping[str, Any]], object]) -> int:
        return sum(1 for document in self._documents if true(document))

    def _states(self) -> dict[str, Value]:
        states = [told.part(document, "State") for document in self._documents]
        started = [at for each in self._documents if told.runs(each) and (at := told.started_at(each))]
        found: dict[str, Value] = {
            "running": self._count(told.runs),
            "paused": sum(1 for state in states if state.get("Paused")),
            "restarting": sum(1 for state in states if state.get("Restarting")),
            "exited": sum(1 for state in states if not state.get("Running") and not state.get("Restarting")),
            "oom_killed": sum(1 for state in states if state.get("OOMKilled")),
            "no_restart_policy": self._count(lambda each: not told.restarts_itself(each)),
            "restart_count_max": max(int(each.get("RestartCount") or 0) for each in self._documents),
        }
        if started:
            found["uptime_min"] = max(self._now - max(started), timedelta(0))
        return found

    def _health(self) -> dict[str, Value]:
        health: list[str] = [told.health(document) for document in self._documents]
        found: dict[str, Value] = {
            "no_healthcheck": self._count(lambda each: not told.has_check(each)),
            **{name: health.count(name) for name in _HEALTH},
            "failing_streak_max": max(map(told.failing_streak, self._documents)),
        }
        if retries := [count for each in self._documents if (count := told.retries(each)) is not None]:
            found["health_retries_min"] = min(retries)
        return found

    def _users(self) -> dict[str, Value]:
        found: dict[str, Value] = {"root_configured": self._count(told.configured_root)}
        if not self._top:
            return found
        silent = [told.name_of(seen.document) for seen in self._seen if seen.processes is None]
        if silent:
            self.notes.append(f"not running, so nobody knows its processes: {safe(', '.join(silent), 200)}")
        elif self._remapped is None:
            self.notes.append("the engine does not say whether it remaps users, so uid 0 cannot be judged")
        elif self._remapped:
            self.notes.append("the engine remaps users, so uids here are the host's and cannot be judged")
        else:
            found["user_processes"] = sum(len(seen.processes or ()) - _roots(seen) for seen in self._seen)
            found["root_processes"] = sum(self._forbidden_roots(seen) for seen in self._seen)
        return found

    def _forbidden_roots(self, seen: Seen) -> int:
        first = told.part(seen.document, "State").get("Pid")
        allowed = {told.name_of(seen.document), told.service_of(seen.document)} & self._allow_root_pid1
        return sum(
            1
            for uid, pid, program in seen.processes or ()
            if uid == 0 and not (pid == first and (allowed or program in self._allow_root_pid1))
        )

    def _limits(self) -> dict[str, Value]:
        return {
            "no_memory_limit": self._count(lambda each: not told.memory(each)),
            "no_cpu_limit": self._count(lambda each: not told.cpus(each)),
            "no_pids_limit": self._count(lambda each: not told.pids(each)),
        }

    def _mismatches(self) -> dict[str, Value]:
        """How many containers run as somebody else. One that certainly does counts, whatever is not known of others."""
        count, unknown = 0, 0
        for service, user in self._expected_users.items():
            owners = [seen for seen in self._seen if told.called(seen.document, service)]
            if not owners:
                self.notes.append(f"no container of {safe(service, 60)} matched, so nobody knows its user")
                unknown += 1
            for seen in owners:
                uids = (
                    None if self._remapped is not False or not seen.processes else {uid for uid, _, _ in seen.processes}
                )
                as_meant, why = runs_as(seen.document, user, seen.users, uids)
                count += as_meant is False
                unknown += as_meant is None
                if why:
                    self.notes.append(f"{safe(told.name_of(seen.document), 60)} {safe(why, 200)}")
        return {"user_mismatch": count} if self._expected_users and (count or not unknown) else {}

    def _restarts(self) -> dict[str, Value]:
        if self._since is None:
            return {}
        if self._look.forgets and any("com.docker.swarm.task.id" in told.labels_of(each) for each in self._documents):
            self.notes.append("Swarm keeps nothing of ended tasks (--task-history-limit 0), so restarts are not known")
            return {}
        return {"restart_count_delta": restarts_since(self._documents, self._look.ended_tasks, self._since)}

    def _changes(self) -> dict[str, Value]:
        known = [paths for paths in self._written or [] if paths is not None]
        for seen, paths in zip(self._seen, self._written or [], strict=False):
            if paths:
                some = safe(", ".join(paths[:5]), 300)
                self.notes.append(f"{safe(told.name_of(seen.document), 60)} wrote {len(paths)} paths: {some}")
        whole = self._written is not None and len(known) == len(self._seen)
        return {"writable_changes": sum(map(len, known))} if whole else {}

    def _use(self) -> dict[str, Value]:
        if not self._stats:
            return {}
        shares = [(told.memory_ratio(seen.stats or {}), told.name_of(seen.document)) for seen in self._seen]
        if silent := [name for share, name in shares if share is None]:
            self.notes.append(f"the engine does not say how much memory they use: {safe(', '.join(silent), 200)}")
            return {}
        return {"mem_used_ratio_max": max(share for share, _ in shares if share is not None)}

    def _mounts(self) -> dict[str, Value]:
        mounts = [mount for document in self._documents for mount in told.mounts(document)]
        found: dict[str, Value] = {
            "anonymous_volumes": sum(map(told.anonymous, mounts)),
            "docker_sock_mounts": sum(map(told.engine_socket, mounts)),
            "sensitive_mounts": sum(map(told.sensitive, mounts)),
        }
        missing = 0
        for service, paths in self._require_mounts.items():
            owners = [document for document in self._documents if told.called(document, service)]
            if not owners:
                self.notes.append(f"no container of {safe(service, 60)} matched, so missing_mounts is not known")
                return found
            for document in owners:
                covered = {
                    str(mount.get("Destination"))
                    for mount in told.mounts(document)
                    if mount.get("Type") in ("volume", "bind") and not told.anonymous(mount)
                }
                missing += len(set(paths) - covered)
        if self._require_mounts:
            found["missing_mounts"] = missing
        return found

    def _networks(self) -> dict[str, Value]:
        found: dict[str, Value] = {
            "host_network": self._count(told.on_host_network),
            "default_bridge": self._count(lambda each: "bridge" in told.networks(each)),
            "privileged": self._count(lambda each: told.part(each, "HostConfig").get("Privileged")),
        }
        owners = [document for document in self._documents if any(told.called(document, name) for name in self._inner)]
        if not self._inner:
            return found | self._internal(self._documents)
        if all(any(told.called(document, name) for document in owners) for name in self._inner):
            found["published_internal"] = sum(len(told.published(document)) for document in owners)
            found |= self._internal(owners)
        return found

    def _internal(self, owners: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
        known = self._look.networks
        names = sorted({name for document in owners for name in told.networks(document)})
        if known is None or not names:
            return {}
        out = [name for name in names if name in known and told.leads_out(known[name])]
        if out:
            self.notes.append(f"these networks lead outside: {', '.join(safe(name, 60) for name in out[:10])}")
            return {"internal": False}
        if gone := [name for name in names if name not in known]:
            self.notes.append(f"the engine does not know these networks: {', '.join(safe(n, 60) for n in gone[:10])}")
            return {}
        return {"internal": True}

    def _rest(self) -> dict[str, Value]:
        revisions = {
            str(told.labels_of(each).get("org.opencontainers.image.revision") or "") for each in self._documents
        }
        return {
            "log_unbounded": self._count(told.log_unbounded),
            "log_drivers": _once(told.log_driver(each) for each in self._documents),
            "images": _once(seen.image.ref for seen in self._seen),
            "digests": _once(seen.image.digest for seen in self._seen),
            "revisions": _once(revisions - {""}),
        }

    def _item(self, seen: Seen) -> Value:
        document = seen.document
        state = told.part(document, "State")
        item: dict[str, Value] = {
            "name": told.name_of(document),
            "service": told.service_of(document),
            "id": str(document.get("Id") or "")[:12],
            "image": seen.image.ref,
            "digest": seen.image.digest,
            "state": str(state.get("Status") or ""),
            "running": told.runs(document),
            "exit_code": int(state.get("ExitCode") or 0),
            "health": told.health(document),
            "failing_streak": told.failing_streak(document),
            "user": str(told.part(document, "Config").get("User") or ""),
            "memory": told.memory(document),
            "cpus": told.cpus(document),
            "pids": told.pids(document),
            "restart_policy": str(told.part(document, "HostConfig", "RestartPolicy").get("Name") or "no"),
            "restarts": int(document.get("RestartCount") or 0),
            "networks": list(told.networks(document)),
            "published": list(told.published(document)),
            "mounts": [f"{mount.get('Type')} {mount.get('Destination')}" for mount in told.mounts(document)],
        }
        if seen.processes is not None:
            item["uids"] = [*sorted({uid for uid, _, _ in seen.processes})]
        return item


def _written(seen: Seen, allow: Sequence[Glob]) -> list[str] | None:
    return None if seen.changes is None else written(seen.document, seen.changes, allow)


def _roots(seen: Seen) -> int:
    return sum(1 for uid, _, _ in seen.processes or () if uid == 0)


def _once(values: Iterable[str]) -> list[Value]:
    return [*sorted(set(values))]
