"""What the fields of a config of optical flow may be.

data.phases, whose parts hang together, are checked where they are read.
"""

from experiments.checks import COUNT, PIXELS, SIZE, Each, Number, OneOf, Rising

STEMS = ("patches", "conv")

RANGES = {
    "data.source": OneOf(("datasets", "synthetic")),
    "data.render_size": PIXELS,
    "data.motion": SIZE,
    "data.objects": Rising(SIZE),
    "data.zoom": Rising(Number(0, open_low=True)),
    "data.rendered_pairs": COUNT,
    "data.max_corrupt": SIZE,
    "data.num_workers": SIZE,
    "model.image_size": PIXELS,
    "model.stem": OneOf(STEMS),
    "model.stem_channels": COUNT,
    "model.patch_size": COUNT,
    "model.num_bands": COUNT,
    "model.max_resolution": Each(COUNT),
}

# They change none of a run's numbers.
FREE = ("data.dir", "data.keep_rendered", "data.max_corrupt", "data.num_workers")
