"""One step of training as a pure function: (state, batch) -> (state, sums)."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import optax

from perceiver_jax.engine import metrics, sharding
from perceiver_jax.engine.metrics import Metrics, Sums
from perceiver_jax.engine.task import Batch, Outputs


class TrainState(NamedTuple):
    """All that a step reads and writes. Randomness is folded from (seed, step)."""

    step: jax.Array  # int32 []: updates done
    params: hk.Params
    model_state: hk.State
    opt_state: optax.OptState


@dataclasses.dataclass(frozen=True, eq=False)
class Update:
    """What a step of training does, without any data.

    The gradient is that of summed loss over summed weight of the whole global batch,
    however many devices or accumulated parts it is spread over.

    Attributes:
      forward: the model, of forward.make_forward.
      metrics: the task's; `loss` is what is minimised.
      optimizer: the gradient transformation.
      schedule: step -> learning rate, the optimizer's, to report it.
      seed: of initialisation and of every step's randomness.
      accumulate: parts that a batch is processed in, one after the other.
    """

    forward: hk.TransformedWithState
    metrics: Callable[[Outputs, Batch], Metrics]
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    seed: int = 0
    accumulate: int = 1

    def init(self, shapes: Batch) -> TrainState:
        """Returns the state before the first step, for batches of these shapes."""
        # One example is enough to make the parameters, whatever the batch size.
        example = jax.tree.map(lambda x: jnp.zeros((1, *x.shape[1:]), x.dtype), shapes)
        params, model_state = self.forward.init(
            jax.random.key(self.seed), example, True
        )
        opt_state = self.optimizer.init(params)
        return TrainState(jnp.zeros([], jnp.int32), params, model_state, opt_state)

    def __call__(
        self, state: TrainState, batch: Batch, axis_name: str | None
    ) -> tuple[TrainState, Sums]:
        """Takes one step, and returns the new state and the sums of the metrics.

        Args:
          state: of `init`, or of the step before.
          batch: what this device sees of it.
          axis_name: see sharding.
        """
        rng = self.rng(state.step, axis_name)
        grads, (sums, model_state) = self._gradients(state, batch, rng)
        grads, sums = sharding.psum((grads, sums), axis_name)
        weight = jnp.maximum(sums["loss"][1], 1e-9)  # a batch may be all padding
        grads = jax.tree.map(lambda g: g / weight, grads)
        updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        rates = {"grad_norm": optax.tree.norm(grads)}
        rates["learning_rate"] = jnp.asarray(self.schedule(state.step), jnp.float32)
        sums |= {k: jnp.stack([v, jnp.ones([])]) for k, v in rates.items()}
        return TrainState(state.step + 1, params, model_state, opt_state), sums

    def rng(self, step: jax.Array, axis_name: str | None) -> jax.Array:
        """Returns the key of a step's randomness, on this device."""
        rng = jax.random.fold_in(jax.random.key(self.seed), step)
        if axis_name is None:
            return rng
        return jax.random.fold_in(rng, jax.lax.axis_index(axis_name))

    def _loss(self, params, model_state, rng, batch) -> tuple[jax.Array, Any]:
        outputs, model_state = self.forward.apply(params, model_state, rng, batch, True)
        sums = metrics.sums(self.metrics(outputs, batch))
        return sums["loss"][0], (sums, model_state)

    def _gradients(self, state, batch, rng):
        """Returns the summed gradients, and (sums, model state), of all parts."""
        grad = jax.grad(self._loss, has_aux=True)
        if self.accumulate == 1:
            return grad(state.params, state.model_state, rng, batch)

        def add_part(carry, part):
            index, part = part
            totals, model_state = carry
            part_rng = jax.random.fold_in(rng, index)
            grads, (sums, model_state) = grad(state.params, model_state, part_rng, part)
            totals = jax.tree.map(jnp.add, totals, (grads, sums))
            return (totals, model_state), None

        parts = (jnp.arange(self.accumulate), split(batch, self.accumulate))
        first = jax.tree.map(lambda x: x[0], parts[1])
        _, (sums, _) = jax.eval_shape(grad, state.params, state.model_state, rng, first)
        zeros = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), (state.params, sums)
        )
        start = (zeros, state.model_state)
        ((grads, sums), model_state), _ = jax.lax.scan(add_part, start, parts)
        return grads, (sums, model_state)


def split(batch: Batch, parts: int) -> Batch:
    """Splits the batch axis into [parts, B / parts], every part spread over devices."""

    def split_array(x):
        # Strided and not contiguous parts: then no example has to change its device.
        return jnp.swapaxes(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 0, 1)

    return jax.tree.map(split_array, batch)
