"""What is shown of the clips of an evaluation."""

import numpy as np
from small_audioset import make_config

from experiments import build
from experiments.audioset import pictures

NAMES = ("circle", "square", "triangle", "sine", "buzz", "tremolo")


def make_show():
    return pictures.make_show(make_config(), NAMES)


def make_batch(inputs=("audio", "video")):
    task = build.make_task(make_config(**{"model.inputs": inputs}))
    batch = dict(next(iter(task.evaluations["test"].batches())))
    logits = np.linspace(-2, 2, 48).reshape(8, 6)
    return logits, batch


def test_the_likeliest_classes_stand_beside_what_is_so():
    logits, batch = make_batch()
    (clip, *_) = make_show().clips(logits, batch)
    assert clip.title == "circle, sine"
    assert [answer.label for answer in clip.answers] == list(NAMES[:0:-1])
    assert [answer.is_right for answer in clip.answers] == [0, 0, 1, 0, 0]
    expected = 1 / (1 + np.exp(-logits[0, 5]))
    np.testing.assert_allclose(clip.answers[0].probability, expected)
    np.testing.assert_array_equal(clip.video, batch["video"][0])
    np.testing.assert_array_equal(clip.audio, batch["audio"][0])


def test_a_file_is_shown_once_and_without_what_it_lacks():
    logits, batch = make_batch()
    batch["file"] = np.array([3, 3, 3, 5, 5, 6, 6, 6])
    batch["audio_known"][3] = 0
    batch["video_known"][5] = 1
    clips = make_show().clips(logits, batch)
    assert [len(clip.audio) for clip in clips] == [64, 0, 64]
    assert [len(clip.video) for clip in clips] == [2, 2, 1]
    assert make_show().sounds(logits, batch).keys() == {"clip_0", "clip_2"}
    (picture,) = make_show().pictures(logits, batch).values()
    assert picture.shape[1:] == (1500, 3)


def test_the_sound_that_a_spectrogram_is_of_is_shown_too():
    logits, batch = make_batch(("mel",))
    (clip, *_) = make_show().clips(logits, batch)
    assert len(clip.audio) == 64 and len(clip.video) == 0


def test_senses_are_those_that_the_clip_has():
    _, batch = make_batch(("mel", "video", "audio"))
    row = {name: x[0] for name, x in batch.items()}
    inputs = ("mel", "video", "audio")
    assert list(pictures.senses(row, inputs, 4)) == list(inputs)
    row["audio_known"] = row["mel_known"] = 0
    assert list(pictures.senses(row, inputs, 4)) == ["video"]
