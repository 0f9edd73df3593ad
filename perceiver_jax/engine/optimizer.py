"""LAMB and AdamW from optax, with the papers' schedules and weight-decay mask."""

from collections.abc import Callable

import jax
import optax

from perceiver_jax.model import stack


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
    """Linear warm-up from 0, then a cosine to 0 over the remaining steps."""
    if warmup_steps >= total_steps:
        raise ValueError(
            f"warmup_steps={warmup_steps} must be fewer than the {total_steps} steps "
            "of training."
        )
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
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    decay_positions: bool = True,
) -> optax.GradientTransformation:
    """LAMB, whose trust ratio is that of each layer (You et al. 2020).

    Args:
      schedule: step -> learning rate.
      weight_decay: decoupled; see `decay_mask` for what it covers.
      clip_norm: bound on the gradient's global norm; 0 for none.
      b1: decay of the first moment.
      b2: decay of the second moment.
      eps: added to the root of the second moment.
      decay_positions: whether latents, queries and position tables decay too.
    """
    return optax.chain(
        _clip(clip_norm),
        optax.scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay, decay_mask(decay_positions)),
        _scale_by_layer_trust_ratio(),
        optax.scale_by_learning_rate(schedule),
    )


def adamw(
    schedule: optax.Schedule,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    decay_positions: bool = True,
) -> optax.GradientTransformation:
    """AdamW; arguments as of `lamb`."""
    return optax.chain(
        _clip(clip_norm),
        optax.scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay, decay_mask(decay_positions)),
        optax.scale_by_learning_rate(schedule),
    )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "lamb": lamb,
    "adamw": adamw,
}


def decay_mask(decay_positions: bool) -> Callable:
    """Returns params -> a tree that is true where weights decay: no bias, no norm.

    By name and not by rank, as the biases of a stack of layers are matrices too.
    """

    def decays(path, _):
        name = path[-1].key
        return name == "w" or (decay_positions and name not in ("b", "scale", "offset"))

    return lambda params: jax.tree_util.tree_map_with_path(decays, params)


def _clip(norm: float) -> optax.GradientTransformation:
    return optax.clip_by_global_norm(norm) if norm else optax.identity()


def _scale_by_layer_trust_ratio() -> optax.GradientTransformation:
    """Optax's trust ratio, layer by layer also where a stack of layers is one array."""
    per_array = optax.scale_by_trust_ratio()

    def update(updates, state, params):
        def scale(path, update, param):
            def one_layer(update, param):
                return per_array.update(update, state, param)[0]

            for _ in range(stack.depth(path[0].key)):
                one_layer = jax.vmap(one_layer)
            return one_layer(update, param)

        return jax.tree_util.tree_map_with_path(scale, updates, params), state

    return optax.GradientTransformation(per_array.init, update)
