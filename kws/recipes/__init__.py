"""Runnable configurations in YAML."""
