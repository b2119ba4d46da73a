"""How to ask GitHub and GitLab, and how to read their files."""
