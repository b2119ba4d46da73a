"""Which verbs there are, each with its one line of help. Imports none of them."""

VERBS: dict[str, str] = {
    "init": "Look at the repository, write captain.yaml and checklists; never overwrite.",
    "lint": "Every problem of captain.yaml and the checklists, with its place.",
    "run": "Start a release, or resume one, on the screen.",
    "check": "Measure a checklist without a screen.",
    "sign": "Approve, reject, waive or withdraw, on a step or a gate.",
    "act": "Start the action of a step and wait for its verdict.",
    "gate": "Decide go or no-go for the open section.",
    "resolve": "Say what an unknown action did.",
    "rollback": "Go back to the release before, and prove it.",
    "abort": "Give a run up.",
    "note": "Write something down in a run.",
    "status": "What is open, and what to do next.",
    "score": "What the readiness review comes to, and what is left to do.",
    "history": "The runs of the log, newest first.",
    "show": "Everything that happened in a run.",
    "export": "Write the log or one run as jsonl, csv or markdown.",
    "verify": "Is the log as captain wrote it?",
    "trust": "Show the commands of the files, and accept them.",
    "explain": "What a probe or rollback strategy takes and sees.",
    "schema": "The JSON Schema of the files and of results.",
    "demo": "A release of an invented shop, on this machine alone.",
}
"""In the order in which `captain --help` lists them. A verb is the module of the same name, with a `command`."""
