"""Slices of TPU pods on Google Cloud: made, used for a training, and deleted."""
