"""Optical flow: where each pixel of a frame is in the next one."""
