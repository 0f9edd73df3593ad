"""One step of training, looked at: by layer, by example, and for what is not finite.

Nothing is trained: a step is taken as training takes it, and its new state is dropped.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils

from perceiver_jax.engine import metrics, sharding
from perceiver_jax.engine.findings import Example, Found, Layer
from perceiver_jax.engine.optimizer import LayerAxes
from perceiver_jax.engine.task import Batch
from perceiver_jax.engine.update import TrainState, Update, split


def look(
    update: Update,
    parallel: sharding.OverMesh | sharding.OverPmap,
    layer_axes: LayerAxes,
    state: TrainState,
    batch: Batch,
    names: Sequence[str],
) -> tuple[Found, TrainState]:
    """Takes a step apart.

    Where its loss or gradient is not finite, and the parameters are, the suspected
    examples are also tried one at a time: those with a loss that is not finite, or all.

    Args:
      update: what a step does.
      parallel: where arrays live.
      layer_axes: how many leading axes of each parameter count layers.
      state: before the step; it is used up.
      batch: this process's part of the step's batch.
      names: of all examples of the global batch.

    Returns:
      What was found, and the state before the step.
    """
    placed = parallel.place_batch(batch)
    state, rows = parallel.compile_update(_Examples(update))(state, placed)
    rows = _fetch(rows)
    examples = [
        Example(row, name, _means({key: sums[row] for key, sums in rows.items()}))
        for row, name in enumerate(names)
    ]
    state, (sums, norms) = parallel.compile_update(_Step(update, layer_axes))(
        state, placed
    )
    found = Found(_means(_fetch(sums)), _layers(_fetch(norms)), examples)
    broken = [found.metrics["loss"], found.metrics["grad_norm"]]
    sound = [layer.parameter for layer in found.layers]
    if not np.isfinite(broken).all() and np.isfinite(sound).all():
        examples, state = _try_alone(update, parallel, state, batch, examples)
    order = sorted(examples, key=lambda e: (e.is_finite, -np.nan_to_num(e.loss)))
    return found._replace(examples=order), state


def whole_batch(batch: Batch) -> Batch:
    """Returns the global batch, on the host of every process."""
    if jax.process_count() == 1:
        return batch
    return multihost_utils.process_allgather(batch, tiled=True)


@dataclasses.dataclass(frozen=True)
class _Step:
    """The step as training takes it: (state, batch) -> (same state, (sums, norms))."""

    update: Update
    layer_axes: LayerAxes

    def __call__(self, state: TrainState, batch: Batch, axis_name: str | None):
        told = optax.GradientTransformation(self.update.optimizer.init, self._optimize)
        update = dataclasses.replace(self.update, optimizer=told)
        after, sums = update(state, batch, axis_name)
        return state, (sums, after.opt_state)

    def _optimize(self, grads, opt_state, params):
        """The optimizer, but with norms in the place of its new state."""
        updates, _ = self.update.optimizer.update(grads, opt_state, params)
        trees = {"parameter": params, "gradient": grads, "update": updates}
        norms = {
            kind: jax.tree.map(_norms, self.layer_axes, tree)
            for kind, tree in trees.items()
        }
        return updates, norms


def _norms(layer_axes: int, x: jax.Array) -> jax.Array:
    """Returns the norm of each layer, without overflow on the way."""
    axes = tuple(range(layer_axes, x.ndim))
    largest = jnp.max(jnp.abs(x), axes, keepdims=True)
    scale = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1.0)
    norms = jnp.sqrt(jnp.sum(jnp.square(x / scale), axes))
    return norms * scale.reshape(norms.shape)


@dataclasses.dataclass(frozen=True)
class _Examples:
    """Metrics by example: (state, batch) -> (same state, {name: [B, 2] sums}).

    The forward pass is that of training, in as many parts.
    """

    update: Update

    def __call__(self, state: TrainState, batch: Batch, axis_name: str | None):
        rng = self.update.rng(state.step, axis_name)
        count = self.update.accumulate
        if count == 1:
            found = self._measure(state, rng, batch)
        else:
            keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, jnp.arange(count))
            found = jax.lax.map(
                lambda part: self._measure(state, *part), (keys, split(batch, count))
            )
            found = jax.tree.map(  # [parts, B / parts, 2] in the order of the batch
                lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, 2), found
            )
        return state, sharding.all_gather(found, axis_name)

    def _measure(self, state, rng, batch):
        outputs, _ = self.update.forward.apply(
            state.params, state.model_state, rng, batch, True
        )

        def of_one(example):
            outputs, batch = jax.tree.map(lambda x: x[None], example)
            return metrics.sums(self.update.metrics(outputs, batch))

        return jax.vmap(of_one)((outputs, batch))


def _try_alone(update, parallel, state, batch, examples):
    """Returns the examples, the suspected ones with what they give alone."""
    wrong = [e.row for e in examples if not np.isfinite(e.loss)]
    suspects = set(wrong or range(len(examples)))
    batch = whole_batch(batch)
    step = parallel.compile_update(_Alone(dataclasses.replace(update, accumulate=1)))
    tried = []
    for example in examples:
        if example.row in suspects:
            # A copy for each device: the smallest batch that splits over them.
            rows = np.full(jax.local_device_count(), example.row)
            copies = jax.tree.map(lambda x, rows=rows: np.asarray(x)[rows], batch)
            state, sums = step(state, parallel.place_batch(copies))
            means = _means(_fetch(sums))
            alone = {key: means.get(key, 0.0) for key in ("loss", "grad_norm")}
            example = example._replace(alone=alone)
        tried.append(example)
    return tried, state


@dataclasses.dataclass(frozen=True)
class _Alone:
    """A step, without its new state: (state, batch) -> (same state, sums)."""

    update: Update

    def __call__(self, state: TrainState, batch: Batch, axis_name: str | None):
        return state, self.update(state, batch, axis_name)[1]


def _layers(norms: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> list[Layer]:
    """Joins the norms {kind: {module: {parameter: [layers, ...]}}} of each layer."""
    layers = []
    for module, arrays in norms["parameter"].items():
        shape = next(iter(arrays.values())).shape
        of = {
            kind: np.sqrt(
                sum(np.square(x, dtype=np.float64) for x in modules[module].values())
            )
            for kind, modules in norms.items()
        }
        for index in np.ndindex(shape):
            values = {kind: float(x[index]) for kind, x in of.items()}
            layers.append(Layer(module, ", ".join(map(str, index)), **values))
    return layers


def _means(sums: Mapping[str, Any]) -> dict[str, float]:
    mean = metrics.Mean()
    mean.add(sums)
    return mean.result()


def _fetch(tree: Any) -> Any:
    """Returns arrays whole on the host of every process."""

    def fetch(x):
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        return multihost_utils.process_allgather(x, tiled=True)

    return jax.tree.map(fetch, tree)
