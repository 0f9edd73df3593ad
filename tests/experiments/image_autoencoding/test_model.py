"""Any pixels can be asked for, in any order, at any resolution."""

import numpy as np
import pytest
from small_photos import SIZE, make_apply, make_config, make_images

from configs import image_autoencoding as configs
from experiments import build
from experiments.image_autoencoding import model as photo_model


def decode(image, config=None, **asked):
    apply = make_apply(config or make_config())
    return np.asarray(apply({"image": image, **asked}))


def test_any_pixels_in_any_order_are_those_of_the_whole_picture():
    images = make_images()
    whole = decode(images)
    assert whole.shape == (2, 12 * 16, 3) and whole.std(axis=1).min() > 0.01
    rng = np.random.default_rng(0)
    points = np.stack([rng.permutation(192)[:30] for _ in images], dtype=np.int32)
    few = decode(images, points=points)
    np.testing.assert_allclose(
        few, np.take_along_axis(whole, points[..., None], 1), atol=1e-5
    )


@pytest.mark.parametrize("chunk", [0, 7, 64])
def test_chunks_are_decoded_as_all_at_once(chunk):
    images = make_images()
    chunked = decode(images, make_config(**{"model.query_chunk": chunk}))
    np.testing.assert_allclose(chunked, decode(images), atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3])
def test_a_finer_grid_holds_the_pixels_of_the_coarse_one(scale):
    images, config = make_images(), make_config()
    shape = [(n - 1) * scale + 1 for n in SIZE]
    rows, columns = (
        photo_model.place_features(config.model, axis, np.linspace(-1, 1, n))
        for axis, n in enumerate(shape)
    )
    fine = decode(images, rows=rows, columns=columns).reshape(2, *shape, 3)
    own = fine[:, ::scale, ::scale].reshape(2, -1, 3)
    np.testing.assert_allclose(own, decode(images), atol=1e-5)
    one = decode(images, rows=rows[3:4], columns=columns[4:6])
    np.testing.assert_allclose(one, fine[:, 3, 4:6], atol=1e-5)


def test_examples_are_those_of_training():
    config = make_config()
    batch = next(build.make_task(config).train.batches(0, 1))
    shapes = build.make_model(config).batch(config.batch_size)
    assert {name: (x.shape, x.dtype) for name, x in batch.items()} == {
        name: (x.shape, x.dtype) for name, x in shapes.items()
    }


def test_a_code_has_so_many_values():
    assert photo_model.coded_values(make_config().model) == 5 * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.num_queries": 193}, "num_queries=193 is more than the 192 pixels"),
        ({"model.patch_size": 5}, "patch_size=5 does not divide .*12, 16"),
    ],
)
def test_sizes_that_do_not_go_together(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_model(make_config(**changes))


def test_every_number_of_latents_of_the_sweep_is_smaller_than_a_crop():
    config = configs.get_config()
    for point in configs.sweep():
        config.update_from_flattened_dict(point)
        assert photo_model.coded_values(config.model) < 3 * 56 * 56
