"""The task of optical flow: its curriculum, its metrics, whole datasets evaluated."""

import functools
import itertools

import fake_flow
import haiku as hk
import jax
import numpy as np
import pytest

from configs import optical_flow as configs
from experiments import build
from experiments.optical_flow import data as flow_data
from experiments.optical_flow import model as flow_model
from experiments.optical_flow import task as optical_flow
from perceiver_jax.data.flow import datasets
from perceiver_jax.engine import evaluation, losses, metrics, sharding
from perceiver_jax.engine.forward import make_forward, parse_policy
from scripts import paper_tables

TILE = (16, 24)


def small_config(folder="", **changes):
    """A light model of tiny frames, on datasets in a folder."""
    config = configs.get_config("tiny_synthetic")
    config.batch_size = config.eval_batch_size = 4
    config.data.dir = str(folder)
    config.data.render_size = (20, 28)
    config.data.rendered_pairs = 6
    config.model.image_size = TILE
    config.model.max_resolution = (4, 6)
    config.model.num_bands = 2
    config.model.num_latents = 4
    config.model.latent_channels = 16
    config.model.layers_per_block = 1
    config.model.stem_channels = 8
    config.update_from_flattened_dict(changes)
    return config


def random_variables(task, config, seed=0):
    """The task's pure functions, and parameters under which frames matter."""
    forward = make_forward(task.forward, parse_policy(config.precision))
    batch = {"frames": np.zeros((1, 2, *TILE, 3), np.float32)}
    variables = forward.init(jax.random.key(0), batch, True)
    rng = np.random.default_rng(seed)
    params, state = jax.tree.map(
        lambda x: (0.3 * rng.normal(size=x.shape)).astype(np.float32), variables
    )
    state = jax.tree.map(lambda x: np.abs(x) + 1, state)  # as variances are
    return forward, evaluation.Variables(params, state)


def one_device():
    return sharding.OverMesh(sharding.make_mesh(jax.devices()[:1]))


# Metrics


def end_point_errors(flow, pair):
    error = np.linalg.norm(flow - pair.flow, axis=-1)
    return error, np.linalg.norm(pair.flow, axis=-1)


