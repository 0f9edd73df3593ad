"""What the fields of a config of AudioSet may be."""

from collections.abc import Sequence

from experiments.checks import COUNT, PIXELS, SHARE, SIZE, Each, Number, OneOf, Rising

SOURCES = ("audioset", "folder", "rendered")
INPUTS = ("audio", "mel", "video")
# The stream of a file that each is made of.
STREAMS = {"audio": "audio", "mel": "audio", "video": "video"}

RANGES = {
    "data.source": OneOf(SOURCES),
    "data.num_classes": COUNT,
    "data.frames_per_second": COUNT,
    "data.eval_clips": COUNT,
    "data.read_side": COUNT,
    "data.crop_area": Rising(Number(0, 1, open_low=True)),
    "data.color": SHARE,
    "data.dropout.audio": SHARE,
    "data.dropout.mel": SHARE,
    "data.dropout.video": SHARE,
    "data.mel_masks": SIZE,
    "data.mel_mask_longest": Each(SHARE, 2, (0.2, 0.3)),
    "data.rendered_clips": SIZE,
    "data.max_corrupt": SIZE,
    "data.num_workers": SIZE,
    "model.inputs": Each(OneOf(INPUTS), example=("audio", "video")),
    "model.num_frames": COUNT,
    "model.image_size": PIXELS,
    "model.samples_per_frame": COUNT,
    "model.video_patch": Each(COUNT, 3, (2, 8, 8)),
    "model.audio_patch": COUNT,
    "model.mel_windows": COUNT,
    "model.mel_bins": COUNT,
    "model.mel_patch": COUNT,
    "model.video_bands": COUNT,
    "model.audio_bands": COUNT,
    "model.mel_bands": COUNT,
    "model.head": OneOf(("query", "mean")),
    "model.query_channels": COUNT,
}

# They change none of a run's numbers.
FREE = ("data.dir", "data.max_corrupt", "data.num_workers")


def check_inputs(inputs: Sequence[str]) -> None:
    """Raises ValueError unless there are inputs, each once."""
    if not inputs or len(set(inputs)) < len(inputs):
        raise ValueError(
            f"model.inputs={tuple(inputs)} must be some of {', '.join(INPUTS)}, each "
            "once."
        )
