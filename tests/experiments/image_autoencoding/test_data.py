"""Crops of photos: to train on from above, to test on from below; damage is named."""

import numpy as np
import pytest
from PIL import Image
from small_photos import SIZE, make_config, write_photos

from experiments.image_autoencoding import data
from perceiver_jax.data.flow import photos
from perceiver_jax.data.flow.pairs import denormalize


def find(crop, pixels):
    """The first row and column of a crop [h, w, 3] uint8 in a photo, or None."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, crop.shape)[:, :, 0]
    found = np.argwhere((windows == crop).all((2, 3, 4)))
    return tuple(found[0]) if len(found) else None


def read(folder):
    return {path.name: np.asarray(Image.open(path)) for path in folder.glob("*.png")}


def make_folder(tmp_path, **shapes):
    write_photos(tmp_path, **(shapes or {"a": (60, 50), "b": (70, 40)}))
    return make_config(**{"data.photos": str(tmp_path)})


def test_crops_to_train_on_are_above_those_to_test_on(tmp_path):
    config = make_folder(tmp_path)
    pixels = read(tmp_path)
    train = [x for _, x in zip(range(4), data.train_loader(config).batches())]
    rows = []
    for batch in train:
        for image, points in zip(batch["image"], batch["points"]):
            crop = denormalize(image)
            both = (crop, crop[:, ::-1])
            places = [find(x, photo) for x in both for photo in pixels.values()]
            ((row, _),) = filter(None, places)
            rows.append(row)
            assert len(set(points)) == 20 and 0 <= points.min() <= points.max() < 192
    assert len(set(rows)) > 8 and max(rows) + SIZE[0] <= 49  # 70% of 70
    for batch in data.test_loader(config).batches():
        for number, image in enumerate(batch["image"][batch["mask"] > 0]):
            name = "ab"[number % 2] + ".png"
            row, _ = find(denormalize(image), pixels[name])
            assert row >= round(0.7 * len(pixels[name]))


def test_order_and_crops_are_a_function_of_seed_and_step(tmp_path):
    loader = data.train_loader(make_folder(tmp_path))
    whole = [x for _, x in zip(range(5), loader.batches())]
    later = next(loader.batches(3))
    for name in later:
        np.testing.assert_array_equal(later[name], whole[3][name])
        if name != "mask":
            assert (whole[2][name] != whole[3][name]).any()
    first, second = (
        list(data.test_loader(make_config(seed=seed)).batches()) for seed in (0, 1)
    )
    np.testing.assert_array_equal(first[0]["image"], second[0]["image"])


def test_photos_to_test_on_of_their_own(tmp_path):
    write_photos(tmp_path / "others", c=(12, 16))
    config = make_folder(tmp_path)
    config.data.test_photos = str(tmp_path / "others")
    (batch,) = data.test_loader(config).batches()
    assert batch["mask"].tolist() == [1, 1, 1, 0]
    expected = read(tmp_path / "others")["c.png"]
    for image in batch["image"][:3]:
        np.testing.assert_array_equal(denormalize(image), expected)
    crops = data.train_loader(config).batches()  # now from everywhere
    rows = [
        find(denormalize(x), p)[0]
        for _, batch in zip(range(9), crops)
        for image in batch["image"]
        for x in (image, image[:, ::-1])
        for p in read(tmp_path).values()
        if find(denormalize(x), p)
    ]
    assert max(rows) + SIZE[0] > 49


def test_damaged_and_small_photos_are_named_and_counted(tmp_path, caplog):
    config = make_folder(tmp_path, a=(60, 50), b=(60, 50), c=(60, 15))
    path = tmp_path / "b.png"
    path.write_bytes(path.read_bytes()[:300])
    (tmp_path / "notes.txt").write_text("no photo")
    good = np.asarray(Image.open(tmp_path / "a.png"))
    batch = next(data.train_loader(config).batches())
    for image in batch["image"]:
        crop = denormalize(image)
        assert find(crop, good) or find(crop[:, ::-1], good)
    assert "b.png: " in caplog.text
    assert "corrupt example 2 of at most 100" in caplog.text
    assert "c.png: rows 0 to 42 of 60x15 pixels are smaller than a crop" in caplog.text
    batches = list(data.test_loader(config).batches())
    assert sum(batch["left_out"].sum() for batch in batches) == 2 * 3
    assert sum(batch["mask"].sum() for batch in batches) == 3
    config.data.max_corrupt = 1
    with pytest.raises(RuntimeError, match="more than 1 corrupt "):
        _ = [x for _, x in zip(range(3), data.train_loader(config).batches())]


def test_a_folder_that_is_not_there_or_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; give one of"):
        data.open_photos(str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"holds no images \(.jpg, "):
        data.open_photos(str(tmp_path))


def test_scikit_learns_photos_are_the_default():
    found = data.open_photos("")
    for number, pixels in enumerate(photos.scikit_learn()):
        np.testing.assert_array_equal(found[number]["image"], pixels)
    assert [found[n]["name"] for n in range(2)] == ["china.jpg", "flower.jpg"]
