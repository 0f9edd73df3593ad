"""From a config's `data` to batches of images."""

import itertools

import numpy as np
import pytest
import sklearn.datasets
import small_digits
from PIL import Image

from configs import imagenet
from experiments.imagenet import data
from perceiver_jax.data import sources
from perceiver_jax.data.image import transforms


def test_digits_are_split_by_class_without_overlap():
    splits = data.load_splits(small_digits.get_config().data)
    assert (len(splits.train), len(splits.test)) == (1437, 360)
    assert list(splits.class_names) == [str(n) for n in range(10)]
    numbers = [example["name"] for part in splits[:2] for example in part]
    assert sorted(numbers) == list(range(1797))
    digits = sklearn.datasets.load_digits()
    labels = [int(example["label"]) for example in splits.test]
    counts = np.bincount(labels)
    assert counts.min() >= 34 and counts.max() <= 37
    first = splits.test[0]
    assert first["label"] == digits.target[first["name"]]
    np.testing.assert_allclose(
        first["image"], digits.images[first["name"]] * 255 / 16, atol=0.5
    )


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"data__num_classes": 7}, ValueError, "--config.data.num_classes=10"),
        (
            {"data__source": "folder", "data__dir": "/none"},
            FileNotFoundError,
            "/none",
        ),
    ],
)
def test_data_that_is_not_as_the_config_says(fields, error, message):
    with pytest.raises(error, match=message):
        data.load_splits(small_digits.get_config(**fields).data)


def test_dataset_that_is_not_prepared_says_how_to_prepare_it(tmp_path):
    config = imagenet.get_config("fourier")
    config.data.dir = str(tmp_path / "none")
    message = "python -m scripts.prepare_tfds --name=imagenet2012"
    with pytest.raises(FileNotFoundError, match=message):
        data.load_splits(config.data)


def test_noise_needs_no_data():
    config = imagenet.get_config()
    config.data.source = "synthetic"
    splits = data.load_splits(config.data)
    assert splits.train[0]["image"].shape == (375, 500, 3)
    assert {example["label"] for example in splits.train} <= set(range(1000))
    assert len(splits.class_names) == 0  # noise has none


def folder(tmp_path, splits=("train", "val")):
    for split, name, number in itertools.product(splits, ("cat", "dog"), range(2)):
        pixels = np.full((20, 30, 3), 100 * number + 5, np.uint8)
        path = tmp_path / split / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return small_digits.get_config(
        data__source="folder",
        data__dir=str(tmp_path),
        data__eval_split="val",
        data__num_classes=2,
        data__image_size=(12, 16),
        batch_size=4,
        eval_batch_size=4,
    )


def test_folders_become_batches(tmp_path):
    config = folder(tmp_path)
    splits = data.load_splits(config.data)
    assert splits.class_names == ["cat", "dog"]
    batch = next(data.train_loader(config, splits.train).batches())
    assert batch["images"].shape == (4, 12, 16, 3)
    np.testing.assert_array_equal(batch["labels"].sum(0), [2, 2])
    (batch,) = data.eval_loader(config, splits.test).batches()
    np.testing.assert_array_equal(batch["labels"], [[1, 0], [1, 0], [0, 1], [0, 1]])
    pixels = transforms.denormalize(batch["images"])
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], [5, 105, 5, 105])


def test_corrupt_images_are_skipped_in_training_and_left_out_of_evaluation(
    tmp_path, caplog
):
    config = folder(tmp_path)
    for split in ("train", "val"):
        (tmp_path / split / "dog" / "0.png").write_bytes(b"no image")
    splits = data.load_splits(config.data)
    batch = next(data.train_loader(config, splits.train).batches())
    assert batch["mask"].sum() == 4 and "train/dog/0.png" in caplog.text
    (batch,) = data.eval_loader(config, splits.test).batches()
    np.testing.assert_array_equal(batch["mask"], [1, 1, 0, 1])
    np.testing.assert_array_equal(batch["left_out"], [0, 0, 1, 0])
    assert "val/dog/0.png" in caplog.text


def test_too_many_corrupt_images_end_training(tmp_path):
    config = folder(tmp_path)
    config.data.max_corrupt = 0
    (tmp_path / "train" / "dog" / "0.png").write_bytes(b"no image")
    batches = data.train_loader(config, data.load_splits(config.data).train).batches()
    with pytest.raises(RuntimeError, match="more than 0 corrupt.*dog/0.png"):
        next(batches)


def test_augmentation_is_of_the_generator_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    example = data.decode({"image": pixels, "label": 1, "name": "x"})
    augment = data.Augment((12, 16), 3, (0.3, 1.0), True, 2, 5.0)
    one, same, other = (
        augment(example, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one["images"], same["images"])
    assert (one["images"] != other["images"]).any()
    np.testing.assert_array_equal(one["labels"], [0, 1, 0])


def test_several_labels_an_image_are_all_kept():
    crop = data.CropForEval((8, 8), 5, 1.0)
    example = {"image": np.zeros((8, 8, 3), np.uint8), "label": [1, 4], "name": "x"}
    np.testing.assert_array_equal(crop(example)["labels"], [0, 1, 0, 0, 1])


def test_mixing_keeps_the_mask_and_the_weight_of_labels():
    rng = np.random.default_rng(0)
    batch = {
        "mask": np.ones(8, np.float32),
        "images": rng.normal(size=(8, 4, 4, 3)).astype(np.float32),
        "labels": np.eye(8, dtype=np.float32),
    }
    mixed = data.Mix(0.2)(batch, np.random.default_rng(1))
    np.testing.assert_array_equal(mixed["mask"], 1)
    np.testing.assert_allclose(mixed["labels"].sum(1), 1, rtol=1e-6)
    assert (mixed["images"] != batch["images"]).any()


def test_a_corrupt_example_is_named():
    with pytest.raises(sources.CorruptExample, match="cat/1.jpg"):
        data.decode({"image": b"no image", "label": 0, "name": "cat/1.jpg"})
