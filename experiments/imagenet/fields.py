"""What the fields of an image classifier's config may be."""

from ml_collections import config_dict

from experiments.checks import (
    COUNT,
    PIXELS,
    SIZE,
    Each,
    Number,
    OneOf,
    Rising,
)

SHARE_OF_IMAGE = Number(0, 1, open_low=True)
# Each with the sizes that it needs.
STEMS = {
    "pixels": (),
    "pointwise": ("stem_channels",),
    "conv": ("stem_channels",),
    "patches": ("stem_channels", "patch_size"),
}
POSITIONS = ("fourier", "learned")

RANGES = {
    "data.source": OneOf(("tfds", "folder", "digits", "synthetic")),
    "data.num_classes": COUNT,
    "data.image_size": PIXELS,
    "data.crop_area": Rising(SHARE_OF_IMAGE),
    "data.randaugment_layers": SIZE,
    "data.randaugment_magnitude": Number(0, 10),
    "data.mix_alpha": SIZE,
    "data.label_smoothing": Number(0, 1, open_high=True),
    "data.eval_crop": SHARE_OF_IMAGE,
    "data.loss": OneOf(("softmax", "sigmoid")),
    "data.max_corrupt": SIZE,
    "data.num_workers": SIZE,
    "model.stem": OneOf(tuple(STEMS)),
    "model.stem_channels": SIZE,
    "model.stem_padding": OneOf(("same", "torch")),
    "model.patch_size": SIZE,
    "model.positions": Each(OneOf(POSITIONS)),
    "model.num_bands": COUNT,
    "model.max_resolution": PIXELS,
    "model.position_channels": COUNT,
    "model.position_projection": SIZE,
    "model.position_init_scale": SIZE,
    "model.head": OneOf(("query", "mean")),
}

# They change none of a run's numbers.
FREE = ("data.dir", "data.max_corrupt", "data.num_workers")


def check_stem(model: config_dict.ConfigDict) -> None:
    """Raises ValueError if the stem has not the sizes that it needs."""
    for size in STEMS[model.stem]:
        if not model[size]:
            raise ValueError(
                f"model.{size}=0 must be at least 1 with model.stem='{model.stem}'."
            )
