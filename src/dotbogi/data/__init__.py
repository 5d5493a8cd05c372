"""From image files, known data sets or Python objects to one uint8 array, and from there to batches."""
