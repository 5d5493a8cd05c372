"""One architecture per file; the file's name is its id."""
