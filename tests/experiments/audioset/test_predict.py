"""Files of one's own: likely classes, pictures, and what is said of bad ones."""

import json

import numpy as np
import programs
import small_clips
from PIL import Image

from experiments import build, predict, restore
from experiments.predicting import Folder
from perceiver_jax.data.audio import files as sounds


def run(workdir, paths, folder=None, **options):
    restored = restore.load(workdir)
    predictor = build.make_predictor(restored.config, restored.identity, **options)
    folder = folder and Folder(folder)
    return list(predict.predict(restored, predictor, paths, (), folder))


def test_a_video_is_told_with_a_picture_and_attention(
    trained_audioset, sound_files, tmp_path
):
    done = programs.run(
        "experiments.predict",
        f"--workdir={trained_audioset}",
        f"--output={tmp_path}",
        "--attention",
        "--json",
        str(sound_files / "clips" / "0.mp4"),
    )
    record = json.loads(done.stdout)
    assert record["clips"] == 2
    assert {row["label"] for row in record["top"]} == {"even", "odd"}
    assert all(0 < row["probability"] < 1 for row in record["top"])
    with Image.open(record["picture"]) as picture:
        assert picture.width == 1500 and picture.height > 300
        assert np.asarray(picture.convert("L")).std() > 10
    with np.load(record["attention"][0]) as maps:
        assert maps["video"].shape == (4, 2, 4, 4)
        assert maps["audio"].shape == (4, 80) and maps["mel"].shape == (4, 16)
        total = sum(maps[name].reshape(4, -1).sum(1) for name in maps.files)
        np.testing.assert_allclose(total, 1, atol=1e-2)
    with Image.open(record["attention"][1]) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_probabilities_are_the_mean_of_the_clips(trained_audioset, sound_files):
    path = sound_files / "clips" / "3.mp4"

    def told(**options):
        (found,) = run(trained_audioset, [path], **options)
        top = {row["class"]: row["probability"] for row in found.record["top"]}
        return np.array([top[0], top[1]])

    ends = [told(end=0.16, clips=1), told(start=0.24, clips=1)]
    np.testing.assert_allclose(told(), np.mean(ends, axis=0), rtol=1e-5)
    assert np.abs(ends[0] - ends[1]).max() > 1e-6


def test_one_sense_is_enough_and_bad_files_are_named(
    trained_audioset, sound_files, tmp_path
):
    silent = small_clips.silent(tmp_path / "silent.mp4")
    dark = tmp_path / "dark.wav"
    sounds.write_wav(dark, small_clips.tone(0.5), small_clips.RATE)
    short = small_clips.silent(tmp_path / "short.mp4", frames=3)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(short.read_bytes()[:200])
    found = run(trained_audioset, [silent, dark, short, broken], tmp_path / "out")
    errors = [str(row.error or "") for row in found]
    assert errors[:2] == ["", ""]
    assert "even" in found[0].words and "odd" in found[1].words
    assert "short.mp4 is 0.12 s long and has 3 of the 4 frames" in errors[2]
    assert "broken.mp4" in errors[3]
    (padded,) = run(trained_audioset, [short], pad=True)
    assert padded.error is None
    good = sound_files / "clips" / "1.mp4"
    (late,) = run(trained_audioset, [good], start=7.0)
    assert "1.mp4 is 0.40 s long: nothing of it is between --start=7" in str(late.error)


def test_only_so_many_answers_are_told(trained_audioset, sound_files):
    (found,) = run(trained_audioset, [sound_files / "clips" / "2.mp4"], top=1)
    assert len(found.record["top"]) == 1
    best = found.record["top"][0]
    assert f"{best['probability']:.1%}  {best['label']}" in found.words
