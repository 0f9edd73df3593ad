"""AudioSet: what is heard and seen in clips, from sound, spectrograms and video."""
