"""A stored moment of a run put on a tape: the step is made again, and every number of it kept."""
