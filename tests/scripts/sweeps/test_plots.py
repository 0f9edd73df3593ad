"""Pictures of a sweep: which there are, and what they show."""

import math

import fake_sweep
import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from scripts.sweeps import plots, status
from scripts.sweeps.table import Row

RATES = ("1e-3", "4e-3", "1.6e-2")


def make_rows(folder, points, scores):
    """Finished runs, whose losses are 3 and 2 and whose score rises to those given."""
    runs = fake_sweep.plan(folder, *points)
    for run, score in zip(runs, scores):
        fake_sweep.measure(run, [3.0, 2.0], [score / 2, score])
        fake_sweep.beat(run, step=100, ended="finished")
    return [Row(r, status.status(r), status.measure(r.workdir)) for r in runs]


def width(line):
    return line.get_linewidth()


@pytest.fixture
def rows(tmp_path):
    """Three rates by two seeds."""
    points = [
        {"optimizer.learning_rate": rate, "seed": seed}
        for rate in RATES
        for seed in "01"
    ]
    return make_rows(tmp_path, points, [0.1, 0.3, 0.5, 0.9, 0.2, 0.2])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def test_pictures_are_written_for_each_field(rows, tmp_path):
    pictures = plots.save(rows, tmp_path)
    assert list(pictures.values()) == [
        "curves.png",
        "score_optimizer.learning_rate.png",
        "score_seed.png",
    ]
    for file, width in zip(pictures.values(), (1600, 900, 900)):
        with Image.open(tmp_path / file) as image:
            assert image.width == pytest.approx(width, rel=0.15)
            assert image.height == pytest.approx(600, rel=0.1)
            assert np.unique(np.asarray(image)).size > 50
    assert not pyplot.get_fignums()


def test_nothing_is_drawn_of_runs_that_have_not_begun(tmp_path):
    run = fake_sweep.plan(tmp_path, {"seed": "1"})[0]
    row = Row(run, status.status(run), status.measure(run.workdir))
    assert plots.save([row], tmp_path) == {}


def test_curves_show_every_run_and_the_mean_over_seeds(rows):
    loss, score = plots.draw_curves(rows).axes
    for ax in (loss, score):
        assert [width(line) > 1 for line in ax.lines] == [False, False, True] * 3
    assert list(loss.lines[0].get_xdata()) == [10, 20]
    assert list(score.lines[4].get_ydata()) == [0.45, 0.9]
    assert list(score.lines[5].get_ydata()) == pytest.approx([0.35, 0.7])
    colors = [line.get_color() for line in loss.lines]
    assert colors[0] == colors[1] == colors[2] != colors[3]


def test_mean_ends_where_one_of_its_runs_is(rows):
    shorter = rows[0].measured._replace(rows=rows[0].measured.rows[:1])
    rows[0] = rows[0]._replace(measured=shorter)
    loss, _ = plots.draw_curves(rows).axes
    lengths = [len(line.get_xdata()) for line in loss.lines]
    assert lengths == [1, 2, 1, 2, 2, 2, 2, 2, 2]


def test_score_against_a_rate_is_a_mean_over_seeds_on_a_logarithmic_axis(rows):
    (ax,) = plots.draw_score(rows, "optimizer.learning_rate").axes
    *points, mean, best = ax.lines
    assert ax.get_xscale() == "log"
    assert list(mean.get_xdata()) == [1e-3, 4e-3, 1.6e-2]
    assert list(mean.get_ydata()) == pytest.approx([0.2, 0.7, 0.2])
    assert len(points) == 6
    assert (best.get_xdata(), best.get_ydata()) == ([4e-3], [0.9])
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["0.001", "0.004", "0.016"]


def test_runs_that_are_not_finished_are_hollow_and_in_no_mean(rows):
    rows[0] = rows[0]._replace(status=status.Status("running"))
    (ax,) = plots.draw_score(rows, "optimizer.learning_rate").axes
    *points, mean, _ = ax.lines
    hollow = [point.get_markerfacecolor() == "white" for point in points]
    assert hollow == [True] + [False] * 5
    assert mean.get_ydata()[0] == pytest.approx(0.3)


def test_no_line_leads_from_seed_to_seed(rows):
    (ax,) = plots.draw_score(rows, "seed").axes
    assert len(ax.lines) == 7  # points, and the best of them


def test_words_stand_in_their_order(tmp_path):
    points = [{"data.image_size": size} for size in ("(4,4)", "(8,8)", "(2,2)")]
    rows = make_rows(tmp_path, points, [0.1, 0.2, 0.3])
    (ax,) = plots.draw_score(rows, "data.image_size").axes
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["2x2", "4x4", "8x8"] and ax.get_xscale() == "linear"
    assert list(ax.lines[3].get_ydata()) == [0.3, 0.1, 0.2]  # behind the points


def test_two_fields_are_told_apart_by_colour_and_line(tmp_path):
    points = [
        {"optimizer.learning_rate": rate, "batch_size": size}
        for rate in RATES
        for size in ("16", "32")
    ]
    runs = fake_sweep.plan(tmp_path, *points)
    looks = plots.choose_looks(runs)
    assert looks.by_color == ["optimizer.learning_rate"]
    assert looks.by_line == ["batch_size"]
    assert list(looks.colors) == ["0.001", "0.004", "0.016"]
    assert looks.lines == {"16": "-", "32": "--"}
    assert len({looks.of(run) for run in runs}) == 6
    assert plots.choose_looks(runs, "batch_size").by_line == []


def test_many_fields_have_a_colour_for_each_combination(tmp_path):
    points = [
        {"model.num_latents": a, "batch_size": b, "seed": c, "model.remat": d}
        for a, b, c, d in (("4", "8", "0", "True"), ("16", "8", "0", "False"),
                           ("4", "16", "1", "True"))
    ]  # fmt: skip
    looks = plots.choose_looks(fake_sweep.plan(tmp_path, *points))
    assert len(looks.by_color) == 3 and len(looks.colors) == 3 and not looks.by_line


def test_runs_without_a_score_are_left_out(tmp_path):
    rows = make_rows(tmp_path, [{"seed": "0"}, {"seed": "1"}], [0.5, math.nan])
    assert list(plots.save(rows, tmp_path).values()) == ["curves.png"]