def test_end_point_error_and_its_gradient():
    flow = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    target = np.zeros((2, 2), np.float32)
    np.testing.assert_allclose(losses.end_point_error(flow, target), [5, 0])
    gradient = jax.grad(lambda x: losses.end_point_error(x, target).sum())(flow)
    np.testing.assert_allclose(gradient, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_metrics_by_hand():
    """Errors of 0.5, 2, 4 and 60 pixels, the last where flow is not known."""
    target = np.zeros((1, 1, 4, 2), np.float32)
    target[0, 0, :, 0] = [5, 20, 100, 0]
    error = np.array([0.5, 2, 4, 60], np.float32)
    batch = {
        "flow": target,
        "valid": np.array([[[True, True, True, False]]]),
        "damaged": np.array([[[False, False, False, True]]]),
        "occluded": np.array([[[False, True, False, False]]]),
        "mask": np.ones(1, np.float32),
    }
    flow = target + np.stack([np.zeros(4), error], -1)
    mean = metrics.Mean()
    mean.add(jax.device_get(metrics.sums(optical_flow.measure(flow, batch))))
    assert mean.result() == pytest.approx(
        {
            "loss": 6.5 / 3,
            "epe": 6.5 / 3,
            "outliers_1px": 2 / 3,
            "outliers_3px": 1 / 3,
            "outliers_5px": 0,
            "fl_all": 0,  # 4 pixels are fewer than 5% of 100
            "epe_s0_10": 0.5,
            "epe_s10_40": 2,
            "epe_s40+": 4,
            "epe_matched": 2.25,
            "epe_unmatched": 2,
            "damaged": 1 / 4,
        }
    )


def test_padded_pairs_count_nowhere():
    rng = np.random.default_rng(0)
    pair = {
        "flow": rng.normal(size=(2, 3, 4, 2)).astype(np.float32),
        "valid": np.ones((2, 3, 4), bool),
        "damaged": np.zeros((2, 3, 4), bool),
    }
    flow = rng.normal(size=(2, 3, 4, 2)).astype(np.float32)

    def found(batch, flow):
        mean = metrics.Mean()
        mean.add(jax.device_get(metrics.sums(optical_flow.measure(flow, batch))))
        return mean.result()

    padded = found(pair | {"mask": np.array([1.0, 0.0])}, flow)
    alone = {name: x[:1] for name, x in pair.items()}
    assert padded == pytest.approx(found(alone | {"mask": np.ones(1)}, flow[:1]))


def test_the_best_checkpoint_has_the_smallest_error():
    numbers = {"a/epe": 2.0, "b/epe": 4.0, "a/loss": 9.0}
    assert optical_flow.combine(numbers, sets=["a", "b"]) == {"score": -3.0}
    task = build.make_task(small_config())
    assert task.best_metric == "score"


# Whole datasets


def by_hand(forward, variables, pairs, tile=TILE):
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
    config = small_config(tmp_path, **{"data.held_out": tuple(written)})
    task = build.make_task(config)
    forward, variables = random_variables(task, config)
    parallel = sharding.OverMesh(sharding.make_mesh(jax.devices()[:devices]))
    placed = parallel.from_saved(variables)
    found = evaluation.make_evaluate(task, forward, parallel)(placed).metrics
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


def test_frames_of_one_size_share_a_batch(tmp_path):
    sizes = [(20, 30), (18, 30), (20, 30), (20, 30), (20, 30), (20, 30), (18, 30)]
    fake_flow.kitti(tmp_path / "KITTI_2012", sizes, "colored_0")
    config = small_config(tmp_path, **{"data.held_out": ("kitti_2012",)})
    batches = list(build.make_task(config).eval_data["kitti_2012"]())
    shapes = [(b["frames"].shape[2:4], int(b["mask"].sum())) for b in batches]
    assert shapes == [((20, 30), 4), ((20, 30), 1), ((18, 30), 2)]


def test_damaged_flow_is_reported_and_does_no_harm(tmp_path):
    pairs = [fake_flow.make_pair(n, (18, 26))._asdict() for n in range(2)]
    pairs[1]["flow"][3, 4] = np.nan
    pairs[0]["flow"][5, 6] = 1e6
    fake_flow.pair_folder(tmp_path / "train", pairs)
    fake_flow.pair_folder(tmp_path / "test", pairs)
    config = small_config(
        tmp_path,
        **{"data.train": ("pairs_train",), "data.held_out": ("pairs_test",)},
    )
    task = build.make_task(config)
    forward, variables = random_variables(task, config)
    evaluate = evaluation.make_evaluate(task, forward, one_device())
    found = evaluate(variables).metrics
    assert found["pairs_test/damaged"] == pytest.approx(2 / (2 * 18 * 26))
    assert all(map(np.isfinite, found.values()))
    for batch in itertools.islice(task.train_data(0), 10):
        sums = metrics.sums(
            task.metrics(forward.apply(*variables, None, batch, False)[0], batch)
        )
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(sums))


# The curriculum


CURRICULUM = (
    (0.25, 0.0, True, (1.0,)),
    (0.75, 0.0, False, (1.0,)),
    (1.0, 1.0, False, (1.0,)),
)


def batches_of(config, start=0, count=None):
    return list(itertools.islice(build.make_task(config).train_data(start), count))


def test_phases_follow_each_other_and_resume_anywhere():
    config = small_config(**{"data.phases": CURRICULUM, "steps": 12})
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
    config = small_config(**{"data.phases": CURRICULUM, "steps": 12})
    for number, batch in enumerate(batches_of(config, 0, 6)):
        first, second = batch["frames"][0::2], batch["frames"][1::2]
        both = (first == second[:, ::-1]).all()
        assert both == (number < 3)
        if both:
            forward, back = (
                flow[valid].mean(0)
                for flow, valid in zip(batch["flow"][:2], batch["valid"][:2])
            )
            np.testing.assert_allclose(forward, -back, atol=1)


