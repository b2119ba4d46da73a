"""The deployment of a repository that is new to captain: the shipped steps, each as far as it can be asked there.

The shipped checklist measures a forge, an engine, Prometheus and reports that a new repository has not named yet. Its
steps keep their ids, titles and reasons; what could not run is asked of a person, with what would measure it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from captain.scaffold.offer import one
from captain.scaffold.quoting import Plain, flow
from captain.scaffold.survey import Survey

STEP = re.compile(r"(?m)^      - id: (?P<id>\S+)\n        title: (?P<title>.+)\n(?P<rest>(?:        .*\n?)+)")
"""One step of a shipped checklist, as it is written there."""
TOKEN = "GITHUB_TOKEN"
_HEAD = """\
# Thirteen checks around one deployment.
#
# It reads three addresses from captain.yaml, and /version answers JSON with a `version`. What nothing here could be
# asked about yet is asked of a person, with evidence that expires; a tick alone is not accepted anywhere. `help` names
# what measures it, and captain's own list, `extends: deploy`, has every step so: captain explain KIND.
"""
_KEPT = re.compile(r"(?m)^        (?:why|needs|action): .*\n")
_FORMS = """
tests-passing
manual: Open the CI run of this very commit; every required job is green. Give its URL.
sign_off: { evidence: required, valid_for: 1d }
help: The kind ci asks GitHub or GitLab for the checks of this commit.

security-scan-clean
manual: Give the report of the scan of this release's images and dependencies, none critical.
sign_off: { evidence: required, valid_for: 1d }
help: The kind report reads what Trivy, pip-audit, npm audit and others wrote.

no-uncommitted-changes
git: {}
expect: |
  dirty == 0
  untracked == 0
  hidden_changes == 0
  conflicts == 0
  head_sha == release.commit

backups-verified
manual: Give the record of the newest backup, younger than a day, and of reading it back.
sign_off: { evidence: required, valid_for: 1d }
help: The kind backup reads the newest dump to its end, on disk or in a bucket.

rollback-plan-tested
manual: Rehearse the rollback on staging; give the run, when it was and how long it took.
sign_off: { evidence: required, valid_for: 90d }
help: The kind record finds the last rollback that captain did on staging, how long it took and whether it worked.

automated-pipeline
observe:
  http: { url: '${{ vars.version_url }}' }
  within: 15m
  every: 5s
  expect: [status == 200, json.version == release.version]

zero-downtime
manual: Give the graph of failed requests across the rollout; there are none that the rollout caused.
sign_off: { evidence: required, valid_for: 1d }

health-check-monitoring
http: { url: '${{ vars.health_url }}' }
every: 2s
within: 3m
for: 1m
expect: [status == 200]

rollback-on-failure
manual: Give the rule that sends this release back, and who watches it.
sign_off: { evidence: required, valid_for: 90d }
help: The kind service sees what Docker Swarm does when an update fails.

health-checks-passing
http: { url: '${{ vars.health_url }}' }
every: 10s
within: 10m
for: 5m
expect: [status == 200, 'latency < duration("500ms")']

metrics-collecting
http: { url: '${{ vars.metrics_url }}' }
expect: [status == 200, 'text.contains("# TYPE")']

no-error-spikes
manual: Give the graph of the error rate half an hour before and ten minutes after; it did not rise.
sign_off: { evidence: required, valid_for: 1d }
help: The kinds prometheus and logs see the share of failed requests, alerts and new kinds of errors.

performance-baseline
manual: Give the 95th percentile before and after; it did not rise by more than a quarter.
sign_off: { evidence: required, valid_for: 1d }
"""


def forms() -> dict[str, list[str]]:
    """By step: the lines of YAML that ask and judge where nothing but the three addresses is known."""
    blocks = (block.split("\n") for block in _FORMS.strip().split("\n\n"))
    return {name: rows for name, *rows in blocks}


def deployment(shipped: str, found: Survey, repository: str | None) -> tuple[str, list[str]]:
    """The checklist for this repository, and the secrets that it needs.

    `repository` is the name on the forge; CI is asked where there is a token for it.
    """
    written = forms()
    ci = _ci(found, repository)
    if ci is not None:
        written["tests-passing"] = ci

    def formed(step: re.Match[str]) -> str:
        rows = written.get(step["id"])
        if rows is None:
            return step[0]
        kept = "".join(_KEPT.findall(step["rest"]))
        return f"      - id: {step['id']}\n        title: {step['title']}\n{kept}" + "".join(
            f"        {row}\n" for row in rows
        )

    text = STEP.sub(formed, shipped)
    text = re.sub(r"(?m)^params:\n(?:  .*\n)+", "", text)
    return _HEAD + text[text.index("checklist: ") :], [TOKEN] if ci is not None else []


def _ci(found: Survey, repository: str | None) -> list[str] | None:
    if repository is None or found.forge != "github" or TOKEN not in found.set_variables:
        return None
    asks: Mapping[str, Plain] = {"provider": "github", "repo": repository, "token_env": TOKEN}
    counts = ("success > 0", "failed_count == 0", "missing_count == 0")
    if not one("CI", "ci", asks, *counts).ready:
        return None
    return [f"ci: {flow(asks)}", f"expect: {flow(list(counts))}", f"help: {_CI_HELP}"]


_CI_HELP = "Open the run of this commit on GitHub; what failed there must be mended before it is released."
