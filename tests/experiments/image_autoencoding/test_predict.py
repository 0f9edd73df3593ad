"""Pictures of one's own, decoded at any size: whole, coarse to fine, as a video."""

import json

import numpy as np
import programs
import pytest
from PIL import Image
from small_photos import SIZE, make_apply, make_config, make_images, write_photos

from configs import image_autoencoding as configs
from experiments.image_autoencoding import predict
from experiments.image_autoencoding.predict import Predictor, coarse, cut, decode
from perceiver_jax.data.flow.pairs import denormalize, normalize
from perceiver_jax.data.video import files as video
from perceiver_jax.engine.task import Identity


def blur(pixels):
    """Means of 4x4 pixels: what a codec keeps of noise."""
    return pixels.reshape(11, 4, 15, 4, 3).mean((1, 3))


NAMES = [f"every_{step}" for step in predict.STEPS]


def test_program_writes_pictures_and_a_video(trained_photos, tmp_path):
    (path,) = write_photos(tmp_path, a=(30, 40))
    done = programs.run(
        "experiments.predict",
        *(f"--workdir={trained_photos}", f"--output={tmp_path / 'out'}"),
        *("--json", "--attention", "--height=45", str(path)),
    )
    (record,) = map(json.loads, done.stdout.splitlines())
    assert record["size"] == [45, 60] and record["psnr"] is None
    final = np.asarray(Image.open(record["decoded"]))
    assert final.shape == (45, 60, 3) and final.std() > 1
    for step, name in zip(predict.STEPS, record["coarse"], strict=True):
        np.testing.assert_array_equal(Image.open(name), coarse(final, step))
    frames = np.stack(list(video.read_frames(record["video"])))
    assert frames.shape == ((len(NAMES) + 2) * 5, 44, 60, 3)  # even sizes only
    for frame, name in ((frames[0], record["coarse"][0]), (frames[-1], "decoded")):
        shown = final if name == "decoded" else np.asarray(Image.open(name))
        assert np.abs(blur(frame) - blur(shown[:44])).mean() < 10
    with np.load(record["attention"][0]) as maps:
        assert maps["encoder"].shape == (5, 12) and maps["decoder"].shape == (192, 5)
    with Image.open(record["attention"][1]) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_a_bad_picture_does_not_end_it(trained_photos, tmp_path):
    write_photos(tmp_path / "in", good=(12, 16), small=(11, 40))
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no picture")
    done = programs.run(
        "experiments.predict",
        f"--workdir={trained_photos}",
        f"--output={tmp_path / 'out'}",
        str(tmp_path / "in"),
        fails=True,
    )
    assert "small.png: 11x40 pixels are fewer than the model's 12x16" in done.stderr
    assert "broken.jpg: in no image format" in done.stderr
    assert "2 of 3 inputs could not be used" in done.stderr
    assert "good.png: decoded at 12x16 pixels, " in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = [f"good_{name}.png" for name in [*NAMES, "decoded"]]
    assert names == {*stems, "good_coarse_to_fine.mp4"}


def test_one_tile_is_what_the_model_says():
    config = make_config()
    apply, (image,) = make_apply(config), make_images(1)
    found = decode(apply, config.model, image, SIZE)
    expected = np.asarray(apply({"image": image[None]})).reshape(*SIZE, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(59, 79), (88, 118)])
def test_finer_pictures_hold_the_pixels_of_the_picture_s_own_size(size):
    """Also in many tiles, of a size that they do not divide."""
    config = make_config()
    apply, (image,) = make_apply(config), make_images(1, (30, 40))
    own = decode(apply, config.model, image, (30, 40))
    fine = decode(apply, config.model, image, size)
    step = (size[0] - 1) // 29
    np.testing.assert_allclose(fine[::step, ::step], own, atol=1e-4)
    assert own.std() > 0.01


@pytest.mark.parametrize("length", [16, 17, 40, 41])
@pytest.mark.parametrize("count", [2, 3, 9, 16, 40, 41, 79, 95, 160])
def test_every_output_is_decoded_where_it_lies(length, count):
    tile, found = 16, np.zeros(count)
    stretches = cut(length, tile, count)
    assert len({len(stretch.places) for stretch in stretches}) == 1
    for stretch in stretches:
        pixels = stretch.pixels.start + (stretch.places + 1) / 2 * (tile - 1)
        outputs = np.arange(count)[stretch.outputs] / (count - 1) * (length - 1)
        counts = stretch.weights > 0
        np.testing.assert_allclose(pixels[counts], outputs[counts], atol=1e-9)
        assert np.abs(stretch.places).max() <= 1
        found[stretch.outputs] += stretch.weights
    assert found.min() > 0


def test_coarse_pictures_are_of_the_same_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    found = coarse(picture, 4)
    assert found.shape == picture.shape
    assert (found[4:8, :4] == picture[6, 2]).all()
    assert (found[8:, 8:] == picture[8, 10]).all()
    np.testing.assert_array_equal(coarse(picture, 1), picture)


@pytest.mark.parametrize(
    ("height", "size"), [(0, (30, 41)), (60, (60, 82)), (2, (2, 3)), (15, (15, 20))]
)
def test_columns_are_in_proportion(height, size):
    predictor = Predictor(configs.get_config(), Identity(), height=height)
    assert predictor._size(30, 41) == size


def test_a_single_row_is_no_picture():
    with pytest.raises(ValueError, match="--height=1 is no picture"):
        Predictor(configs.get_config(), Identity(), height=1)._size(30, 41)


def test_attention_is_looked_at_without_a_loop():
    config = configs.get_config()
    predictor = Predictor(config, Identity())
    assert predictor.config_to_look_at.model.query_chunk == 0
    assert config.model.query_chunk > 0


def test_colors_go_there_and_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    np.testing.assert_array_equal(denormalize(normalize(pixels)), pixels)