def test_a_phase_draws_from_its_datasets(tmp_path):
    for name, value in (("train", 0), ("test", 255)):
        pair = fake_flow.make_pair(0, (18, 26))
        pair = pair._replace(frames=np.full_like(pair.frames, value))
        fake_flow.pair_folder(tmp_path / name, [pair._asdict()])
    config = small_config(
        tmp_path,
        **{
            "data.train": ("pairs_train", "pairs_test"),
            "data.held_out": ("pairs_test",),
            "data.phases": (
                (0.25, 0.0, False, (1.0, 0.0)),
                (0.5, 0.0, False, (0.0, 2.0)),
                (1.0, 0.0, False, (1.0, 3.0)),
            ),
            "steps": 40,
        },
    )
    means = [(batch["frames"] > 0).mean() for batch in batches_of(config, 0, 40)]
    assert not any(means[:10]) and all(m == 1 for m in means[10:20])
    assert 0.6 < np.mean(means[20:]) < 0.9


def test_two_processes_see_the_batch_of_one(monkeypatch):
    config = small_config(**{"data.phases": CURRICULUM, "steps": 12, "batch_size": 8})
    task = build.make_task(config)
    whole = list(itertools.islice(task.train_data(0), 5))
    parts = []
    for index in range(2):
        monkeypatch.setattr(
            sharding,
            "this_process",
            lambda index=index: {"process_index": index, "process_count": 2},
        )
        parts.append(list(itertools.islice(task.train_data(0), 5)))
    for batch, first, second in zip(whole, *parts):
        for name in batch:
            joined = np.concatenate([first[name], second[name]])
            np.testing.assert_array_equal(batch[name], joined)


# Models


def linear(rows, inputs, outputs):
    return 2 * rows * inputs * outputs


def textbook_flops(pixels, channels, latents, width, layers, outputs):
    """By hand: multiplies and adds of every matrix product, keys and values made."""

    def attend(num_queries, query_width, num_inputs, input_width, inner):
        return (
            linear(num_queries, query_width, inner)
            + 2 * linear(num_inputs, input_width, inner)
            + 2 * linear(num_queries, inner, num_inputs)
            + linear(num_queries, inner, query_width)
            + 2 * linear(num_queries, query_width, query_width)
        )

    return (
        attend(latents, width, pixels, channels, channels)
        + layers * attend(latents, width, latents, width, width)
        + attend(pixels, channels, latents, width, width)
        + linear(pixels, channels, outputs)
    )


PIXELS = 368 * 496
SIZES = [41_057_134, 41_720_272, 41_054_062, 41_718_736, 41_119_070, 41_793_104]


def test_models_have_the_size_of_table_16_and_appendix_h():
    """Perceiver IO prints 27.9M and 987 GFLOP: 16 layers and 1,024 latents."""
    rows = [paper_tables.flow_cost(changes) for changes in configs.sweep()]
    assert [parameters for parameters, _ in rows] == [*SIZES, 27_970_910]
    parameters, flops = paper_tables.flow_cost(paper_tables.FLOW_PRINTED_FITS)
    printed_parameters, printed_flops = paper_tables.FLOW_PRINTED
    assert abs(parameters / 1e6 / printed_parameters - 1) < 0.005
    patches = linear(PIXELS, 54, 64)
    by_hand = patches + textbook_flops(PIXELS, 322, 1024, 512, 16, 2)
    assert abs(by_hand / 1e9 / printed_flops - 1) < 0.005
    # Ours never makes the encoder's keys and values, but the queries by their weights.
    made = 2 * linear(PIXELS, 322, 322)
    folded = 2 * linear(1024, 322, 322)
    assert flops == by_hand - made + folded


def test_released_model_costs_less_than_the_textbook():
    _, flops = paper_tables.flow_cost({})
    textbook = textbook_flops(PIXELS, 322, 2048, 512, 24, 2)
    assert flops < 0.97 * textbook


