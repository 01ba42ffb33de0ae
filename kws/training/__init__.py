"""Training loops; the only package that imports Lightning."""
