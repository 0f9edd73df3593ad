"""Pictures into a few values, and out of them pixel by pixel, at any resolution."""
