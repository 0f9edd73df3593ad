"""Optical flow on the host: files, datasets, rendered pairs, augmentation, pictures."""
