"""The autoencoder of several modalities that a config's `model` describes."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.model_parts import make_bottleneck, make_decoder, make_perceiver
from experiments.video_autoencoding.outputs import Measure, points_name, to_floats
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import attention
from perceiver_jax.model.adapters.modalities import (
    Modality,
    ModalityInputs,
    ModalityQueries,
)

LABEL = "label"  # the modality that is hidden, and told as a class


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of a config of configs/video_autoencoding.py.

    Raises:
      ValueError: sizes that patches don't divide.
    """
    data, model = config.data, config.model
    inputs = input_modalities(model, data.num_classes)
    outputs = output_modalities(inputs)
    example = {
        "audio": jax.ShapeDtypeStruct(inputs[0].shape + (1,), np.float32),
        "video": jax.ShapeDtypeStruct(inputs[1].shape + (3,), np.uint8),
        LABEL: jax.ShapeDtypeStruct((data.num_classes,), np.float32),
        "audio_known": jax.ShapeDtypeStruct((), np.int32),
        "video_known": jax.ShapeDtypeStruct((), np.int32),
        f"{LABEL}_hidden": jax.ShapeDtypeStruct((), bool),
    }
    for name, count in data.points.items():
        if count:
            example[points_name(name)] = jax.ShapeDtypeStruct((count,), np.int32)
    return Model(
        forward=Forward(model, inputs, outputs),
        example=example,
        metrics=Measure(outputs, data.loss, dict(data.loss_weights)),
    )


def input_modalities(
    model: config_dict.ConfigDict, num_classes: int
) -> tuple[Modality, ...]:
    """Returns what is read of a clip: sound, a video and a label."""
    samples = model.num_frames * model.samples_per_frame
    return (
        Modality(
            name="audio",
            shape=(samples,),
            channels=1,
            patch=(model.audio_patch,),
            num_bands=model.audio_bands,
            max_resolution=(samples,),  # not patches: as released
        ),
        Modality(
            name="video",
            shape=(model.num_frames, *model.image_size),
            channels=3,
            patch=tuple(model.video_patch),
            num_bands=model.video_bands,
            max_resolution=(model.num_frames, *model.video_max_resolution),
        ),
        Modality(LABEL, shape=(), channels=num_classes),
    )


def output_modalities(inputs: Sequence[Modality]) -> tuple[Modality, ...]:
    """Returns what is asked for: the same, but of a video every pixel."""
    return tuple(
        dataclasses.replace(m, patch=(1, 1, 1)) if m.name == "video" else m
        for m in inputs
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config: (batch, is_training) -> outputs by modality.

    Attributes:
      model: the config's.
      inputs: what is read.
      outputs: what is asked for.
    """

    model: config_dict.ConfigDict
    inputs: Sequence[Modality]
    outputs: Sequence[Modality]

    def __call__(self, batch: Batch, is_training: bool) -> dict[str, jax.Array]:
        """Maps `NAME` [B, *shape, channels] of each modality to elements of each.

        Of a modality with `NAME_points` [B or 1, n] in the batch these are decoded, of
        others all, in chunks. Where `NAME_hidden` [B] is true, a learned embedding
        takes the place of what is there; `NAME_known` [B] says how much there is, see
        Modality.known.

        Returns:
          By modality, [B, n, channels of an element] float32.
        """
        model = self.model
        arrays = {m.name: to_floats(batch[m.name]) for m in self.inputs}
        inputs = ModalityInputs(self.inputs, hides=True)(
            arrays, _flags(batch, "hidden"), _flags(batch, "known")
        )
        decoder = make_decoder(model, model.decoder_channels)
        network = make_perceiver(model, decoder)
        latents = network.encode(inputs.array, inputs.mask, is_training)
        if model.code_channels:
            latents = make_bottleneck(model)(latents, is_training)
        queries = ModalityQueries(self.outputs, model.label_query_channels)
        found = {}
        for modality in self.outputs:
            project = attention.Projection(
                modality.element_channels, name=f"{modality.name}_output"
            )
            points = batch.get(points_name(modality.name))
            if points is None:
                points = jnp.arange(modality.num_elements)[None]

            def embed(points, modality=modality):
                return queries(modality, points).astype(latents.dtype)

            found[modality.name] = decoder(
                *(latents, points, None, is_training), embed=embed, finish=project
            )
        return found


def _flags(batch: Batch, word: str) -> dict[str, jax.Array]:
    """Returns the arrays NAME_word of a batch, by NAME."""
    return {
        name.removesuffix(f"_{word}"): x
        for name, x in batch.items()
        if name.endswith(f"_{word}")
    }


def coded_values(model: config_dict.ConfigDict) -> int:
    """Returns how many numbers the decoder gets of a clip."""
    return model.num_latents * (model.code_channels or model.latent_channels)
