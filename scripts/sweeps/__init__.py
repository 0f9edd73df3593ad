"""The parts of `python -m scripts.sweep`."""
