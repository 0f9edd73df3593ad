"""What the fields of the toy's config may be."""

from experiments.checks import COUNT, Number

RANGES = {
    "data.num_held_out": Number(1, 177),
    "model.position_channels": COUNT,
}

FREE = ()
