"""Clips beside what was decoded of them: frames, waveforms, spectrograms."""

import dataclasses
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.video_autoencoding.outputs import to_frames
from perceiver_jax.engine.task import Batch
from perceiver_jax.model.adapters.modalities import Modality

MAX_CLIPS = 3  # in a picture
MAX_FRAMES = 8  # of a clip
_WINDOW = 512  # samples of a spectrogram's window, or an eighth of a short clip
