"""For every model: which parameters decay, and how many of their axes count layers."""

import re

import all_configs
import pytest

from experiments import build
from perceiver_jax.model import parameters
from perceiver_jax.model.parameters import Kind

KINDS = {
    "w": Kind.MATRIX,
    "b": Kind.BIAS,
    "output_bias": Kind.BIAS,
    "scale": Kind.NORM,
    "offset": Kind.NORM,
    "latents": Kind.TABLE,
    "queries": Kind.TABLE,
    "table": Kind.TABLE,  # of positions
    "positions": Kind.TABLE,
    "embeddings": Kind.TABLE,
    # Of modalities: audio_embedding and the like.
    "embedding": Kind.TABLE,
    "hidden": Kind.TABLE,
    "query": Kind.TABLE,
}
DECAYS = {Kind.MATRIX, Kind.TABLE}  # tables only with optimizer.decay_positions

LAYER_AXES = {  # of all that is in a module
    "image_inputs": 0,
    "flow_inputs": 0,
    "modality_inputs": 0,
    "modality_queries": 0,
    "learned_position": 0,
    "text_embedding": 0,
    "encoder": 0,
    "processor/block/layers": 1,
    "iterative_processor/cross_attention": 0,
    "iterative_processor/processor/block/layers": 1,
    "iterative_processor/processor/blocks/block/layers": 2,
    "iterative_processor/segments/cross_attention": 1,
    "iterative_processor/segments/processor/blocks/block/layers": 3,
    "transformer/layers": 1,
    "transformer/output_norm": 0,
    "learned_queries": 0,
    "task_queries": 0,
    "task_tokens": 0,
    "decoder": 0,
    "mean_pool": 0,
    "bottleneck": 0,
    "head": 0,  # TASK_head
    "output": 0,  # MODALITY_output
}


def place(module):
    """The row of LAYER_AXES that a module is in."""
    module = re.sub(r"^\w+_(head/|output$)|^bottleneck/(processor/)", r"\1\2", module)
    found = [row for row in LAYER_AXES if f"{module}/".startswith(f"{row}/")]
    assert len(found) == 1, f"{module} is in {found or 'no row'}"
    return found[0]


@pytest.mark.parametrize("name", all_configs.PROGRAMS)
def test_what_parameters_are(name):
    model = build.make_model(all_configs.get_config(name))
    described = parameters.describe(model.forward, model.batch(1))
    decays = parameters.decays(described, True)
    decays_fewer = parameters.decays(described, False)
    assert described
    for module, of_it in described.items():
        for parameter, (kind, layer_axes, _) in of_it.items():
            name = re.sub(r"^(audio|label|mel|video)_", "", parameter)
            assert kind == KINDS[name]
            assert layer_axes == LAYER_AXES[place(module)]
            assert decays[module][parameter] == (kind in DECAYS)
            assert decays_fewer[module][parameter] == (kind == Kind.MATRIX)
