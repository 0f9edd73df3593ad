"""Perceiver and Perceiver IO in JAX and Haiku."""
