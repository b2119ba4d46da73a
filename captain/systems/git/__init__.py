"""How to ask git about a repository without running anything of it."""
