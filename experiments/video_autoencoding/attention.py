"""Where latents look: over the frames of a clip, and over its sound."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from ml_collections import config_dict

from experiments import clip_attention, drawing
from experiments.video_autoencoding.model import input_modalities
from experiments.video_autoencoding.outputs import points_name
from perceiver_jax.engine.task import Batch


def looked_at(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
    """Returns the config of the same model, that attention maps can be had of.

    Of the decoder, which runs once for each modality, only one call can be looked at:
    where each query is a chunk, the others are loops, but the label's is not.
    """
    config = config.copy_and_resolve_references()
    config.model.query_chunk = 1
    return config


def without_outputs(batch: Batch) -> dict[str, np.ndarray]:
    """Returns a batch for `looked_at`: of what is decoded nothing is looked at."""
    few = np.array([[0, 1]], np.int32)
    return {**batch, points_name("video"): few, points_name("audio"): few}


def by_modality(
    config: config_dict.ConfigDict, maps: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Splits the maps of one clip.

    Returns:
      Of each modality that is read, [N, *grid] float16: what each latent gives to each
      of its elements, the mean of all heads; and "label_query" [N]: what the label's
      query gives to each latent.
    """
    modalities = input_modalities(config.model, config.data.num_classes)
    found = clip_attention.by_modality(modalities, maps[drawing.ENCODER][0])
    decoder = np.asarray(maps[drawing.DECODER])[0].mean(0)
    return found | {"label_query": decoder[0].astype("f2")}


def draw(
    video: np.ndarray, audio: np.ndarray, maps: Mapping[str, np.ndarray]
) -> Figure:
    """Draws a clip, and below it where some latents look; see clip_attention.draw."""
    senses: dict[str, clip_attention.Sense] = {
        "video": clip_attention.Frames(video),
        "audio": clip_attention.Wave(audio),
    }
    return clip_attention.draw(senses, maps)
