"""Files of one's own through the latents and back, and what is said of bad ones."""

import json
import wave

import numpy as np
import programs
import pytest
import small_clips
from PIL import Image

from experiments import build, predict, restore
from experiments.predicting import Folder
from perceiver_jax.data.audio import files as sound_files
from perceiver_jax.data.video import clips, files
from perceiver_jax.engine.forward import make_forward, parse_policy


def run(workdir, paths, folder, **options):
    restored = restore.load(workdir)
    predictor = build.make_predictor(restored.config, restored.identity, **options)
    return list(predict.predict(restored, predictor, paths, (), Folder(folder)))


def test_a_video_comes_back_with_sound_a_picture_and_attention(
    trained_av, clip_files, tmp_path
):
    done = programs.run(
        "experiments.predict",
        f"--workdir={trained_av}",
        f"--output={tmp_path}",
        "--attention",
        "--json",
        "--clips=0",
        str(clip_files / "clips" / "0.mp4"),
    )
    record = json.loads(done.stdout)
    assert record["clips"] == 2 and len(record["top"]) == 2
    assert {row["label"] for row in record["top"]} == {"even", "odd"}
    assert sum(row["probability"] for row in record["top"]) == pytest.approx(1)
    for kind in ("clip", "decoded"):
        info = clips.probe(record[kind])
        assert info.has_audio and info.has_video
        assert len(list(files.read_frames(tmp_path / f"0_{kind}.mp4"))) == 8
    # What was given is as the model saw it: the file itself, but for a codec.
    seen = clips.read_clip(record["clip"], 0, 8, sample_rate=small_clips.RATE)
    given = clips.read_clip(
        clip_files / "clips" / "0.mp4", 0, 8, (16, 16), sample_rate=small_clips.RATE
    )
    assert np.abs(seen["video"].astype(int) - given["video"]).mean() < 8
    assert np.abs(seen["audio"] - given["audio"]).mean() < 0.05
    with wave.open(record["sound"]) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (8_000, 8 * 320)
    with Image.open(record["picture"]) as picture:
        assert picture.width > 1000 and np.asarray(picture.convert("L")).std() > 10
    with np.load(record["attention"][0]) as maps:
        assert maps["video"].shape == (4, 4, 4, 4) and maps["audio"].shape == (4, 80)
        assert maps["label_query"].shape == (4,)
        read = (maps[name].reshape(4, -1) for name in ("audio", "video", "label"))
        total = sum(x.sum(1) for x in read)
        np.testing.assert_allclose(total, 1, atol=1e-2)
    with Image.open(record["attention"][1]) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_one_sense_is_enough(trained_av, tmp_path):
    video = small_clips.silent(tmp_path / "silent.mp4")
    sound = tmp_path / "dark.wav"
    sound_files.write_wav(sound, small_clips.tone(0.5), small_clips.RATE)
    found = run(trained_av, [video, sound], tmp_path / "out")
    assert [row.error for row in found] == [None, None]
    records = [row.record for row in found]
    assert records[0]["audio_psnr"] is None and np.isfinite(records[0]["video_psnr"])
    assert records[1]["video_psnr"] is None and np.isfinite(records[1]["audio_psnr"])
    for record in records:
        info = clips.probe(record["decoded"])
        assert info.has_audio and info.has_video
    assert "video" in found[0].words and "audio" not in found[0].words.split(";")[0]


def test_what_can_not_be_used_is_named_and_does_not_end_it(
    trained_av, clip_files, tmp_path
):
    short = small_clips.silent(tmp_path / "short.mp4", frames=3)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(short.read_bytes()[:200])
    good = clip_files / "clips" / "1.mp4"
    found = run(trained_av, [short, broken, good], tmp_path / "out")
    errors = [str(row.error or "") for row in found]
    assert "short.mp4 is 0.12 s long and has 3 of the 4 frames" in errors[0]
    assert "broken.mp4" in errors[1]
    assert errors[2] == ""
    (padded,) = run(trained_av, [short], tmp_path / "padded", pad=True)
    assert padded.error is None and padded.record["clips"] == 1
    (late,) = run(trained_av, [good], tmp_path / "late", start=7.0)
    assert "1.mp4 is 0.40 s long: it ends before --start=7" in str(late.error)


def test_what_is_filled_up_is_neither_seen_nor_counted(trained_av, tmp_path):
    """Other frames in the place of those that are missing change nothing."""
    restored = restore.load(trained_av)
    predictor = build.make_predictor(restored.config, restored.identity, pad=True)
    short = small_clips.silent(tmp_path / "short.mp4", frames=3)
    (clip,) = predictor._clips(short)
    batch = predictor._batch(clip)
    assert batch["video_known"].tolist() == [3] and batch["audio_known"].tolist() == [0]
    model = build.make_model(restored.config)
    forward = make_forward(model.forward, parse_policy(restored.config.precision))
    outputs = []
    for fill in (0, 255):
        batch["video"][:, 3:] = fill
        batch["audio"][:] = fill / 255
        found, _ = forward.apply(*restored.whole_variables, None, batch, False)
        outputs.append(found)
    for name, x in outputs[0].items():
        np.testing.assert_array_equal(x, outputs[1][name])
