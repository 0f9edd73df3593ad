"""Where latents of an autoencoder of clips look."""

import functools

import jax
import numpy as np
from small_av import make_batch, make_config, random_variables

from experiments.video_autoencoding import attention
from perceiver_jax.model import inspection


def test_maps_are_of_what_is_read_and_of_the_query_of_the_label():
    config = attention.looked_at(make_config())
    forward, variables = random_variables(config)
    look = jax.jit(functools.partial(inspection.attention_maps, forward))
    batch = attention.without_outputs(make_batch(config, 1))
    maps = attention.by_modality(config, jax.device_get(look(*variables, batch)))
    shapes = {name: x.shape for name, x in maps.items()}
    assert shapes == {
        "audio": (4, 4),
        "video": (4, 2, 2, 2),
        "label": (4,),
        "label_query": (4,),
    }
    read = sum(maps[name].reshape(4, -1).sum(1) for name in ("audio", "video", "label"))
    np.testing.assert_allclose(read, 1, atol=2e-3)
    np.testing.assert_allclose(maps["label_query"].sum(), 1, atol=2e-3)
    assert maps["label_query"].std() > 1e-3
    figure = attention.draw(batch["video"][0], batch["audio"][0], maps)
    assert len(figure.axes) == 2 * (1 + 4)
