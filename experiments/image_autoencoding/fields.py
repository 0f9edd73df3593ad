"""What the fields of a config of image autoencoding may be."""

from ml_collections import config_dict

from experiments.checks import COUNT, PIXELS, SIZE, Each, Number, OneOf

LOSSES = ("l2", "l1")

RANGES = {
    "data.crops_per_photo": COUNT,
    "data.test_crops": COUNT,
    "data.num_queries": COUNT,
    "data.loss": OneOf(LOSSES),
    "data.max_corrupt": SIZE,
    "data.num_workers": SIZE,
    "model.image_size": Each(Number(2), 2, (64, 64)),  # 1 has no two ends
    "model.patch_size": COUNT,
    "model.stem_channels": COUNT,
    "model.num_bands": COUNT,
    "model.max_resolution": PIXELS,
    "model.query_max_resolution": PIXELS,
    "model.code_channels": COUNT,
}

# They change none of a run's numbers.
FREE = ("data.max_corrupt", "data.num_workers")


def check_sizes(config: config_dict.ConfigDict) -> None:
    """Raises ValueError if sizes do not go together: queries, patches, crops, batch."""
    crops, batch = config.data.crops_per_photo, config.batch_size
    if batch % crops:
        raise ValueError(
            f"data.crops_per_photo={crops} does not divide batch_size={batch}: the "
            "crops of a photo stand in one batch."
        )
    height, width = config.model.image_size
    if config.data.num_queries > height * width:
        raise ValueError(
            f"data.num_queries={config.data.num_queries} is more than the "
            f"{height * width} pixels of model.image_size={(height, width)}: a pixel "
            "is asked for once."
        )
    patch = config.model.patch_size
    if height % patch or width % patch:
        raise ValueError(
            f"model.patch_size={patch} does not divide model.image_size="
            f"{(height, width)}: pixels at the edge would not be read."
        )
