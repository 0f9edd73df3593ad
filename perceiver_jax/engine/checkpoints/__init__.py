"""Checkpoints: written, found, checked, told about, and started from."""
