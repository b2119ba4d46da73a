"""How to read a Dockerfile and what it says. No verdicts."""
