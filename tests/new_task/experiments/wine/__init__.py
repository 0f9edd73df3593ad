"""Wines to the grower they are from, by thirteen measurements: a toy task."""
