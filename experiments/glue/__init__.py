"""Classifying and scoring texts: GLUE, files of one's own, Python's documentation."""
