"""Several processes as one run: their start, signs of life, signals."""
