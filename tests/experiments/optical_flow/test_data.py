"""Which pairs a config names, and how held-out ones are read."""

import fake_flow
import numpy as np
import pytest
from small_flow import make_config, make_evaluator, random_variables

from configs import optical_flow as configs
from experiments import build
from experiments.optical_flow import curriculum, data
from perceiver_jax.data.flow import datasets


def own_pairs(folder, sizes):
    pairs = [fake_flow.make_pair(n, size)._asdict() for n, size in enumerate(sizes)]
    fake_flow.pair_folder(folder / "test", pairs)
    config = make_config(folder, **{"data.held_out": ("pairs_test",)})
    return [folder / "test" / f"clip{n % 2}" for n in range(len(sizes))], config


def shapes(config, name):
    batches = data.held_out_pairs(config)[name].batches()
    return [
        (b["frames"].shape[2:4], int(b["mask"].sum()), int(b["left_out"].sum()))
        for b in batches
    ]


def test_frames_of_one_size_share_a_batch(tmp_path):
    sizes = [(20, 30), (18, 30), (20, 30), (20, 30), (20, 30), (20, 30), (18, 30)]
    fake_flow.kitti(tmp_path / "KITTI_2012", sizes, "colored_0")
    config = make_config(tmp_path, **{"data.held_out": ("kitti_2012",)})
    expected = [((20, 30), 4, 0), ((20, 30), 1, 0), ((18, 30), 2, 0)]
    assert shapes(config, "kitti_2012") == expected


@pytest.mark.parametrize("name", ["1_img1.png", "1_img2.png", "1_flow.flo"])
def test_a_damaged_file_leaves_its_pair_out_and_is_named(tmp_path, caplog, name):
    """Also where no other pair has its size."""
    folders, config = own_pairs(tmp_path, [(20, 30), (18, 30), (20, 30)])
    path = folders[1] / name
    path.write_bytes(path.read_bytes()[:-200] if name != "1_img1.png" else b"no image")
    expected = [((20, 30), 2, 0), ((18, 30), 0, 1)]
    if name == "1_img1.png":  # it does not say its size
        expected = [((20, 30), 2, 1)]
    assert shapes(config, "pairs_test") == expected
    assert name in caplog.text


def test_metrics_are_of_the_pairs_that_are_good(tmp_path):
    sizes = [(18, 30), (20, 30), (20, 30)]  # the first batch has none
    folders, config = own_pairs(tmp_path, sizes)
    (folders[0] / "0_flow.flo").write_bytes(b"no flow")
    forward, variables = random_variables(config)
    evaluator, _ = make_evaluator(build.make_task(config), forward)
    found = evaluator(variables).metrics
    assert found.pop("pairs_test/left_out") == 1
    assert evaluator.samples(variables).pictures == {}
    for part in ("img1.png", "img2.png", "flow.flo"):
        (folders[0] / f"0_{part}").unlink()
    evaluator, _ = make_evaluator(build.make_task(config), forward)
    assert found == pytest.approx(evaluator(variables).metrics)


def test_a_set_of_damaged_frames_alone_is_named(tmp_path):
    folders, config = own_pairs(tmp_path, [(20, 30)])
    (folders[0] / "0_img1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="All 1 frames are damaged, such as .*0_img1"):
        data.held_out_pairs(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.train": ("sintell",)}, "data.train='sintell' is unknown: use autoflow"),
        ({"data.held_out": ()}, r"data.held_out=\(\) must be names of datasets"),
        ({"data.held_out": ("rendered_test",) * 2}, "names of datasets, each once"),
        ({"data.motion": 500.0}, "motion=500.0 from 0 to the shorter side"),
        ({"data.render_size": (12, 30)}, "data.render_size=.* is smaller than"),
    ],
)
def test_datasets_that_can_not_be_had(changes, message):
    with pytest.raises(ValueError, match=message):
        _ = build.make_task(make_config(**changes)).train.num_examples


@pytest.mark.parametrize("field", ["train", "held_out"])
def test_a_test_set_without_flow_is_refused(tmp_path, field):
    fake_flow.sintel(tmp_path / "Sintel", (20, 30))
    config = make_config(tmp_path, **{f"data.{field}": ("sintel_clean_test",)})
    with pytest.raises(ValueError, match="not public: it can be predicted only, by"):
        _ = build.make_task(config).train.num_examples


def test_frames_smaller_than_the_model_are_refused_before_training(tmp_path):
    fake_flow.kitti(tmp_path / "KITTI_2015", [(20, 30), (12, 30)])
    config = make_config(tmp_path, **{"data.held_out": ("kitti_2015",)})
    with pytest.raises(ValueError, match="frames of 12x30 pixels are smaller") as error:
        build.make_task(config)
    assert "000001_10.png" in str(error.value)


def test_a_missing_dataset_says_where_it_should_be(tmp_path):
    config = make_config(tmp_path, **{"data.held_out": ("sintel_clean",)})
    with pytest.raises(FileNotFoundError, match="Sintel is not there: unpack, or link"):
        build.make_task(config)


def test_every_dataset_of_the_configs_is_known():
    for variant in configs.VARIANTS:
        fields = configs.get_config(variant).data
        for name in (*fields.train, *fields.held_out):
            assert name in datasets.DATASETS or name in data._SEEDS
        assert curriculum.load_phases(fields)


def test_held_out_pairs_are_whole_and_as_they_were_written(tmp_path):
    pairs = fake_flow.sintel(tmp_path / "Sintel", (20, 30))
    config = make_config(tmp_path, **{"data.held_out": ("sintel_final",)})
    (batch,) = data.held_out_pairs(config)["sintel_final"].batches()
    for n, pair in enumerate(pairs):
        frames = pair.frames.astype(np.float32) / 255 * 2 - 1
        np.testing.assert_array_equal(batch["frames"][n], frames)
        for name in ("flow", "valid", "occluded"):
            np.testing.assert_array_equal(batch[name][n], getattr(pair, name))
    assert batch["mask"].tolist() == [1, 1, 1, 0]
