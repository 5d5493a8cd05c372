"""Data sets that are known by name: one file each, and the file's name is the id."""
