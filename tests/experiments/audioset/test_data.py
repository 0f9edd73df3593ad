"""Clips as batches: what is changed and left out, and what is said of bad files."""

import itertools

import numpy as np
import pytest
import small_clips
from small_audioset import file_config, make_config, official

from experiments import build
from experiments.audioset import data
from perceiver_jax.data.audio import files as sound_files


def take(batches, count):
    return list(itertools.islice(batches, count))


@pytest.fixture
def folder(tmp_path):
    return small_clips.dataset(tmp_path)


@pytest.mark.parametrize(
    "inputs", [("audio",), ("mel",), ("video",), ("video", "mel", "audio")]
)
def test_batches_hold_what_the_model_reads(folder, inputs):
    config = file_config(folder, **{"model.inputs": inputs})
    task = build.make_task(config)
    shapes = task.model.batch(config.batch_size)
    (batch,) = take(task.train.batches(0, 10), 1)
    assert {k: (x.shape, x.dtype) for k, x in batch.items()} == {
        k: (x.shape, x.dtype) for k, x in shapes.items()
    }
    assert batch["labels"].sum(1).tolist() == [1] * 4
    for name in inputs:
        assert batch[name].std() > 0.05
    if inputs == ("audio",):  # video is not even opened
        assert task.train.preprocess._preprocess.reader.streams == ("audio",)


