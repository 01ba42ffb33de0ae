"""A detector in seconds, without training: from typed text, or from recordings and synthetic voices."""
