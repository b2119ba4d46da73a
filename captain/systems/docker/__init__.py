"""How to ask Docker and what its answers mean: engine, images, services. No verdicts."""
