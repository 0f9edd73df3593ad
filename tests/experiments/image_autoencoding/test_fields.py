"""Values that no field may have are named before anything is built."""

import pytest
from small_photos import make_config

from configs import image_autoencoding as configs
from experiments import build
from experiments.image_autoencoding import fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.loss": "psnr"}, "data.loss='psnr' must be one of l2, l1"),
        ({"data.num_queries": 0}, "data.num_queries=0 must be at least 1"),
        ({"data.test_crops": 0}, "data.test_crops=0 must be at least 1"),
        ({"data.crops_per_photo": 0}, "data.crops_per_photo=0 must be at least 1"),
        ({"data.max_corrupt": -1}, "data.max_corrupt=-1 must be at least 0"),
        ({"model.image_size": (1, 16)}, "model.image_size=.1, 16.* each at least 2"),
        ({"model.max_resolution": (12,)}, "model.max_resolution=.12,. must be a tuple"),
        ({"model.code_channels": 0}, "model.code_channels=0 must be at least 1"),
        ({"model.patch_size": 5}, "patch_size=5 does not divide .*12, 16"),
        ({"data.num_queries": 193}, "num_queries=193 is more than the 192 pixels"),
        (
            {"data.crops_per_photo": 3},
            "data.crops_per_photo=3 does not divide batch_size=4",
        ),
    ],
)
def test_values_that_can_not_be_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_task(make_config(**changes))


@pytest.mark.parametrize("variant", list(configs.VARIANTS))
def test_variants_are_in_range_and_have_all_fields(variant):
    config = configs.get_config(variant)
    build.check(config)
    fields.check_sizes(config)
    for field in (*fields.RANGES, *fields.FREE):
        part, name = field.split(".")
        assert name in config[part], field
