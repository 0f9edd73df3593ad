r"""Converts weights of others to a checkpoint of ours, and ours to Hugging Face.

    python -m scripts.convert_pretrained --model=imagenet_fourier --out=DIR \
        --from=imagenet_fourier_position_encoding.pystate
    python -m scripts.convert_pretrained --from=HUGGING_FACE_FOLDER --out=DIR
    python -m scripts.convert_pretrained --from=WORKDIR --to=huggingface --out=FOLDER

--from is one of DeepMind's released files (a pickle, read without running anything in
it, or the same arrays as .npz), a Hugging Face folder (config.json and
model.safetensors), or with --to=huggingface a workdir or checkpoint of ours. The
checkpoint says where it comes from and can be used wherever one trained here can. For
weights of another size than the released ones, say so: --config.model.num_latents=64.

Models are those of experiments/<task>/released.py.
"""

import functools
import importlib
import json
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from absl import app, flags
from ml_collections import config_dict

from experiments import build, program, released, restore
from perceiver_jax.engine import writer
from perceiver_jax.engine.checkpoints import checkpoint, description
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Identity
from perceiver_jax.pretrained import (
    files,
    huggingface,
    huggingface_config,
    reading,
    rules,
)
from perceiver_jax.pretrained.released import Released

logger = logging.getLogger(__name__)

MODELS = released.find()
# Computed in float32, as the released weights were tested; see experiments.predict.
PRECISION = "params=float32,compute=float32,output=float32"

_FROM = flags.DEFINE_string("from", None, "File, Hugging Face folder, or workdir.")
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "What a file's weights are of.")
_OUT = flags.DEFINE_string("out", None, "Folder to make.")
_TO = flags.DEFINE_enum(
    "to", "checkpoint", ["checkpoint", "huggingface"], "What to make of it."
)


def load_config() -> config_dict.ConfigDict | None:
    """Returns the config of what --from holds, before overrides.

    None where there is none to override: to export, the checkpoint has its own.
    """
    if not _FROM.value or _TO.value == "huggingface":
        return None
    return config_of(pathlib.Path(_FROM.value), _MODEL.value)


def released_config(model: Released) -> config_dict.ConfigDict:
    """Returns our config of a released model."""
    file, _, variant = model.config.partition(":")
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    return module.get_config(variant)


def config_of(source: pathlib.Path, name: str | None) -> config_dict.ConfigDict:
    """Returns our config of a file of weights or a Hugging Face folder.

    Raises:
      FileNotFoundError, ValueError: as reading.identify; or config.json has values
        that no released model has.
    """
    model, theirs = reading.identify(source, MODELS, name)
    config = released_config(model)
    config.precision = PRECISION
    if theirs is None:
        return config
    path = source / "config.json"
    try:
        fields = huggingface_config.from_config(theirs, model)
    except ValueError as error:
        raise ValueError(f"{path} has {error}") from error
    try:
        config.update_from_flattened_dict(fields)
    except TypeError as error:
        raise ValueError(f"{path} does not fit {model.config}: {error}") from error
    return config


def expected_shapes(config: config_dict.ConfigDict) -> dict[str, dict]:
    """Returns {"params": {path: shape}, "model_state": ...} of the config's model."""
    model = build.make_model(config)
    forward = make_forward(model.forward, parse_policy(config.precision))
    init = functools.partial(forward.init, is_training=True)
    params, state = jax.eval_shape(init, jax.random.key(0), model.batch(1))
    return {"params": rules.shapes(params), "model_state": rules.shapes(state)}


def class_names(
    model: Released, theirs: Mapping[str, Any] | None, config: config_dict.ConfigDict
) -> dict[str, Sequence[str]]:
    """Returns the names of a model's classes by output, none where nobody says them."""
    if model.classes is None:
        return {}
    output, field, names = model.classes
    if theirs is not None:
        names = huggingface_config.class_names(theirs)
    return {output: names} if len(names) == config.data[field] else {}


# The two directions.


