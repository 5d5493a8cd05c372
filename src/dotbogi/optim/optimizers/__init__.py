"""Optimizers that can be chosen by name; a file's name is its id."""
