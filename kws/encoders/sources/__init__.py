"""One file per origin of encoder weights."""