@pytest.mark.parametrize("variant", list(configs.VARIANTS))
def test_variants_can_be_built_without_data(variant):
    config = configs.get_config(variant)
    config.data.source = "synthetic"
    config.data.num_workers = 0
    config.batch_size = config.eval_batch_size = 2
    task = build.make_task(config)
    batch = next(iter(task.train_data(0)))
    assert batch["frames"].shape == (2, 2, *config.model.image_size, 3)
    forward = hk.transform_with_state(task.forward)
    init = functools.partial(forward.init, is_training=True)
    variables = jax.eval_shape(init, jax.random.key(0), batch)
    flow, _ = jax.eval_shape(
        functools.partial(forward.apply, is_training=False), *variables, None, batch
    )
    assert flow.shape == (2, *config.model.image_size, 2)
    build.make_optimizer(
        config, build.total_steps(config, task.num_train_examples()), {}
    )


def test_an_untrained_model_says_no_motion():
    config = small_config()
    forward = hk.transform_with_state(flow_model.make_forward(config.model))
    frames = np.random.default_rng(0).normal(size=(1, 2, *TILE, 3))
    batch = {"frames": frames.astype(np.float32)}
    variables = forward.init(jax.random.key(0), batch, True)
    flow, _ = forward.apply(*variables, None, batch, False)
    assert flow.shape == (1, *TILE, 2) and not np.any(flow)


def test_flow_is_finer_than_bfloat16_when_that_is_what_is_computed_in():
    config = small_config()
    task = build.make_task(config)
    _, variables = random_variables(task, config)
    policy = parse_policy("params=float32,compute=bfloat16,output=float32")
    forward = make_forward(task.forward, policy)
    frames = np.random.default_rng(0).uniform(-1, 1, (1, 2, 20, 30, 3))
    flow, _ = forward.apply(
        *variables, None, {"frames": frames.astype(np.float32)}, False
    )
    rounded = flow.astype(jax.numpy.bfloat16).astype(np.float32)
    assert (np.asarray(flow) != rounded).mean() > 0.9


# Pictures


def test_pictures_show_the_first_pairs_in_rows():
    config = small_config(**{"data.held_out": ("moved_photos",)})
    task = build.make_task(config)
    forward, variables = random_variables(task, config)
    samples = evaluation.make_samples(task, forward, one_device())
    (name,) = samples(variables).pictures
    picture = samples(variables).pictures[name]
    assert name == "moved_photos/flow"
    scale = 9  # of 20 pixels, to 180
    assert picture.shape == (4 * (20 * scale + 24), 5 * (28 * scale + 2), 3)
    assert picture.dtype == np.uint8 and picture.std() > 30


def test_padded_pairs_are_not_shown(tmp_path):
    pairs = [fake_flow.make_pair(n, (20, 28))._asdict() for n in range(3)]
    fake_flow.pair_folder(tmp_path / "test", pairs)
    config = small_config(tmp_path, **{"data.held_out": ("pairs_test",)})
    task = build.make_task(config)
    forward, variables = random_variables(task, config)
    samples = evaluation.make_samples(task, forward, one_device())
    (picture,) = samples(variables).pictures.values()
    assert picture.shape[0] == 3 * (20 * 9 + 24)


def test_evaluation_needs_no_data_to_train_on(tmp_path):
    fake_flow.kitti(tmp_path / "KITTI_2015", [(20, 30)])
    fields = {"data.train": ("autoflow",), "data.held_out": ("kitti_2015",)}
    task = build.make_task(small_config(tmp_path, **fields))
    assert len(list(task.eval_data["kitti_2015"]())) == 1
    with pytest.raises(FileNotFoundError, match="AutoFlow is not there"):
        task.num_train_examples()


