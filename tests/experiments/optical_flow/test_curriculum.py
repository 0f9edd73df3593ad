"""What is trained on, phase after phase."""

import itertools
import pathlib

import fake_flow
import numpy as np
import pytest
from small_flow import CURRICULUM, TILE, make_config

from experiments import build
from experiments.optical_flow import curriculum
from perceiver_jax.data import loader
from perceiver_jax.data.flow import augmentation, pairs
from perceiver_jax.engine import sharding

STEPS = 12


def curriculum_config(**changes):
    return make_config(**{"data.phases": CURRICULUM, **changes})


def batches_of(config, start=0, count=None, total_steps=STEPS):
    train = curriculum.train_pairs(config)
    return list(itertools.islice(train.batches(start, total_steps), count))


def test_phases_follow_each_other_and_resume_anywhere():
    config = curriculum_config()
    whole = batches_of(config, 0, 14)
    for start in (1, 3, 5, 9, 11, 13):
        for one, other in zip(batches_of(config, start, 3), whole[start:]):
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
    shapes = {name: x.shape for name, x in whole[0].items()}
    for batch in whole:
        assert {name: x.shape for name, x in batch.items()} == shapes
        assert batch["mask"].tolist() == [1, 1, 1, 1]


def test_in_the_first_phase_every_pair_comes_both_ways():
    for number, batch in enumerate(batches_of(curriculum_config(), 0, 6)):
        first, second = batch["frames"][0::2], batch["frames"][1::2]
        both = (first == second[:, ::-1]).all()
        assert both == (number < 3)
        if both:
            forward, back = (
                flow[valid].mean(0)
                for flow, valid in zip(batch["flow"][:2], batch["valid"][:2])
            )
            np.testing.assert_allclose(forward, -back, atol=1)


def keep(pair, rng):
    """What is drawn of a pair, before it is made ready."""
    return augmentation.augment(pairs.mask_damage(pair), rng, TILE, 1.0)


