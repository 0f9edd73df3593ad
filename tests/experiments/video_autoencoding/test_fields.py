"""Values that no field may have are named before anything is built."""

import pytest
from small_av import make_config

from configs import video_autoencoding as configs
from experiments import build
from experiments.video_autoencoding import fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.source": "files"}, "data.source='files' must be one of kinetics"),
        ({"data.label_hidden": 1.5}, "data.label_hidden=1.5 must be"),
        ({"data.loss": "l3"}, "data.loss='l3' must be one of l1, l2"),
        ({"data.loss_weights.video": -1.0}, "data.loss_weights.video=-1.0 must be at"),
        ({"data.num_classes": 10}, "data.num_classes=10, but the data has 9 classes"),
        ({"model.num_frames": 0}, "model.num_frames=0 must be at least 1"),
        ({"model.video_patch": (4, 4)}, r"model.video_patch=\(4, 4\) must be a tuple"),
        (
            {"model.video_patch": (1, 3, 4)},
            r"video of \(2, 8, 8\) cells can't be cut into patches",
        ),
        ({"model.audio_patch": 24}, r"audio of \(64,\) cells can't be cut into"),
        ({"data.points.video": 129}, "data.points.video=129 are more than the 128"),
        ({"data.points.audio": 5}, "data.points.audio=5 are more than the 4 elements"),
    ],
)
def test_values_that_can_not_be_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_task(make_config(**changes))


@pytest.mark.parametrize("variant", list(configs.VARIANTS))
def test_variants_are_in_range_and_have_all_fields(variant):
    config = configs.get_config(variant)
    build.check(config)
    for field in (*fields.RANGES, *fields.FREE):
        part, *names = field.split(".")
        found = config[part]
        for name in names:
            found = found[name]
        assert found is not None, field
