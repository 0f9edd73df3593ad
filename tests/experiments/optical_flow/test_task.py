"""The task of optical flow: whole datasets evaluated, without data to train on."""

import itertools
import json

import fake_flow
import jax
import numpy as np
import programs
import pytest
from small_flow import TILE, make_config, make_evaluator, random_variables

from experiments import build
from perceiver_jax.engine import metrics


def end_point_errors(flow, pair):
    error = np.linalg.norm(flow - pair.flow, axis=-1)
    return error, np.linalg.norm(pair.flow, axis=-1)


def by_hand(forward, variables, pairs):
    """End-point errors and lengths of the valid pixels of all pairs, [pixels]."""
    rows = []
    for pair in pairs:
        frames = pair.frames.astype(np.float32)[None] / 255 * 2 - 1
        flow = np.asarray(
            forward.apply(*variables, None, {"frames": frames}, False)[0][0]
        )
        error, length = end_point_errors(flow, pair)
        rows.append([x[pair.valid] for x in (error, length, pair.occluded)])
    return (np.concatenate(parts) for parts in zip(*rows))


@pytest.mark.parametrize("devices", [1, 4])
def test_sintel_and_kitti_are_evaluated_as_by_hand(tmp_path, devices):
    """In tiles, in batches of one size each, every valid pixel once."""
    sizes = [(20, 30), (18, 30), (20, 30), (20, 30), (18, 30), (24, 30)]
    written = {
        "sintel_final": fake_flow.sintel(tmp_path / "Sintel"),
        "kitti_2015": fake_flow.kitti(tmp_path / "KITTI_2015", sizes),
    }
    config = make_config(tmp_path, **{"data.held_out": tuple(written)})
    task = build.make_task(config)
    forward, variables = random_variables(config)
    evaluator, parallel = make_evaluator(task, forward, devices)
    found = evaluator(parallel.from_saved(variables)).metrics
    for name, pairs in written.items():
        error, length, occluded = by_hand(forward, variables, pairs)
        assert error.std() > 0.5
        expected = {
            "epe": error.mean(),
            "outliers_1px": (error > 1).mean(),
            "outliers_3px": (error > 3).mean(),
            "outliers_5px": (error > 5).mean(),
            "fl_all": ((error > 3) & (error > 0.05 * length)).mean(),
            "epe_matched": error[~occluded].mean(),
            "epe_unmatched": error[occluded].mean(),
            "damaged": 0,
        }
        for key, value in expected.items():
            assert found[f"{name}/{key}"] == pytest.approx(value, rel=1e-4), key
    assert found["score"] == pytest.approx(
        -np.mean([found[f"{name}/epe"] for name in written])
    )
    assert task.protocol["tile"] == list(TILE)


def test_damaged_flow_is_reported_and_does_no_harm(tmp_path):
    pairs = [fake_flow.make_pair(n, (18, 26))._asdict() for n in range(2)]
    pairs[1]["flow"][3, 4] = np.nan
    pairs[0]["flow"][5, 6] = 1e6
    fake_flow.pair_folder(tmp_path / "train", pairs)
    fake_flow.pair_folder(tmp_path / "test", pairs)
    config = make_config(
        tmp_path,
        **{"data.train": ("pairs_train",), "data.held_out": ("pairs_test",)},
    )
    task = build.make_task(config)
    forward, variables = random_variables(config)
    evaluator, _ = make_evaluator(task, forward)
    found = evaluator(variables).metrics
    assert found["pairs_test/damaged"] == pytest.approx(2 / (2 * 18 * 26))
    assert all(map(np.isfinite, found.values()))
    apply = jax.jit(lambda batch: forward.apply(*variables, None, batch, False)[0])
    for batch in itertools.islice(task.train.batches(0, 20), 10):
        sums = metrics.sums(task.model.metrics(apply(batch), batch))
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(sums))


def test_evaluation_needs_no_data_to_train_on(tmp_path):
    fake_flow.kitti(tmp_path / "KITTI_2015", [(20, 30)])
    fields = {"data.train": ("autoflow",), "data.held_out": ("kitti_2015",)}
    task = build.make_task(make_config(tmp_path, **fields))
    assert len(list(task.evaluations["kitti_2015"].batches())) == 1
    with pytest.raises(FileNotFoundError, match="AutoFlow is not there"):
        _ = task.train.num_examples


def test_pictures_show_the_first_pairs_in_rows():
    config = make_config(**{"data.held_out": ("moved_photos",)})
    forward, variables = random_variables(config)
    evaluator, _ = make_evaluator(build.make_task(config), forward)
    ((name, picture),) = evaluator.samples(variables).pictures.items()
    assert name == "moved_photos/flow"
    scale = 9  # of 20 pixels, to 180
    assert picture.shape == (4 * (20 * scale + 24), 5 * (28 * scale + 2), 3)
    assert picture.dtype == np.uint8 and picture.std() > 30


def test_padded_pairs_are_not_shown(tmp_path):
    pairs = [fake_flow.make_pair(n, (20, 28))._asdict() for n in range(3)]
    fake_flow.pair_folder(tmp_path / "test", pairs)
    config = make_config(tmp_path, **{"data.held_out": ("pairs_test",)})
    forward, variables = random_variables(config)
    evaluator, _ = make_evaluator(build.make_task(config), forward)
    (picture,) = evaluator.samples(variables).pictures.values()
    assert picture.shape[0] == 3 * (20 * 9 + 24)


def test_a_trained_model_is_evaluated_with_its_protocol(trained_flow):
    done = programs.run(
        "experiments.evaluate", f"--workdir={trained_flow}", "--step=best"
    )
    found = json.loads(done.stdout)
    assert found["protocol"]["tile"] == [16, 24]
    logged = {name for row in programs.rows(trained_flow) for name in row}
    for name in ("sintel_clean", "kitti_2015"):
        for key in ("epe", "fl_all", "outliers_1px", "epe_s0_10", "epe_matched"):
            assert np.isfinite(found[f"{name}/{key}"])
            assert f"{name}/{key}" in logged
    assert found["score"] == pytest.approx(
        -(found["sintel_clean/epe"] + found["kitti_2015/epe"]) / 2
    )
