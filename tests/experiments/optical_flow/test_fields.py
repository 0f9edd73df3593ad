"""Values that no field of optical flow may have are named before anything is built."""

import pytest
from small_flow import make_config

from configs import optical_flow as configs
from experiments import build
from experiments.optical_flow import fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.source": "files"}, "data.source='files' must be one of datasets, "),
        ({"data.objects": (2,)}, "data.objects=.2,. must be a tuple of 2 values"),
        ({"data.objects": (3, 2)}, "data.objects=.* must be a low end, then a high"),
        ({"data.zoom": (0.0, 1.0)}, "data.zoom=.* each more than 0"),
        ({"data.motion": -1.0}, "data.motion=-1.0 must be at least 0"),
        ({"data.render_size": (48,)}, "data.render_size=.48,. must be a tuple of 2"),
        ({"data.num_workers": -1}, "data.num_workers=-1 must be at least 0"),
        ({"model.stem": "wavelet"}, "model.stem='wavelet' must be one of patches, "),
        ({"model.image_size": (16,)}, "model.image_size=.16,. must be a tuple of 2"),
        ({"model.image_size": (16, 0)}, "model.image_size=.16, 0.* each at least 1"),
        ({"model.max_resolution": (0, 6)}, "model.max_resolution=.* each at least 1"),
        ({"model.num_latents": 0}, "model.num_latents=0 must be at least 1"),
    ],
)
def test_values_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_task(make_config(**changes))


@pytest.mark.parametrize("variant", list(configs.VARIANTS))
def test_variants_are_in_range_and_have_all_fields(variant):
    config = configs.get_config(variant)
    build.check(config)
    for field in (*fields.RANGES, *fields.FREE):
        part, name = field.split(".")
        assert name in config[part], field