def test_both_ways_are_those_of_half_a_batch_to_the_bit():
    """Beside each pair of a batch of half the size, the pair reversed."""
    config = make_config(**{"data.phases": ((1.0, 1.0, True, (1.0,)),)})
    train = curriculum.train_pairs(config)
    found = itertools.islice(train.batches(2, STEPS), 4)
    source = loader.Mixture([train.datasets["rendered"]], [1.0])
    half = loader.TrainLoader(source, keep, config.batch_size // 2, config.seed)
    for batch, drawn in zip(found, half.batches(2)):
        rows = []
        for number in range(2):
            forward = {name: x[number] for name, x in drawn.items()}
            rows += [forward, pairs.reverse(forward)]
        for name in ("flow", "valid", "damaged"):
            expected = np.stack([row[name] for row in rows])
            np.testing.assert_array_equal(batch[name], expected)
            assert batch[name].dtype == expected.dtype
        frames = np.stack([row["frames"] for row in rows]).astype(np.float32)
        np.testing.assert_array_equal(batch["frames"], frames / 255 * 2 - 1)
        assert batch["mask"].tolist() == [1, 1, 1, 1]
        assert batch.keys() == {"frames", "flow", "valid", "damaged", "mask"}


def test_a_phase_draws_from_its_datasets(tmp_path):
    for name, value in (("train", 0), ("test", 255)):
        pair = fake_flow.make_pair(0, (18, 26))
        pair = pair._replace(frames=np.full_like(pair.frames, value))
        fake_flow.pair_folder(tmp_path / name, [pair._asdict()])
    config = make_config(
        tmp_path,
        **{
            "data.train": ("pairs_train", "pairs_test"),
            "data.held_out": ("pairs_test",),
            "data.phases": (
                (0.25, 0.0, False, (1.0, 0.0)),
                (0.5, 0.0, False, (0.0, 2.0)),
                (1.0, 0.0, False, (1.0, 3.0)),
            ),
        },
    )
    drawn = batches_of(config, 0, 40, total_steps=40)
    means = [(batch["frames"] > 0).mean() for batch in drawn]
    assert not any(means[:10]) and all(m == 1 for m in means[10:20])
    assert 0.6 < np.mean(means[20:]) < 0.9


def test_two_processes_see_the_batch_of_one(monkeypatch):
    config = curriculum_config(batch_size=8)
    whole = batches_of(config, 0, 5)
    parts = []
    for index in range(2):
        monkeypatch.setattr(
            sharding,
            "this_process",
            lambda index=index: {"process_index": index, "process_count": 2},
        )
        parts.append(batches_of(config, 0, 5))
    for batch, first, second in zip(whole, *parts):
        for name in batch:
            joined = np.concatenate([first[name], second[name]])
            np.testing.assert_array_equal(batch[name], joined)


def test_a_damaged_pair_is_named_and_the_next_takes_its_place(tmp_path, caplog):
    made = [fake_flow.make_pair(n, (20, 28))._asdict() for n in range(4)]
    fake_flow.pair_folder(tmp_path / "train", made)
    (tmp_path / "train" / "clip1" / "1_flow.flo").write_bytes(b"no flow")
    (tmp_path / "train" / "clip0" / "2_img1.png").write_bytes(b"no image")  # nor a size
    phases = ((1.0, 0.0, False, (1.0,)),)
    fields = {"data.train": ("pairs_train",), "data.phases": phases}
    train = curriculum.train_pairs(make_config(tmp_path, **fields))
    assert train.num_examples == 4
    next(train.batches(0, STEPS))
    drawn = [pathlib.Path(name).name for name in train.names(0, STEPS)]
    assert sorted(drawn) == ["0_img1.png", *3 * ["3_img1.png"]]
    for name in ("1_flow.flo", "2_img1.png"):
        assert sum(name in message for message in caplog.messages) == 1
    fields["data.max_corrupt"] = 1
    train = curriculum.train_pairs(make_config(tmp_path, **fields))
    with pytest.raises(RuntimeError, match="more than 1 corrupt"):
        next(train.batches(0, STEPS))


def test_data_is_opened_when_first_asked_for(tmp_path):
    fields = {"data.train": ("autoflow",), "data.held_out": ("rendered_test",)}
    train = build.make_task(make_config(tmp_path, **fields)).train
    with pytest.raises(FileNotFoundError, match="AutoFlow is not there"):
        _ = train.num_examples
    fake_flow.autoflow(tmp_path / "AutoFlow")
    assert train.num_examples == 2


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((), "shares of training must rise, the last to 1"),
        (((0.5, 0.0, True, (1.0,)),), "must rise, the last to 1"),
        (((1.0, 0.0, True, (1.0, 1.0)),), "a row is .until, strength"),
        (((1.0, -1.0, True, (1.0,)),), "a row is .until, strength"),
        (((1.0, 0.0, True, (0.0,)),), "a row is .until, strength"),
        (((1.0, 0.0, True, 1.0),), "a row is .until, strength"),
        (((1.0, 0.0, True),), "a row is .until, strength"),
        ((1.0, 0.0, True, (1.0,)), "data.phases has 1.0: a row is"),
        (((1.0, 0.0, "yes", (1.0,)),), "a row is .until, strength"),
    ],
)
def test_phases_that_are_no_curriculum_are_refused(phases, message):
    with pytest.raises(ValueError, match=message):
        build.make_task(make_config(**{"data.phases": phases}))


def test_an_odd_batch_cannot_go_both_ways_in_any_phase():
    phases = ((0.5, 0.0, False, (1.0,)), (1.0, 0.0, True, (1.0,)))
    config = make_config(**{"batch_size": 3, "data.phases": phases})
    with pytest.raises(ValueError, match="batch_size=3 must be even"):
        build.make_task(config)


def test_small_frames_are_refused_before_training(tmp_path):
    pairs = [fake_flow.make_pair(n, (20 - 11 * n, 28))._asdict() for n in range(2)]
    fake_flow.pair_folder(tmp_path / "train", pairs)
    config = make_config(
        tmp_path,
        **{
            "data.train": ("rendered", "pairs_train"),
            "data.phases": (
                (0.5, 0.0, False, (1.0, 0.0)),
                (1.0, 0.0, False, (0.0, 1.0)),
            ),
        },
    )
    with pytest.raises(ValueError, match="1_img1.png: frames of 9x28 pixels"):
        _ = build.make_task(config).train.num_examples
