"""How to look through the files of a repository within bounds. No verdicts."""
