"""Corpora to validated manifests; knows nothing about models."""
