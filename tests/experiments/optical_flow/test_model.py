"""The model of optical flow, from a config alone."""

import jax
import numpy as np
import pytest
from small_flow import TILE, make_config, random_variables

from configs import optical_flow as configs
from experiments import build
from perceiver_jax.engine.forward import make_forward, parse_policy


@pytest.mark.parametrize("both_ways", [True, False])
def test_examples_are_those_of_training(both_ways):
    config = make_config(**{"data.phases": ((1.0, 0.5, both_ways, (1.0,)),)})
    batch = next(build.make_task(config).train.batches(0, 1))
    shapes = build.make_model(config).batch(config.batch_size)
    assert {name: (x.shape, x.dtype) for name, x in batch.items()} == {
        name: (x.shape, x.dtype) for name, x in shapes.items()
    }


@pytest.mark.parametrize("variant", list(configs.VARIANTS))
def test_variants_can_be_built_and_trained_without_data(variant):
    config = configs.get_config(variant)
    config.data.source = "synthetic"
    config.data.num_workers = 0
    config.batch_size = config.eval_batch_size = 2
    config.accumulate = 1
    task = build.make_task(config)
    batch = next(task.train.batches(0, 1))
    assert batch["frames"].shape == (2, 2, *config.model.image_size, 3)
    total = build.total_steps(config, task.train.num_examples)
    update = build.make_update(config, task.model, total)
    state = jax.eval_shape(lambda: update.init(batch))
    flow, _ = jax.eval_shape(
        lambda *args: update.forward.apply(*args, None, batch, False),
        *(state.params, state.model_state),
    )
    assert flow.shape == (2, *config.model.image_size, 2)


def test_an_untrained_model_says_no_motion():
    model = build.make_model(make_config())
    forward = make_forward(model.forward, parse_policy(make_config().precision))
    frames = np.random.default_rng(0).normal(size=(1, 2, *TILE, 3))
    batch = {"frames": frames.astype(np.float32)}
    variables = forward.init(jax.random.key(0), batch, True)
    flow, _ = forward.apply(*variables, None, batch, False)
    assert flow.shape == (1, *TILE, 2) and not np.any(flow)


def test_flow_is_finer_than_bfloat16_when_that_is_what_is_computed_in():
    config = make_config()
    _, variables = random_variables(config)
    policy = parse_policy("params=float32,compute=bfloat16,output=float32")
    forward = make_forward(build.make_model(config).forward, policy)
    frames = np.random.default_rng(0).uniform(-1, 1, (1, 2, 20, 30, 3))
    flow, _ = forward.apply(
        *variables, None, {"frames": frames.astype(np.float32)}, False
    )
    rounded = flow.astype(jax.numpy.bfloat16).astype(np.float32)
    assert (np.asarray(flow) != rounded).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.max_resolution": (2, 4, 6)}, "must have 2 entries with concat_frames"),
        (
            {"model.concat_frames": False},
            "must have 3 entries with concat_frames=False",
        ),
    ],
)
def test_positions_have_the_dimensions_of_the_inputs(changes, message):
    with pytest.raises(ValueError, match=message):
        build.make_model(make_config(**changes))
