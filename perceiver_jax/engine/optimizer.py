"""LAMB and AdamW from optax, with the papers' schedules.

What a parameter is (whether it decays, how many of its axes count layers) can't be seen
from its name or shape: two trees beside the parameters say it, {module: {name: ...}}.
"""

from collections.abc import Callable, Mapping

import jax
import optax

Decays = Mapping[str, Mapping[str, bool]]  # whether weight decay covers a parameter
LayerAxes = Mapping[str, Mapping[str, int]]  # how many leading axes count layers


def constant(peak: float, total_steps: int) -> optax.Schedule:
    """The same rate at every step."""
    del total_steps
    return optax.constant_schedule(peak)


def flat_cosine(
    peak: float, total_steps: int, flat_fraction: float = 0.5
) -> optax.Schedule:
    """Flat for a fraction of training, then a cosine to 0 (Perceiver IO, ImageNet)."""
    flat_steps = round(flat_fraction * total_steps)
    cosine = optax.cosine_decay_schedule(peak, max(total_steps - flat_steps, 1))
    return optax.join_schedules([optax.constant_schedule(peak), cosine], [flat_steps])


def warmup_cosine(
    peak: float, total_steps: int, warmup_steps: int = 1000
) -> optax.Schedule:
    """Linear warm-up from 0, then a cosine to 0 over the remaining steps.

    The warm-up is at most half of training, so that short runs have a schedule too.
    """
    warmup_steps = min(warmup_steps, total_steps // 2)
    return optax.warmup_cosine_decay_schedule(0.0, peak, warmup_steps, total_steps)


def step_decay(
    peak: float,
    total_steps: int,
    fractions: tuple[float, ...] = (0.7, 0.85, 0.95),
    factor: float = 0.1,
) -> optax.Schedule:
    """Times `factor` at each fraction of training.

    The default is Perceiver's on ImageNet: epochs 84, 102 and 114 of 120.
    """
    boundaries = {round(f * total_steps): factor for f in fractions}
    return optax.piecewise_constant_schedule(peak, boundaries)


SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
    "constant": constant,
    "flat_cosine": flat_cosine,
    "warmup_cosine": warmup_cosine,
    "step_decay": step_decay,
}


def scale_learning_rate(
    learning_rate: float, batch_size: int, reference_batch_size: int
) -> float:
    """Returns the rate, times batch / reference if a reference is given (not 0)."""
    if not reference_batch_size:
        return learning_rate
    return learning_rate * batch_size / reference_batch_size


def lamb(
    schedule: optax.Schedule,
    decays: Decays,
    layer_axes: LayerAxes,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
) -> optax.GradientTransformation:
    """LAMB, whose trust ratio is that of each layer (You et al. 2020).

    Args:
      schedule: step -> learning rate.
      decays: of every parameter.
      layer_axes: of every parameter.
      weight_decay: decoupled.
      clip_norm: bound on the gradient's global norm; 0 for none.
      b1: decay of the first moment.
      b2: decay of the second moment.
      eps: added to the root of the second moment.
    """
    return optax.chain(
        _clip(clip_norm),
        optax.scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay, decays),
        _scale_by_layer_trust_ratio(layer_axes),
        optax.scale_by_learning_rate(schedule),
    )


def adamw(
    schedule: optax.Schedule,
    decays: Decays,
    layer_axes: LayerAxes,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> optax.GradientTransformation:
    """AdamW, which treats all numbers alike; arguments as of `lamb`."""
    del layer_axes
    return optax.chain(
        _clip(clip_norm),
        optax.scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay, decays),
        optax.scale_by_learning_rate(schedule),
    )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "lamb": lamb,
    "adamw": adamw,
}


def _clip(norm: float) -> optax.GradientTransformation:
    return optax.clip_by_global_norm(norm) if norm else optax.identity()


def _scale_by_layer_trust_ratio(layer_axes: LayerAxes) -> optax.GradientTransformation:
    """Optax's trust ratio, layer by layer also where a stack of layers is one array."""
    per_array = optax.scale_by_trust_ratio()

    def update(updates, state, params):
        def scale(axes, update, param):
            def one_layer(update, param):
                return per_array.update(update, state, param)[0]

            for _ in range(axes):
                one_layer = jax.vmap(one_layer)
            return one_layer(update, param)

        return jax.tree.map(scale, layer_axes, updates, params), state

    return optax.GradientTransformation(per_array.init, update)
