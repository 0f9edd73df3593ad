"""Where latents look: over the frames of a clip, and over its sound."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from ml_collections import config_dict

from experiments import drawing
from experiments.video_autoencoding.model import input_modalities
from experiments.video_autoencoding.outputs import points_name
from perceiver_jax.engine.task import Batch
from perceiver_jax.model.adapters.modalities import slices

NUM_LATENTS = 6
NUM_FRAMES = 8


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
    encoder = np.asarray(maps[drawing.ENCODER])[0].mean(0)
    decoder = np.asarray(maps[drawing.DECODER])[0].mean(0)
    found = {
        modality.name: encoder[:, part].reshape(-1, *modality.grid).astype("f2")
        for modality, part in zip(modalities, slices(modalities).values())
    }
    return found | {"label_query": decoder[0].astype("f2")}


def draw(
    video: np.ndarray, audio: np.ndarray, maps: Mapping[str, np.ndarray]
) -> Figure:
    """Draws a clip, and below where some latents look.

    Args:
      video: [T, H, W, 3] uint8.
      audio: [samples, 1].
      maps: of `by_modality`.
    """
    frames, sound = (np.asarray(maps[name], np.float32) for name in ("video", "audio"))
    together = [x.reshape(len(x), -1) for x in (frames, sound)]
    latents = drawing.choose_latents(np.concatenate(together, 1)[None], NUM_LATENTS)
    figure, axes = plt.subplots(
        1 + len(latents),
        2,
        figsize=(14, 1.5 * (1 + len(latents))),
        width_ratios=(3, 1),
        layout="constrained",
    )
    axes[0, 0].imshow(_row(video), interpolation="nearest")
    axes[0, 1].plot(np.linspace(0, 1, len(audio)), audio[:, 0], linewidth=0.5)
    axes[0, 0].set_title("frames", fontsize=9, loc="left")
    axes[0, 1].set_title("sound", fontsize=9, loc="left")
    for (left, right), latent in zip(axes[1:], latents):
        left.imshow(_row(frames[latent]), cmap="magma", vmin=0)
        right.fill_between(np.linspace(0, 1, len(sound[latent])), sound[latent])
        shares = [x[latent].sum() for x in together]
        title = "latent {}: frames {:.0%}, sound {:.0%}".format(latent, *shares)
        left.set_title(title, fontsize=9, loc="left")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure


def _row(frames: np.ndarray) -> np.ndarray:
    """Lays some of the frames [T, h, w, ...] side by side."""
    shown = frames[:: -(-len(frames) // NUM_FRAMES)]
    return np.concatenate(list(shown), axis=1)