# What is wrong


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.source": "files"}, "data.source='files' is unknown: use datasets"),
        ({"data.train": ("sintell",)}, "dataset='sintell' is unknown: use autoflow"),
        ({"data.held_out": ()}, "must be names of datasets, each once"),
        ({"data.held_out": ("rendered_test",) * 2}, "names of datasets, each once"),
        ({"data.phases": ()}, "shares of training must rise, the last to 1"),
        ({"data.phases": ((0.5, 0.0, True, (1.0,)),)}, "must rise, the last to 1"),
        ({"data.phases": ((1.0, 0.0, True, (1.0, 1.0)),)}, "a row is .until, strength"),
        ({"data.phases": ((1.0, -1.0, True, (1.0,)),)}, "a row is .until, strength"),
        ({"data.phases": ((1.0, 0.0, True, (0.0,)),)}, "a row is .until, strength"),
        ({"data.phases": ((1.0, 0.0, True, 1.0),)}, "a row is .until, strength"),
        ({"data.phases": ((1.0, 0.0, True),)}, "a row is .until, strength"),
        ({"data.phases": (1.0, 0.0, True, (1.0,))}, "data.phases has 1.0: a row is"),
        ({"data.phases": ((1.0, 0.0, "yes", (1.0,)),)}, "a row is .until, strength"),
        ({"model.stem": "wavelet"}, "model.stem='wavelet' is unknown: use patches"),
        ({"model.max_resolution": (2, 4, 6)}, "must have 2 entries with concat_frames"),
        (
            {"model.concat_frames": False},
            "must have 3 entries with concat_frames=False",
        ),
        ({"data.motion": 500.0}, "motion=500.0 from 0 to the shorter side"),
        ({"data.objects": (2,)}, "objects=.2,. .* the smallest and the largest"),
        ({"data.render_size": (48,)}, "data.render_size=.48,. must be a height and"),
        ({"model.image_size": (16,)}, "model.image_size=.16,. must be a height and"),
        ({"model.image_size": (16, 0)}, "must be a height and a width"),
    ],
)
def test_wrong_configs_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_task(small_config(**changes)).num_train_examples()


def test_a_model_without_latents_is_refused():
    config = small_config(**{"model.num_latents": 0})
    with pytest.raises(ValueError, match="model.num_latents=0 must be 1 or more"):
        random_variables(build.make_task(config), config)


def test_an_odd_batch_cannot_go_both_ways_in_any_phase():
    phases = ((0.5, 0.0, False, (1.0,)), (1.0, 0.0, True, (1.0,)))
    config = small_config(**{"batch_size": 3, "data.phases": phases})
    with pytest.raises(ValueError, match="batch_size=3 must be even"):
        build.make_task(config)


@pytest.mark.parametrize("field", ["train", "held_out"])
def test_a_test_set_without_flow_is_refused(tmp_path, field):
    fake_flow.sintel(tmp_path / "Sintel", (20, 30))
    config = small_config(tmp_path, **{f"data.{field}": ("sintel_clean_test",)})
    with pytest.raises(ValueError, match="not public: it can be predicted only, by"):
        build.make_task(config).num_train_examples()


def test_a_set_with_no_known_flow_is_named():
    with pytest.raises(ValueError, match="No pixel of 'b' has a known flow"):
        optical_flow.combine({"a/epe": 1.0, "b/damaged": 1.0}, sets=["a", "b"])


def test_frames_smaller_than_the_model_are_refused_before_training(tmp_path):
    fake_flow.kitti(tmp_path / "KITTI_2015", [(20, 30), (12, 30)])
    config = small_config(tmp_path, **{"data.held_out": ("kitti_2015",)})
    with pytest.raises(ValueError, match="frames of 12x30 pixels are smaller") as error:
        build.make_task(config)
    assert "000001_10.png" in str(error.value)
    pairs = [fake_flow.make_pair(n, (20 - 11 * n, 28))._asdict() for n in range(2)]
    fake_flow.pair_folder(tmp_path / "train", pairs)
    config = small_config(
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
        build.make_task(config).num_train_examples()
    with pytest.raises(ValueError, match="data.render_size=.* is smaller than"):
        build.make_task(small_config(**{"data.render_size": (12, 30)}))


def test_a_missing_dataset_says_where_it_should_be(tmp_path):
    config = small_config(tmp_path, **{"data.held_out": ("sintel_clean",)})
    with pytest.raises(FileNotFoundError, match="Sintel is not there: unpack, or link"):
        build.make_task(config)


def test_every_dataset_of_the_configs_is_known():
    for variant in configs.VARIANTS:
        data = configs.get_config(variant).data
        for name in (*data.train, *data.held_out):
            assert name in datasets.DATASETS or name in flow_data._SEEDS
        flow_data.load_phases(data)
