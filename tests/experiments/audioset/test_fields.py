"""Values that no field may have are named before anything is built."""

import pytest
from small_audioset import make_config

from experiments import build


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.source": "files"}, "data.source='files' must be one of audioset"),
        ({"data.eval_clips": 0}, "data.eval_clips=0 must be at least 1"),
        ({"data.dropout.video": 1.5}, "data.dropout.video=1.5 must be at least 0"),
        ({"data.crop_area": (0.5, 0.1)}, r"data.crop_area=\(0.5, 0.1\) must be a low"),
        ({"model.inputs": ("sound",)}, r"each one of audio, mel, video"),
        ({"model.inputs": ()}, r"model.inputs=\(\) must be some of audio, mel, video"),
        ({"model.inputs": ("mel", "mel")}, "audio, mel, video, each once"),
        ({"model.head": "max"}, "model.head='max' must be one of query, mean"),
    ],
)
def test_values_that_can_not_be_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_model(make_config(**changes))
