"""How to find files with secrets, and what keeps them out of git and builds. No verdicts."""
