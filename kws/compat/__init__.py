"""Doors for programs that were written for other wake-word packages; each needs the device part alone."""
