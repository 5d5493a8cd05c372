"""Questions about a whole tape, each a function in a file of its own."""
