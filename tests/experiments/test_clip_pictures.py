"""Pictures of clips, and what is on them."""

import numpy as np

from experiments.clip_pictures import Answer, Clip, draw, side_by_side
from perceiver_jax.data.video.rendered import RenderedClips

RATE = 200 * 25


def make_clip(**changes):
    example = RenderedClips(1, (24, 24), 10, 200)[0]
    return Clip(example["video"], example["audio"], "a clip")._replace(**changes)


def test_every_clip_has_a_row_and_what_it_has_is_in_it():
    nothing = make_clip(video=np.empty((0, 24, 24, 3)), audio=np.empty((0, 1)))
    picture = draw([make_clip(), nothing], RATE)
    assert picture.shape == (350, 1500, 3) and picture.dtype == np.uint8
    assert draw([make_clip()], RATE).shape == (195, 1500, 3)
    # Frames are dark, on white, and so are spectrograms.
    upper, lower = picture[20:150], picture[190:310]
    for part in (slice(0, 700), slice(1300, 1480)):
        assert (upper[:, part].max(-1) < 150).mean() > 0.3
        assert (lower[:, part].max(-1) < 150).mean() < 0.05


def test_answers_are_bars_and_those_that_are_so_are_green():
    answers = [Answer("circle", 0.9, True), Answer("square", 0.6)]
    pictures = [
        draw([make_clip(answers=answers)], RATE),
        draw([make_clip(answers=[answers[0]._replace(is_right=False)])], RATE),
    ]
    bars = [picture[:, 1250:].astype(int) for picture in pictures]
    green = [(bar[..., 1] > bar[..., [0, 2]].max(-1) + 30).mean() for bar in bars]
    assert green[0] > 0.1 and green[1] < 0.01


def test_some_of_many_frames_are_shown():
    frames = np.arange(20)[:, None, None] * np.ones((1, 2, 3))
    shown = side_by_side(frames)
    assert shown.shape == (2, 7 * 3)  # every third
    assert shown[0, ::3].tolist() == [0, 3, 6, 9, 12, 15, 18]
