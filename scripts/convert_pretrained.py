"""Converts weights of others to a checkpoint of ours, and ours to Hugging Face.

    python scripts/convert_pretrained.py --model=imagenet_fourier --out=DIR \
        --from=imagenet_fourier_position_encoding.pystate
    python scripts/convert_pretrained.py --from=HUGGING_FACE_FOLDER --out=DIR
    python scripts/convert_pretrained.py --from=WORKDIR --to=huggingface --out=FOLDER

--from is one of DeepMind's released files (a pickle, read without running anything in
it, or the same arrays as .npz), a Hugging Face folder (config.json and
model.safetensors), or with --to=huggingface a workdir or checkpoint of ours. The
checkpoint says where it comes from and can be used wherever one trained here can. For
weights of another size than the released ones, say so: --config.model.num_latents=64.
"""

import functools
import json
import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors.numpy
from absl import app, flags
from ml_collections import config_dict

from configs import imagenet, masked_lm, optical_flow
from experiments import build, restore
from perceiver_jax.engine import checkpoint, writer
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.pretrained import (
    deepmind,
    files,
    huggingface,
    huggingface_config,
    rules,
)

logger = logging.getLogger(__name__)


class Model(NamedTuple):
    """A model that was released: our config of it, and the tables of its arrays."""

    get_config: Callable[[], config_dict.ConfigDict]
    deepmind: Sequence[rules.Rule]
    huggingface: Sequence[rules.Rule]
    file: str  # where DeepMind put it


def _imagenet(variant: str, file: str) -> Model:
    return Model(
        lambda: imagenet.get_config(variant),
        deepmind.IMAGENET,
        huggingface.IMAGENET,
        file,
    )


MODELS = {
    "imagenet_fourier": _imagenet(
        "fourier", "imagenet_fourier_position_encoding.pystate"
    ),
    "imagenet_learned": _imagenet(
        "learned", "imagenet_learned_position_encoding.pystate"
    ),
    "imagenet_conv": _imagenet("conv", "imagenet_conv_preprocessing.pystate"),
    "byte_mlm": Model(
        functools.partial(masked_lm.get_config, "bytes"),
        deepmind.MASKED_LM,
        huggingface.MASKED_LM,
        "language_perceiver_io_bytes.pickle",
    ),
    "optical_flow": Model(
        functools.partial(optical_flow.get_config, "autoflow"),
        deepmind.OPTICAL_FLOW,
        huggingface.OPTICAL_FLOW,
        "optical_flow_checkpoint.pystate",
    ),
}
DEEPMIND_URL = "https://storage.googleapis.com/perceiver_io/"
# Computed in float32, as the released weights were tested; see experiments.predict.
PRECISION = "params=float32,compute=float32,output=float32"

_FROM = flags.DEFINE_string("from", None, "File, Hugging Face folder, or workdir.")
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "What a file's weights are of.")
_OUT = flags.DEFINE_string("out", None, "Folder to make.")
_TO = flags.DEFINE_enum(
    "to", "checkpoint", ["checkpoint", "huggingface"], "What to make of it."
)


def load_config() -> config_dict.ConfigDict | None:
    """Returns the config of what --from holds, before overrides."""
    if not _FROM.value or not _OUT.value:
        raise app.UsageError("Say --from=WHAT and --out=FOLDER.")
    if _TO.value == "huggingface":
        return None  # the checkpoint has its own
    return config_of(pathlib.Path(_FROM.value), _MODEL.value)


def config_of(source: pathlib.Path, name: str | None) -> config_dict.ConfigDict:
    """Returns our config of a file of weights or a Hugging Face folder.

    Args:
      source: what to convert.
      name: one of MODELS; a folder says so itself.

    Raises:
      ValueError: no name, or another one than the folder says.
    """
    fields: dict[str, Any] = {}
    if source.is_dir():
        found, fields = huggingface_config.from_config(_read_config(source))
        if name not in (None, found):
            raise ValueError(f"{source} is of {found}, not of --model={name}.")
        name = found
    if name is None:
        raise ValueError(f"Say --model=NAME, one of {', '.join(MODELS)}.")
    config = MODELS[name].get_config()
    config.precision = PRECISION
    config.update_from_flattened_dict(fields)
    return config


def _read_config(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no config.json: it is no Hugging Face folder. A workdir of "
            "ours is converted with --to=huggingface."
        )
    return json.loads(path.read_text())


def name_of(config: config_dict.ConfigDict) -> str:
    """Returns which released model a config is a relative of."""
    if config.task == "imagenet":
        stems = {"pixels": "fourier", "pointwise": "learned", "conv": "conv"}
        kind = stems.get(config.model.stem, config.model.stem)
        name = f"imagenet_{kind}"
    else:
        name = {"masked_lm": "byte_mlm"}.get(config.task, config.task)
    if name not in MODELS:
        raise ValueError(
            f"Hugging Face has no model like task='{config.task}' with this config; "
            f"known are {', '.join(MODELS)}."
        )
    return name


def expected_shapes(config: config_dict.ConfigDict) -> dict[str, dict]:
    """Returns {"params": {path: shape}, "model_state": ...} of the config's model."""
    predictor = build.make_predictor(config)
    forward = make_forward(predictor.forward, parse_policy(config.precision))
    params, state = jax.eval_shape(
        lambda: forward.init(jax.random.key(0), predictor.example, True)
    )
    return {"params": _shapes(params), "model_state": _shapes(state)}


