"""The Transformer that Perceivers are compared with: it works on the inputs."""

import dataclasses

import haiku as hk
import jax

from perceiver_jax.model import attention, stack


@dataclasses.dataclass
class Transformer(hk.Module):
    """Self-attends on the inputs themselves, at a cost that grows with M squared.

    Its layers are those of a Processor, so that it is Perceiver IO's BERT (table 1 and
    appendix F.3).
    """

    num_layers: int
    self_attention: attention.MakeSelfAttention
    remat: bool = False  # recompute each layer in the backward pass, keep its input
    name: str | None = None

    def __call__(
        self,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> jax.Array:
        """Maps inputs [B, M, C] to [B, M, C]; input_mask [B, M] is true where valid."""

        def layer(x):
            return self.self_attention()(x, input_mask, is_training)

        if self.remat:
            layer = stack.remat(layer)
        outputs = stack.stacked(layer, self.num_layers, "layers")(inputs)
        return attention.LayerNorm(name="output_norm")(outputs)
