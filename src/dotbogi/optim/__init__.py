"""How weights are updated: optimizers, one per file, and schedules of the learning rate, one per file."""
