"""Clips as batches: what is drawn, what a file lacks, and what is said of bad ones."""

import itertools

import numpy as np
import pytest
import small_clips
from small_av import make_config

from experiments import build
from experiments.video_autoencoding import data
from perceiver_jax.data.audio import files as sound_files

FILES = {
    "batch_size": 3,
    "eval_batch_size": 2,
    "data.source": "folder",
    "data.num_classes": 2,
    "model.num_frames": 4,
    "model.image_size": (16, 16),
    "model.samples_per_frame": 320,
}


def file_config(folder, **changes):
    return make_config(**{**FILES, "data.dir": str(folder), **changes})


def take(batches, count):
    return list(itertools.islice(batches, count))


@pytest.fixture
def folder(tmp_path):
    return small_clips.dataset(tmp_path)


def test_batches_to_train_on_are_clips_with_points_to_decode(folder):
    config = file_config(folder)
    task = build.make_task(config)
    shapes = task.model.batch(config.batch_size)
    for batch in take(task.train.batches(0, 10), 4):
        assert {k: (x.shape, x.dtype) for k, x in batch.items()} == {
            k: (x.shape, x.dtype) for k, x in shapes.items()
        }
        assert batch["video_known"].tolist() == [4] * 3
        assert batch["audio_known"].tolist() == [4 * 320] * 3
        assert np.abs(batch["audio"]).max() > 0.1 and batch["video"].std() > 10
        assert batch["label"].sum(1).tolist() == [1] * 3
        for name, total in (("video", 4 * 16 * 16), ("audio", 4 * 320 // 16)):
            points = batch[f"{name}_points"]
            assert points.min() >= 0 and points.max() < total
            assert all(len(set(row)) == len(row) for row in points.tolist())


def test_the_way_is_a_function_of_seed_and_step(folder):
    config = file_config(folder)
    task = build.make_task(config)
    from_start = take(task.train.batches(0, 10), 5)
    resumed = take(task.train.batches(3, 10), 2)
    for a, b in zip(from_start[3:], resumed, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert not np.array_equal(from_start[0]["video"], from_start[2]["video"])


def test_labels_are_hidden_as_often_as_asked():
    for share in (0.0, 0.25, 1.0):
        config = make_config(**{"data.label_hidden": share, "batch_size": 200})
        (batch,) = take(build.make_task(config).train.batches(0, 1), 1)
        assert abs(batch["label_hidden"].mean() - share) < 0.1


def test_held_out_clips_are_whole_and_their_labels_hidden(folder):
    task = build.make_task(file_config(folder))
    assert task.identity.class_names == {"label": ("even", "odd")}
    (batch,) = task.evaluations["test"].batches()
    assert batch["label_hidden"].all() and batch["mask"].all()
    assert not [name for name in batch if name.endswith("_points")]
    assert batch["label"].argmax(1).tolist() == [0, 1]


def test_a_file_without_sound_and_one_without_video_are_taken(folder):
    small_clips.silent(folder / "clips" / "6.mp4")
    sound = small_clips.tone(0.4)
    sound_files.write_wav(folder / "clips" / "7.wav", sound, small_clips.RATE)
    rows = (folder / "validate.csv").read_text().replace("7.mp4", "7.wav")
    (folder / "validate.csv").write_text(rows)
    task = build.make_task(file_config(folder))
    (batch,) = task.evaluations["test"].batches()
    assert batch["audio_known"].tolist() == [0, 1280]
    assert batch["video_known"].tolist() == [4, 0]
    assert not batch["audio"][0].any() and not batch["video"][1].any()
    assert batch["audio"][1].any() and batch["video"][0].any()


def test_a_damaged_file_is_named_and_another_stands_in_for_it(folder, caplog):
    (folder / "clips" / "2.mp4").write_bytes(b"no video")
    small_clips.silent(folder / "clips" / "3.mp4", frames=2)
    task = build.make_task(file_config(folder))
    take(task.train.batches(0, 10), 6)
    assert "2.mp4 can't be decoded" in caplog.text
    assert "3.mp4 is 0.08 s long and has 2 of the 4 frames" in caplog.text
    assert "of at most 100 allowed" in caplog.text
    config = file_config(folder, **{"data.max_corrupt": 1})
    with pytest.raises(RuntimeError, match="more than 1 corrupt examples"):
        take(build.make_task(config).train.batches(0, 10), 6)


def test_a_short_clip_is_filled_up_where_that_is_asked_for(folder):
    for number in range(6):
        small_clips.silent(folder / "clips" / f"{number}.mp4", frames=3)
    config = file_config(folder, **{"data.pad": True})
    for batch in take(build.make_task(config).train.batches(0, 10), 2):
        assert batch["video_known"].tolist() == [3] * 3
        # What is not there is not asked for.
        assert batch["video_points"].max() < 3 * 16 * 16


def test_files_that_are_missing_are_named_and_left_out(folder, caplog):
    (folder / "clips" / "1.mp4").unlink()
    splits = data.load_splits(file_config(folder))
    assert len(splits.train) == 5
    assert "left out 1 that have no file" in caplog.text and "1.mp4" in caplog.text


def test_kinetics_official_lists(tmp_path):
    files = small_clips.write(tmp_path / "videos", 3)
    for path, name in zip(files, ("aaa", "bbb", "ccc")):
        path.rename(path.with_name(f"{name}_000001_000011.mp4"))
    header = "label,youtube_id,time_start,time_end,split\n"
    rows = [
        f"{label},{name},1,11,train\n"
        for name, label in (("aaa", "yoga"), ("bbb", "zumba"))
    ]
    (tmp_path / "train.csv").write_text(header + "".join(rows))
    (tmp_path / "validate.csv").write_text(header + "zumba,ccc,1,11,validate\n")
    config = file_config(tmp_path, **{"data.source": "kinetics", "eval_batch_size": 1})
    task = build.make_task(config)
    assert task.train.num_examples == 2
    (batch,) = task.evaluations["test"].batches()
    assert batch["label"].tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.num_classes": 3}, "but the data has 9 classes: use --config.data.num"),
        ({"data.points.video": 200}, "points.video=200 are more than the 128 elements"),
        ({"data.points.audio": 5}, "points.audio=5 are more than the 4 elements"),
        ({"model.samples_per_frame": 33}, "audio of .66,. cells can't be cut into pat"),
        ({"model.image_size": (9, 8)}, "video of .2, 9, 8. cells can't be cut into pa"),
    ],
)
def test_sizes_that_do_not_go_together_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_task(make_config(**{"data.num_classes": 9, **changes}))


def test_a_file_of_several_labels_is_refused(folder):
    with (folder / "train.csv").open("a") as file:
        file.write("clips/0.mp4,odd\n")
    with pytest.raises(ValueError, match="0.mp4 has the labels even, odd"):
        build.make_task(file_config(folder))


def test_lists_and_columns_that_are_missing_are_named(folder):
    with pytest.raises(FileNotFoundError, match="other.csv"):
        build.make_task(file_config(folder, **{"data.held_out": "other"}))
    (folder / "validate.csv").write_text("file,class\nclips/6.mp4,odd\n")
    with pytest.raises(ValueError, match="validate.csv has no column label"):
        build.make_task(file_config(folder))
    (folder / "validate.csv").write_text("file,label\nclips/6.mp4,strange\n")
    with pytest.raises(ValueError, match="line 2 has the label 'strange'"):
        build.make_task(file_config(folder))