def test_the_way_is_a_function_of_seed_and_step(folder):
    task = build.make_task(file_config(folder))
    from_start = take(task.train.batches(0, 10), 5)
    resumed = take(task.train.batches(3, 10), 2)
    for a, b in zip(from_start[3:], resumed, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert not np.array_equal(from_start[0]["video"], from_start[2]["video"])


def test_rendered_clips_have_the_labels_of_shape_and_sound():
    splits = data.load_splits(make_config())
    assert splits.class_names == [
        *("circle", "square", "triangle"),
        *("sine", "buzz", "tremolo"),
    ]
    for index in range(9):
        example = splits.test[index]
        named = ", ".join(splits.class_names[label] for label in example["label"])
        assert example["name"].endswith(f": {named}")
    assert len(splits.test) == 288


def test_senses_are_left_out_as_often_as_asked_but_never_all():
    dropout = {"data.dropout.video": 0.3, "data.dropout.audio": 0.5}
    config = make_config(**dropout, batch_size=400)
    (batch,) = take(build.make_task(config).train.batches(0, 1), 1)
    seen, heard = batch["video_known"] > 0, batch["audio_known"] > 0
    assert (seen | heard).all()
    # Where both would be left out, none is.
    assert abs((~seen).mean() - 0.3 * 0.5) < 0.06
    assert abs((~heard).mean() - 0.5 * 0.7) < 0.08
    only = make_config(**{"model.inputs": ("video",), "data.dropout.video": 1.0})
    (batch,) = take(build.make_task(only).train.batches(0, 1), 1)
    assert (batch["video_known"] == 2).all()


def test_what_is_left_out_is_drawn_for_each_clip_of_one_sense_only(folder):
    """A silent video keeps its frames, however often video is left out."""
    for number in range(6):
        small_clips.silent(folder / "clips" / f"{number}.mp4")
    config = file_config(folder, **{"data.dropout.video": 1.0})
    (batch,) = take(build.make_task(config).train.batches(0, 1), 1)
    assert batch["video_known"].tolist() == [4] * 4
    assert batch["audio_known"].tolist() == batch["mel_known"].tolist() == [0] * 4


def test_spectrograms_are_covered_and_videos_changed_in_training_only(folder):
    changes = {"data.mel_masks": 2, "data.mel_mask_longest": (0.5, 0.5)}
    task = build.make_task(file_config(folder, **changes))
    plain = build.make_task(file_config(folder, **{"data.mel_masks": 0}))
    rows = [take(t.train.batches(0, 1), 1)[0]["mel"] for t in (task, plain)]
    np.testing.assert_array_equal(rows[0].shape, rows[1].shape)
    assert not np.array_equal(*rows)
    held_out = [next(iter(t.evaluations["test"].batches())) for t in (task, plain)]
    for name in ("mel", "video", "audio"):
        np.testing.assert_array_equal(held_out[0][name], held_out[1][name])


def test_each_clip_of_a_held_out_file_comes_once_with_its_number(folder):
    config = file_config(folder, **{"data.eval_clips": 3, "eval_batch_size": 4})
    batches = list(build.make_task(config).evaluations["test"].batches())
    mask = np.concatenate([batch["mask"] for batch in batches])
    file = np.concatenate([batch["file"] for batch in batches])[mask > 0]
    assert file.tolist() == [0, 0, 0, 1, 1, 1]
    video = np.concatenate([batch["video"] for batch in batches])
    assert not np.array_equal(video[0], video[1])  # other parts of the file


def test_a_file_without_sound_and_one_without_video_are_taken(folder):
    small_clips.silent(folder / "clips" / "6.mp4")
    sound = small_clips.tone(0.4)
    sound_files.write_wav(folder / "clips" / "7.wav", sound, small_clips.RATE)
    rows = (folder / "validate.csv").read_text().replace("7.mp4", "7.wav")
    (folder / "validate.csv").write_text(rows)
    config = file_config(folder, **{"data.eval_clips": 1, "eval_batch_size": 2})
    (batch,) = build.make_task(config).evaluations["test"].batches()
    assert batch["audio_known"].tolist() == [0, 1280]
    assert batch["mel_known"].tolist() == [0, 16 * 4]
    assert batch["video_known"].tolist() == [4, 0]


def test_damaged_files_and_those_without_what_is_read_are_named(folder, caplog):
    (folder / "clips" / "2.mp4").write_bytes(b"no video")
    small_clips.silent(folder / "clips" / "3.mp4")
    small_clips.silent(folder / "clips" / "6.mp4")
    config = file_config(folder, **{"model.inputs": ("mel",), "batch_size": 6})
    task = build.make_task(config)
    for batch in take(task.train.batches(0, 10), 3):
        assert (batch["mel_known"] > 0).all()
    assert "2.mp4 can't be decoded" in caplog.text
    assert "3.mp4 holds no sound" in caplog.text
    batches = list(task.evaluations["test"].batches())
    assert sum(batch["left_out"].sum() for batch in batches) == 2
    few = file_config(folder, **{"model.inputs": ("mel",), "data.max_corrupt": 1})
    with pytest.raises(RuntimeError, match="more than 1 corrupt examples"):
        take(build.make_task(few).train.batches(0, 10), 6)


def test_official_lists_are_joined_and_missing_files_named(tmp_path, caplog):
    official(tmp_path)
    fields = {
        "data.source": "audioset",
        "data.train": ("balanced_train_segments", "unbalanced_train_segments"),
        "data.held_out": "eval_segments",
        "data.num_classes": 3,
        "data.eval_clips": 1,
    }
    config = file_config(tmp_path, **fields)
    task = build.make_task(config)
    assert task.train.num_examples == 4
    assert "left out 1 that have no file" in caplog.text and "id9" in caplog.text
    names = ("Speech", "Dog, barking", "Music")
    assert task.identity.class_names == {"classes": names}
    (batch,) = task.evaluations["test"].batches()
    assert batch["labels"][batch["mask"] > 0].tolist() == [[1, 0, 1], [0, 1, 0]]
    config.data.classes = "labels"
    with pytest.raises(FileNotFoundError, match="labels.csv"):
        build.make_task(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.num_classes": 3}, "but the data has 6 classes: use --config.data.num"),
        ({"model.audio_patch": 24}, "audio of .64,. cells can't be cut into patches"),
        ({"model.image_size": (9, 8)}, "video of .2, 9, 8. cells can't be cut into pa"),
        (
            {"model.inputs": ("mel",), "model.mel_windows": 5},
            "64 samples of sound can't be cut into 5 windows",
        ),
        ({"model.inputs": ("mel",), "model.mel_patch": 3}, "mel of .16,. cells can't"),
    ],
)
def test_sizes_that_do_not_go_together_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_task(make_config(**changes))
