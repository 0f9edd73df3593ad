"""All outputs of a clip by the released video model, beside transformers' at full size.

    pip install torch transformers -e .    # in an environment of its own
    python -m benchmarks.video

transformers makes a model with random weights, scripts.convert_pretrained converts it,
and both decode the same clip: a class, 30,720 samples of sound, and 802,816 pixels.
Ours asks for all at once, and decodes in chunks by itself. Theirs is asked once for
each of --parts parts, as its documentation does: at once it takes more memory than is
here. Printed: seconds of a clip (median), peak memory of the process, both without
converting, loading and compiling, and the largest difference between the outputs.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import figures
from experiments import build, program, restore
from perceiver_jax import extras
from perceiver_jax.engine.forward import make_forward, parse_policy

torch = extras.Library("torch", extra="")
transformers = extras.Library("transformers", extra="")

_PARTS = flags.DEFINE_integer("parts", 16, "Parts to ask transformers for.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Timed runs of each.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")
_OURS = flags.DEFINE_string("ours", None, "Internal: run this checkpoint.")
_THEIRS = flags.DEFINE_string("theirs", None, "Internal: run this folder.")
_MAKE = flags.DEFINE_string("make", None, "Internal: write this folder.")
