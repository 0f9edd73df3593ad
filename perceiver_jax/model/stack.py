"""Repetition of layers by scan: one program for a layer, however often it is applied.

Tracing and compiling do not grow with depth. Layers with weights of their own keep
them in arrays with a leading axis, in a module whose name says so: `depth` tells an
optimizer that treats arrays as layers (LAMB), or a converter of weights.
"""

from collections.abc import Callable

import haiku as hk
import jax

NAMES = ("layers", "blocks", "cross_attends", "segments")
KEPT = "kept_by_remat"

Layer = Callable[[jax.Array], jax.Array]


def stacked(layer: Layer, count: int, name: str) -> Layer:
    """Returns `count` layers with their own weights, stacked in module `name`.

    Args:
      layer: creates its modules when called, and keeps the shape of its argument.
      count: number of layers; 0 for the identity.
      name: one of NAMES.
    """
    if name not in NAMES:
        raise ValueError(f"A stack is named one of {NAMES}, not '{name}'.")
    return hk.layer_stack(count, name=name)(layer) if count else _identity


def shared(layer: Layer, count: int) -> Layer:
    """Returns one layer applied `count` times with the same weights.

    Args:
      layer: calls modules that exist already, and keeps the shape of its argument.
      count: number of times; 0 for the identity.
    """

    def apply(x):
        if count == 1 or hk.running_init():
            return layer(x)
        return hk.scan(lambda x, _: (layer(x), None), x, None, length=count)[0]

    return apply if count else _identity


def remat(layer: Layer) -> Layer:
    """Returns a scanned layer that is recomputed in the backward pass from its input.

    Only arrays named KEPT (by checkpoint_name) are kept besides: to make attention's
    outputs again would take the score matrices again, the largest arrays of a layer.
    Inside a scan nothing can merge the recomputation with the first pass, so the
    barriers that would keep the two apart are left out.
    """
    policy = jax.checkpoint_policies.save_only_these_names(KEPT)
    return hk.remat(layer, policy=policy, prevent_cse=False)


def depth(module_name: str) -> int:
    """Returns how many leading axes of a module's parameters count layers."""
    return sum(part in NAMES for part in module_name.split("/"))


def _identity(x):
    return x
