"""One step of training as a pure function: (state, batch) -> (state, sums)."""

from collections.abc import Callable
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import optax

from perceiver_jax.engine import metrics, sharding
from perceiver_jax.engine.task import Batch, Task


class TrainState(NamedTuple):
    """All that a step reads and writes. Randomness is folded from (seed, step)."""

    step: jax.Array  # int32 []: updates done
    params: hk.Params
    model_state: hk.State
    opt_state: optax.OptState


def init(
    forward: hk.TransformedWithState,
    optimizer: optax.GradientTransformation,
    seed: int,
    batch: Batch,
) -> TrainState:
    """Returns the state before the first step; `batch` gives shapes only."""
    # One example is enough to make the parameters, whatever the batch size.
    example = jax.tree.map(lambda x: jnp.zeros((1, *x.shape[1:]), x.dtype), batch)
    params, model_state = forward.init(jax.random.key(seed), example, True)
    opt_state = optimizer.init(params)
    return TrainState(jnp.zeros([], jnp.int32), params, model_state, opt_state)


def make_update(
    task: Task,
    forward: hk.TransformedWithState,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    seed: int,
    accumulate: int = 1,
) -> Callable:
    """Returns the pure update (state, batch, axis_name) -> (state, sums of metrics).

    The gradient is that of summed loss over summed weight of the whole global batch,
    however many devices or accumulated parts it is spread over. `schedule` is the
    optimizer's, to report the learning rate.
    """

    def loss(params, model_state, rng, batch):
        outputs, model_state = forward.apply(params, model_state, rng, batch, True)
        sums = metrics.sums(task.metrics(outputs, batch))
        return sums["loss"][0], (sums, model_state)

    def gradients(state, batch, rng):
        grad = jax.grad(loss, has_aux=True)
        if accumulate == 1:
            return grad(state.params, state.model_state, rng, batch)

        def add_part(carry, part):
            index, part = part
            totals, model_state = carry
            part_rng = jax.random.fold_in(rng, index)
            grads, (sums, model_state) = grad(state.params, model_state, part_rng, part)
            totals = jax.tree.map(jnp.add, totals, (grads, sums))
            return (totals, model_state), None

        parts = (jnp.arange(accumulate), _split(batch, accumulate))
        first = jax.tree.map(lambda x: x[0], parts[1])
        _, (sums, _) = jax.eval_shape(grad, state.params, state.model_state, rng, first)
        zeros = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), (state.params, sums)
        )
        start = (zeros, state.model_state)
        ((grads, sums), model_state), _ = jax.lax.scan(add_part, start, parts)
        return grads, (sums, model_state)

    def update(state, batch, axis_name):
        rng = jax.random.fold_in(jax.random.key(seed), state.step)
        if axis_name is not None:
            rng = jax.random.fold_in(rng, jax.lax.axis_index(axis_name))
        grads, (sums, model_state) = gradients(state, batch, rng)
        grads, sums = sharding.psum((grads, sums), axis_name)
        weight = jnp.maximum(sums["loss"][1], 1e-9)  # a batch may be all padding
        grads = jax.tree.map(lambda g: g / weight, grads)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        rates = {"grad_norm": optax.tree.norm(grads)}
        rates["learning_rate"] = jnp.asarray(schedule(state.step), jnp.float32)
        sums |= {k: jnp.stack([v, jnp.ones([])]) for k, v in rates.items()}
        return TrainState(state.step + 1, params, model_state, opt_state), sums

    return update


def _split(batch: Batch, parts: int) -> Batch:
    """Splits the batch axis into [parts, B / parts], every part spread over devices."""

    def split(x):
        # Strided and not contiguous parts: then no example has to change its device.
        return jnp.swapaxes(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 0, 1)

    return jax.tree.map(split, batch)
