"""Data on the host: example sources, image operations, batches. Knows no JAX."""