def to_checkpoint(
    source: pathlib.Path,
    config: config_dict.ConfigDict,
    out: pathlib.Path,
    name: str | None = None,
) -> None:
    """Writes a checkpoint that programs take as --workdir.

    Args:
      source: a file of weights or a Hugging Face folder.
      config: of the checkpoint: `config_of` the same, perhaps with other sizes.
      out: the folder to make.
      name: one of MODELS; a folder says so itself.

    Raises:
      FileNotFoundError, ValueError: as identify and read of perceiver_jax/pretrained;
        or something is in the way. Nothing is written then.
    """
    _check_free(out)
    model, theirs = reading.identify(source, MODELS, name)
    arrays, about_source = reading.read(source, model)
    expected = expected_shapes(config)
    wanted = expected["params"] | expected["model_state"]
    rules.check_shapes(arrays, wanted, str(source))
    variables = {
        kind: rules.unflatten({path: arrays[path] for path in shapes})
        for kind, shapes in expected.items()
    }
    names = class_names(model, theirs, config)
    identity = Identity(model.vocabulary, names)
    about = description.describe(config.task, identity, json.loads(config.to_json()))
    checkpoints = checkpoint.Checkpoints(out)
    checkpoints.save(0, variables, None, about | {"source": about_source})
    checkpoints.close()
    count = sum(x.size for x in rules.flatten(variables["params"]).values())
    print(f"{out}: {model.name}, {count:,} parameters in {len(arrays)} arrays")


def to_huggingface(
    source: pathlib.Path, out: pathlib.Path, step: str = "latest"
) -> None:
    """Writes a folder that transformers' from_pretrained loads.

    Args:
      source: a workdir or checkpoint of ours.
      out: the folder to make.
      step: of a workdir: "latest", "best" or a number.

    Raises:
      FileNotFoundError: there is no such checkpoint.
      ValueError: transformers has no such model; or something is in the way.
    """
    _check_free(out)
    variables, about, folder = checkpoint.load_variables(source, step)
    config = config_dict.ConfigDict(restore.tuples(about["config"]))
    model = released.like(config)
    arrays = {
        path: x
        for tree in variables.values()
        for path, x in rules.flatten(tree).items()
    }
    theirs, differs = huggingface_config.to_config(
        model,
        config.model.to_dict(),
        arrays["encoder/cross_attention/input_norm/scale"].shape[-1],
        *_classes_of(model, config, about),
    )
    for field in differs:
        logger.warning(
            "model.%s=%s: Hugging Face's code computes something else there, so its "
            "numbers will differ (see perceiver_jax/pretrained/huggingface_config.py).",
            field,
            config.model[field],
        )
    out.mkdir(parents=True, exist_ok=True)
    state = huggingface.to_arrays(arrays, model.huggingface.rules)
    metadata = {"format": "pt", "source": str(folder)}
    safetensors.numpy.save_file(
        {path: np.asarray(x, order="C") for path, x in state.items()},
        out / files.SAFETENSORS,
        metadata,
    )
    (out / "config.json").write_text(json.dumps(theirs, indent=2) + "\n")
    print(f"{out}: {model.huggingface.architecture}, {len(state)} arrays")


def _classes_of(
    model: Released, config: config_dict.ConfigDict, about: Mapping[str, Any]
) -> tuple[int, Sequence[str]]:
    """The number of a checkpoint's classes, and their names where it has them."""
    if model.classes is None:
        return 0, ()
    output, field, _ = model.classes
    names = description.identity_of(about).class_names.get(output, ())
    return config.data[field], names


def _check_free(out: pathlib.Path) -> None:
    """Raises ValueError unless nothing is lost by writing into a folder."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out={out} is a file: name a folder to make.")
    for name in ("checkpoints", "config.json", files.SAFETENSORS):
        if (out / name).exists():
            raise ValueError(f"{out} has {name} already: choose another --out.")


def parse(argv: Sequence[str]) -> list[str]:
    """Parses flags, and those of the config that --from has."""
    writer.log_to_console()
    rest, _ = restore.parse_flags(argv, load_config)
    return rest


def main(argv: Sequence[str]) -> None:
    """Converts."""
    del argv
    if not _FROM.value or not _OUT.value:
        raise app.UsageError("Say --from=WHAT and --out=FOLDER.")
    source, out = pathlib.Path(_FROM.value), pathlib.Path(_OUT.value)
    if _TO.value == "huggingface":
        if _MODEL.value:
            raise app.UsageError("--model is for files: a checkpoint says what it is.")
        to_huggingface(source, out, restore.STEP.value)
    else:
        to_checkpoint(source, flags.FLAGS["config"].value, out, _MODEL.value)


if __name__ == "__main__":
    program.in_help(restore.STEP.name)
    program.run(main, parse)
