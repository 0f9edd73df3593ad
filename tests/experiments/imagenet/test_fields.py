"""Wrong fields of an image classifier's config are named before anything is built."""

import math

import pytest
import small_digits

from configs import imagenet
from experiments import build
from experiments.imagenet import fields


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("log_every", 0, "at least 1"),
        ("batch_size", -4, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("seed", -1, "at least 0"),
        ("optimizer.learning_rate", -1.0, "at least 0"),
        ("optimizer.learning_rate", math.nan, "finite and at least 0"),
        ("optimizer.decay_fractions", (0.5, 2.0), "each at least 0 and at most 1"),
        ("model.latent_channels", -3, "at least 1"),
        ("model.num_latents", -1, "at least 1"),
        ("model.dropout", 5.0, "at least 0 and less than 1"),
        ("model.stem", "wavelets", "one of pixels, pointwise, conv, patches"),
        ("model.positions", ("fourier", "none"), "each one of fourier, learned"),
        ("data.source", "web", "one of tfds, folder, digits, synthetic"),
        ("data.image_size", (8,), r"a tuple of 2 values, such as \(64, 64\)"),
        ("data.image_size", (8, 0), "each at least 1"),
        ("data.crop_area", (0.5,), "a tuple of 2 values"),
        ("data.crop_area", (2.0, 0.1), "each more than 0 and at most 1"),
        ("data.crop_area", (1.0, 0.1), "a low end, then a high one"),
        ("data.eval_crop", 0.0, "more than 0 and at most 1"),
        ("data.num_workers", -1, "at least 0"),
        ("data.randaugment_magnitude", -1.0, "at least 0 and at most 10"),
        ("data.label_smoothing", 1.0, "less than 1"),
        ("data.mix_alpha", -0.2, "at least 0"),
        ("data.num_classes", 0, "at least 1"),
    ],
)
@pytest.mark.parametrize("get_config", [small_digits.get_config, imagenet.get_config])
def test_wrong_field_is_named_with_its_value(get_config, field, value, problem):
    config = get_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match=problem) as error:
        build.check(config)
    assert str(error.value).startswith(f"{field}={value!r} must be ")


def test_fields_are_those_of_the_config():
    flat = {
        f"{part}.{name}"
        for part in ("data", "model")
        for name in imagenet.get_config()[part]
    }
    assert {*fields.RANGES, *fields.FREE} <= flat


@pytest.mark.parametrize(
    ("stem", "field"),
    [
        ("pointwise", "stem_channels"),
        ("conv", "stem_channels"),
        ("patches", "stem_channels"),
        ("patches", "patch_size"),
    ],
)
def test_stem_without_a_size_is_named(stem, field):
    config = small_digits.get_config()
    config.model.update({"stem": stem, "stem_channels": 4, "patch_size": 2})
    build.make_model(config)
    config.model[field] = 0
    with pytest.raises(ValueError, match=f"model.{field}=0 .* model.stem='{stem}'"):
        build.make_model(config)
