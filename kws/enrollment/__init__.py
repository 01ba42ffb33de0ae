"""A detector in a minute: from typed text, or from recordings and synthetic voices as well."""
