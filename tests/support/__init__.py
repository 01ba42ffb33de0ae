"""What several tests share: synthetic signals, small models and manifests; no binary files."""
