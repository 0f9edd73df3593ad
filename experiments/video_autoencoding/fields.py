"""What the fields of a config of video autoencoding may be."""

from experiments.checks import COUNT, PIXELS, SHARE, SIZE, Each, OneOf

SOURCES = ("kinetics", "folder", "rendered")
LOSSES = ("l1", "l2")

RANGES = {
    "data.source": OneOf(SOURCES),
    "data.frames_per_second": COUNT,
    "data.num_classes": COUNT,
    "data.label_hidden": SHARE,
    "data.points.audio": SIZE,
    "data.points.video": SIZE,
    "data.loss": OneOf(LOSSES),
    "data.loss_weights.audio": SIZE,
    "data.loss_weights.video": SIZE,
    "data.loss_weights.label": SIZE,
    "data.rendered_clips": SIZE,
    "data.max_corrupt": SIZE,
    "data.num_workers": SIZE,
    "model.num_frames": COUNT,
    "model.image_size": PIXELS,
    "model.samples_per_frame": COUNT,
    "model.audio_patch": COUNT,
    "model.video_patch": Each(COUNT, 3, (1, 4, 4)),
    "model.audio_bands": COUNT,
    "model.video_bands": COUNT,
    "model.video_max_resolution": PIXELS,
    "model.code_channels": SIZE,
    "model.label_query_channels": COUNT,
    "model.decoder_channels": COUNT,
}

# They change none of a run's numbers.
FREE = ("data.dir", "data.max_corrupt", "data.num_workers")
