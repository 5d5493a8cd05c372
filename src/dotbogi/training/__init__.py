"""One step, the loop around it, and what they need; knows nothing of runs or of who listens."""
