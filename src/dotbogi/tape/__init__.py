"""The tape: a forward pass or a training step with every operation and number of it."""
