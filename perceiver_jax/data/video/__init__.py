"""Clips of video with sound: read, listed, rendered, augmented, written."""