def _shapes(tree: rules.Tree) -> dict[str, tuple[int, ...]]:
    return {
        f"{module}/{name}": tuple(x.shape)
        for module, arrays in tree.items()
        for name, x in arrays.items()
    }


def check_shapes(
    found: rules.Arrays, expected: Mapping[str, Mapping], where: str
) -> None:
    """Raises ValueError naming every array that is missing, too many or misshapen."""
    wanted = {**expected["params"], **expected["model_state"]}
    lines = []
    for path in sorted(wanted.keys() | found.keys()):
        if path not in found:
            lines.append(f"  {path}: missing, of shape {wanted[path]}")
        elif path not in wanted:
            lines.append(f"  {path}: not in the model, of shape {found[path].shape}")
        elif found[path].shape != wanted[path]:
            shape = found[path].shape
            lines.append(f"  {path}: {shape} in the file, {wanted[path]} in the model")
    if lines:
        raise ValueError(
            f"{where} holds another model than the config says. Choose another --model "
            f"or set --config.model fields. {len(lines)} arrays differ:\n"
            + "\n".join(lines)
        )


def read(
    source: pathlib.Path, config: config_dict.ConfigDict
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the arrays by our paths, and what the checkpoint says of its source.

    Raises:
      FileNotFoundError: there is nothing to read.
      ValueError: it is damaged, unsafe, not finite, or of another model.
    """
    model = MODELS[name_of(config)]
    if source.is_dir():
        path, form = source / "model.safetensors", "Hugging Face"
        theirs = files.read_safetensors(path)
        files.check_finite(theirs, path)
        arrays = huggingface.from_arrays(theirs, model.huggingface)
        about = {"licence": "see the model card of the folder"}
    else:
        path, form = source, "DeepMind"
        trees = files.read_deepmind(path)
        theirs = {
            k: x for tree in trees.values() for k, x in rules.flatten(tree).items()
        }
        files.check_finite(theirs, path)
        arrays = rules.to_ours(theirs, model.deepmind)
        about = {
            "licence": "CC-BY-4.0, where the file is DeepMind's",
            "url": DEEPMIND_URL + model.file,
        }
    return arrays, {
        "format": form,
        "file": str(path.absolute()),
        "sha256": files.sha256(path),
        **about,
    }


def to_checkpoint(
    source: pathlib.Path, config: config_dict.ConfigDict, out: pathlib.Path
) -> None:
    """Writes a checkpoint that programs take as --workdir."""
    if (out / "checkpoints").exists():
        raise ValueError(f"{out} has checkpoints already: choose another --out.")
    arrays, about_source = read(source, config)
    expected = expected_shapes(config)
    check_shapes(arrays, expected, str(source))
    vocabulary = build.make_predictor(config).vocabulary
    variables = {
        kind: rules.unflatten({path: arrays[path] for path in shapes})
        for kind, shapes in expected.items()
    }
    about = checkpoint.describe(
        config.task, None, json.loads(config.to_json()), "", vocabulary
    )
    checkpoints = checkpoint.Checkpoints(out)
    checkpoints.save(0, variables, None, about | {"source": about_source})
    checkpoints.close()
    count = sum(x.size for x in rules.flatten(variables["params"]).values())
    print(f"{out}: {name_of(config)}, {count:,} parameters in {len(arrays)} arrays")


def to_huggingface(source: pathlib.Path, out: pathlib.Path) -> None:
    """Writes a folder that transformers' from_pretrained loads."""
    variables, about, folder = checkpoint.load_variables(source, restore.STEP.value)
    config = config_dict.ConfigDict(about["config"])
    name = name_of(config)
    arrays = {
        path: x
        for tree in variables.values()
        for path, x in rules.flatten(tree).items()
    }
    channels = arrays["encoder/cross_attention/input_norm/scale"].shape[-1]
    num_classes = config.data.num_classes if config.task == "imagenet" else 0
    theirs, differs = huggingface_config.to_config(
        name, restore.tuples(config.model.to_dict()), num_classes, channels
    )
    for field in differs:
        logger.warning(
            "model.%s=%s: Hugging Face's code computes something else there, so its "
            "numbers will differ (see perceiver_jax/pretrained/huggingface_config.py).",
            field,
            config.model[field],
        )
    out.mkdir(parents=True, exist_ok=True)
    state = huggingface.to_arrays(arrays, MODELS[name].huggingface)
    metadata = {"format": "pt", "source": str(folder)}
    safetensors.numpy.save_file(
        {path: np.ascontiguousarray(x) for path, x in state.items()},
        out / "model.safetensors",
        metadata,
    )
    (out / "config.json").write_text(json.dumps(theirs, indent=2) + "\n")
    print(f"{out}: {huggingface_config.ARCHITECTURES[name]}, {len(state)} arrays")


def parse(argv: Sequence[str]) -> list[str]:
    """Parses flags, and those of the config that --from has."""
    writer.log_to_console()
    rest, _ = restore.parse_flags(argv, load_config)
    return rest


def main(argv: Sequence[str]) -> None:
    """Converts."""
    restore.no_arguments(argv[1:])
    source, out = pathlib.Path(_FROM.value or ""), pathlib.Path(_OUT.value or "")
    if _TO.value == "huggingface":
        to_huggingface(source, out)
    else:
        to_checkpoint(source, flags.FLAGS["config"].value, out)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
