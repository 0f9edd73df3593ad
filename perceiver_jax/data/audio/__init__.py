"""Sound: decoded, read and written."""
