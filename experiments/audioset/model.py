"""The classifier of clips that a config's `model` describes."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.audioset.fields import check_inputs
from experiments.audioset.outputs import measure
from experiments.model_parts import classify
from perceiver_jax.data.audio.spectrogram import MelSpectrogram
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model.adapters.modalities import Modality, ModalityInputs


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of a config of configs/audioset.py.

    Raises:
      ValueError: sizes that patches or windows don't divide, or no inputs.
    """
    data, model = config.data, config.model
    check_inputs(model.inputs)
    if "mel" in model.inputs:
        make_spectrogram(config)  # a size that can't be is named before data is read
    modalities = input_modalities(model)
    example = {"labels": jax.ShapeDtypeStruct((data.num_classes,), np.float32)}
    for modality in modalities:
        name = modality.name
        dtype = np.uint8 if name == "video" else np.float32
        shape = (*modality.shape, modality.channels)
        example[name] = jax.ShapeDtypeStruct(shape, dtype)
        example[f"{name}_known"] = jax.ShapeDtypeStruct((), np.int32)
    return Model(
        forward=Forward(model, modalities, data.num_classes),
        example=example,
        metrics=measure,
    )


def input_modalities(model: config_dict.ConfigDict) -> tuple[Modality, ...]:
    """Returns what is read of a clip, in the order of model.inputs."""
    video = (model.num_frames, *model.image_size)
    samples = (model.num_frames * model.samples_per_frame,)
    # A spectrogram is a sequence too, window after window.
    mel = (model.mel_windows * model.mel_bins,)
    sizes = {
        "video": (video, 3, tuple(model.video_patch), model.video_bands),
        "audio": (samples, 1, (model.audio_patch,), model.audio_bands),
        "mel": (mel, 1, (model.mel_patch,), model.mel_bands),
    }
    return tuple(_modality(name, *sizes[name]) for name in model.inputs)


def _modality(
    name: str, shape: tuple[int, ...], channels: int, patch: tuple[int, ...], bands: int
) -> Modality:
    # The last band just tells neighbouring elements apart; the papers do not say.
    grid = tuple(n // size for n, size in zip(shape, patch))
    return Modality(name, shape, channels, patch, bands, grid)


def make_spectrogram(config: config_dict.ConfigDict) -> MelSpectrogram:
    """Returns what makes the spectrogram of a clip's sound."""
    model = config.model
    return MelSpectrogram(
        config.data.frames_per_second * model.samples_per_frame,
        model.num_frames * model.samples_per_frame,
        model.mel_windows,
        model.mel_bins,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config: (batch, is_training) -> logits.

    Attributes:
      model: the config's.
      modalities: what is read.
      num_classes: how many logits.
    """

    model: config_dict.ConfigDict
    modalities: Sequence[Modality]
    num_classes: int

    def __call__(self, batch: Batch, is_training: bool) -> jax.Array:
        """Maps `NAME` [B, *shape, channels] of each modality to [B, classes].

        `NAME_known` [B] says how much there is, see Modality.known: what is not there
        is not attended to.
        """
        arrays = {m.name: batch[m.name] for m in self.modalities}
        if "video" in arrays:
            pixels = jnp.asarray(arrays["video"]).astype(jnp.float32)
            arrays["video"] = pixels / 127.5 - 1  # from -1 to 1, as sound is
        known = {m.name: batch[f"{m.name}_known"] for m in self.modalities}
        inputs = ModalityInputs(self.modalities)(arrays, known=known)
        return classify(
            self.model,
            inputs.array,
            self.num_classes,
            self.model.query_channels,
            inputs.mask,
            is_training,
        )
