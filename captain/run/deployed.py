"""What a run put into its environment, and since when it is there. Pure, over the run's own entries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from captain.measurement import Verdict
from captain.release import Release
from captain.run import Attempt, Run


@dataclass(frozen=True, slots=True)
class Deployment:
    """The newest change that a run made to its environment."""

    run: str
    seq: int
    """Of the newest entry that says so: what was seen before it was seen of something else."""
    release: Release
    """What is there since."""
    at: datetime | None
    """When it was there; None where nobody can tell, or it is not there yet."""
    why: str = ""
    """Why nobody can tell, as the rest of a sentence about the run."""


def deployment(run: Run) -> Deployment | None:
    """What the run changed last; None where it changed nothing.

    A rollback that was verified counts as what it went back to. A run without actions, whose people deployed by hand,
    counts from its completion: when exactly they did it the log does not know.
    """
    if run.rollback is not None:
        return _went_back(run)
    touched = [one for one in _newest(run) if not _never_applied(one)]
    if not touched:
        done = run.end if run.state == "completed" and not run.started_anything else None
        return None if done is None else Deployment(run.id, done.seq, run.release, done.at)
    seq = max(one.touched.seq for one in touched)
    troubled = next(((one, why) for one in touched if (why := _trouble(run, one))), None)
    if troubled is not None:
        return Deployment(run.id, seq, run.release, None, f"{troubled[0].step} {troubled[1]}")
    return Deployment(run.id, seq, run.release, max(_ended(run, one) for one in touched))


def _went_back(run: Run) -> Deployment:
    rollback = run.rollback
    assert rollback is not None
    if rollback.end is None:
        return Deployment(run.id, rollback.intent.seq, rollback.to, None, "is being rolled back")
    end = rollback.end
    if end.data["state"] != "rolled_back":
        return Deployment(run.id, end.seq, rollback.to, None, "was rolled back in part only")
    return Deployment(run.id, end.seq, rollback.to, end.at)


def _newest(run: Run) -> list[Attempt]:
    """The newest attempt of each action step."""
    return list({one.step: one for one in run.attempts.values() if one.step is not None}.values())


def _never_applied(attempt: Attempt) -> bool:
    return attempt.resolved is not None and attempt.resolved.data["outcome"] == "not_applied"


def _trouble(run: Run, attempt: Attempt) -> str | None:
    """Why nobody can say that the attempt did what it should; None where somebody can."""
    if attempt.resolved is not None and attempt.resolved.data["outcome"] == "partial":
        return "was applied in part only"
    if attempt.resolved is not None and attempt.resolved.data["by"] == "person":
        return None
    seen = run.results.get(attempt.step or "")
    if seen is not None and seen.attempt == attempt.id:
        return None if seen.verdict.good else _SEEN[seen.verdict]
    if attempt.external:
        return "has not arrived yet"
    if attempt.finished is None:
        return "has not ended yet"
    if attempt.succeeded and not attempt.intent.data["observe"]:
        return None
    return "has not been looked at yet" if attempt.succeeded else "did not end well"


_SEEN = {Verdict.FAIL: "did not end well", Verdict.UNKNOWN: "ended and nobody can tell how"}


def _ended(run: Run, attempt: Attempt) -> datetime:
    """When what it did was done; of what others do, when it was seen."""
    if attempt.finished is None and attempt.resolved is None:
        return run.results[attempt.step or ""].at
    return attempt.touched.at
