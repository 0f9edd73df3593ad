"""Repetition of layers by scan: one program for a layer, however often it is applied.

Tracing and compiling do not grow with depth. Layers with parameters of their own have
them in arrays with one more leading axis, which counts the layers.
"""

from collections.abc import Callable

import haiku as hk
import jax

KEPT = "kept_by_remat"  # a tag, see `remat`

Layer = Callable[[jax.Array], jax.Array]


def stacked(layer: Layer, count: int, name: str) -> Layer:
    """Returns `count` layers with parameters of their own, stacked in module `name`.

    Args:
      layer: creates its modules when called, and keeps the shape of its argument.
      count: number of layers; 0 for the identity.
      name: of the module that holds them.
    """
    return hk.layer_stack(count, name=name)(layer) if count else _identity


def shared(layer: Layer, count: int) -> Layer:
    """Returns one layer applied `count` times with the same parameters.

    Args:
      layer: calls modules that exist already, and keeps the shape of its argument.
      count: number of times; 0 for the identity.
    """

    def apply(x):
        if count == 1 or hk.running_init():
            return layer(x)
        return hk.scan(lambda x, _: (layer(x), None), x, None, length=count)[0]

    return apply if count else _identity


def repeated(
    make_layer: Callable[[], Layer], count: int, share: bool, name: str
) -> Layer:
    """Returns `count` layers, `shared` or `stacked`.

    Args:
      make_layer: creates the modules of a layer, called once if they are shared.
      count: number of layers; 0 for the identity.
      share: whether all layers have the same parameters.
      name: of the module that holds a stack.
    """
    if share:
        return shared(make_layer(), count)
    return stacked(lambda x: make_layer()(x), count, name)


def remat(layer: Layer) -> Layer:
    """Returns a scanned layer that is recomputed in the backward pass from its input.

    Keeps only arrays tagged KEPT (by checkpoint_name), attention's outputs: recomputing
    them would rebuild the score matrices, the largest arrays of a layer.
    """
    policy = jax.checkpoint_policies.save_only_these_names(KEPT)
    # Nothing can merge the recomputation with the first pass across the border of a
    # scan, so the barriers that else keep them apart (prevent_cse) are not needed.
    return hk.remat(layer, policy=policy, prevent_cse=False)


def _identity(x):
    return x
