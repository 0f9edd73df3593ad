"""Conversion as a program and by its functions, on small files in the true formats."""

import functools
import json
import pathlib
import shutil

import numpy as np
import oracles
import programs
import pytest
import safetensors.numpy

from configs import glue
from experiments.imagenet import class_names
from perceiver_jax.engine.checkpoints import checkpoint, description, named_arrays
from perceiver_jax.engine.task import Identity
from perceiver_jax.pretrained import files, rules
from scripts import convert_pretrained

HUGGINGFACE = oracles.DATA / "huggingface"


def convert(*flags, fails=False):
    return programs.run("scripts.convert_pretrained", *flags, fails=fails)


def convert_here(source, out, name=None, **fields):
    """Converts without a process of its own, and returns what the checkpoint says."""
    config = convert_pretrained.config_of(source, name)
    config.update_from_flattened_dict(fields)
    convert_pretrained.to_checkpoint(source, config, out, name)
    return checkpoint.load_variables(out)[1]


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """The workdir of a converted model of bytes."""
    workdir = tmp_path_factory.mktemp("converted") / "mlm"
    convert_here(HUGGINGFACE / "mlm", workdir)
    return workdir


@pytest.fixture
def folder(tmp_path):
    """A copy of a Hugging Face folder, to damage."""
    return shutil.copytree(HUGGINGFACE / "imagenet_fourier", tmp_path / "folder")


def change_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


# What comes out.


def test_converted_checkpoint_says_what_it_is(text_model):
    _, about, folder = checkpoint.load_variables(text_model)
    source = about["source"]
    path = HUGGINGFACE / "mlm" / "model.safetensors"
    assert source["sha256"] == files.sha256(path)
    assert source["format"] == "Hugging Face"
    assert about["config"]["model"]["mask_queries"] is False
    assert about["config"]["model"]["gelu"] == "exact"
    assert about["vocabulary"] == "bytes" and about["class_names"] == {}


def test_deepmind_file_to_checkpoint_to_huggingface_and_back(tmp_path):
    fields = [f"--config.{k}={v}" for k, v in oracles.small_fields("byte_mlm").items()]
    path = oracles.DATA / "mlm.npz"
    ours = tmp_path / "ours"
    convert(f"--from={path}", "--model=byte_mlm", f"--out={ours}", *fields)
    variables, about, _ = checkpoint.load_variables(ours)
    assert about["source"]["licence"].startswith("CC-BY-4.0")
    assert about["source"]["url"].endswith("language_perceiver_io_bytes.pickle")
    # Hugging Face's code has 8 decoder heads of 32 channels, this small model not.
    done = convert(
        f"--from={ours}", "--to=huggingface", f"--out={tmp_path / 'no'}", fails=True
    )
    assert "num_decoder_heads=4 (there: 8)" in done.stderr
    assert "train with" in done.stderr
    assert not (tmp_path / "no").exists()
    done = convert(f"--from={path}", "--model=byte_mlm", f"--out={ours}", fails=True)
    assert "has checkpoints already" in done.stderr


def test_folder_comes_back_from_huggingface_the_same(text_model, tmp_path):
    convert_pretrained.to_huggingface(text_model, tmp_path)
    found, expected = (
        safetensors.numpy.load_file(folder / "model.safetensors")
        for folder in (tmp_path, HUGGINGFACE / "mlm")
    )
    oracles.assert_same(found, expected)


def test_training_can_start_from_a_converted_model(trained_digits, tmp_path):
    out = tmp_path / "folder"
    convert(f"--from={trained_digits}", "--to=huggingface", f"--out={out}")
    convert(f"--from={out}", f"--out={tmp_path / 'converted'}")
    variables, about, _ = checkpoint.load_variables(trained_digits)
    back, about_back, _ = checkpoint.load_variables(tmp_path / "converted")
    found, expected = named_arrays.leaves(back), named_arrays.leaves(variables)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])
    assert about_back["config"]["model"]["gelu"] == "tanh"
    done = programs.run(
        "experiments.train",
        *programs.RUN,
        f"--workdir={tmp_path / 'next'}",
        f"--config.init_from={tmp_path / 'converted'}",
    )
    assert f"init_from: {len(expected)} params loaded" in done.stderr + done.stdout


def test_batch_norm_comes_back_from_huggingface_the_same(tmp_path):
    model = convert_pretrained.MODELS["imagenet_conv"]
    config = convert_pretrained.released_config(model)
    config.model.num_latents = config.model.num_self_heads = 2
    config.model.latent_channels = 8
    config.model.num_blocks = config.model.layers_per_block = 1
    config.data.num_classes = 3
    rng = np.random.default_rng(0)
    arrays = {}
    for of_kind in convert_pretrained.expected_shapes(config).values():
        for path, shape in of_kind.items():
            arrays[path] = rng.normal(size=shape).astype(np.float32)
    for path in arrays:
        if path.endswith("counter"):
            arrays[path] = np.int32(1000)  # the average is settled
        if path.endswith("hidden"):
            arrays[path] = arrays[path.replace("hidden", "average")]
    save(tmp_path / "ours", config, arrays)
    convert_pretrained.to_huggingface(tmp_path / "ours", tmp_path / "there")
    state = safetensors.numpy.load_file(tmp_path / "there" / "model.safetensors")
    (count,) = [x for name, x in state.items() if name.endswith("batches_tracked")]
    assert count.shape == () and count == 1000
    convert_here(tmp_path / "there", tmp_path / "back")
    back, _, _ = checkpoint.load_variables(tmp_path / "back")
    found = {
        k: np.asarray(x)
        for part in back.values()
        for k, x in rules.flatten(part).items()
    }
    oracles.assert_same(found, {k: np.asarray(x) for k, x in arrays.items()})


def save(workdir, config, arrays):
    """A checkpoint of arrays by path."""
    variables = {
        kind: rules.unflatten({path: arrays[path] for path in shapes})
        for kind, shapes in convert_pretrained.expected_shapes(config).items()
    }
    about = description.describe(config.task, Identity(), json.loads(config.to_json()))
    checkpoints = checkpoint.Checkpoints(workdir)
    checkpoints.save(0, variables, None, about)
    checkpoints.close()


# Names of classes.


def test_imagenet_s_thousand_classes_have_their_names(tmp_path):
    arrays = dict(np.load(oracles.DATA / "imagenet_fourier.npz"))
    output = "params/classification_decoder/~/basic_decoder/output"
    arrays[f"{output}|w"] = np.zeros((32, 1000), np.float32)
    arrays[f"{output}|b"] = np.zeros(1000, np.float32)
    np.savez(tmp_path / "x.npz", **arrays)
    fields = oracles.small_fields("imagenet_fourier") | {"data.num_classes": 1000}
    name = "imagenet_fourier"
    about = convert_here(tmp_path / "x.npz", tmp_path / "ours", name, **fields)
    assert tuple(about["class_names"]["classes"]) == class_names.imagenet_names()


def test_names_of_classes_come_from_huggingface_and_go_back(folder, tmp_path):
    numbered = convert_here(folder, tmp_path / "numbered")
    assert numbered["class_names"] == {}  # LABEL_0 is no name
    names = ["owl", "cat", "dog", "hen", "cow", "fox", "bee"]
    change_config(folder, id2label={str(i): name for i, name in enumerate(names)})
    about = convert_here(folder, tmp_path / "named")
    assert about["class_names"] == {"classes": names}
    for workdir, expected in (
        ("named", names),
        ("numbered", [f"LABEL_{i}" for i in range(7)]),
    ):
        out = tmp_path / f"{workdir}_out"
        convert_pretrained.to_huggingface(tmp_path / workdir, out)
        found = json.loads((out / "config.json").read_text())
        assert list(found["id2label"].values()) == expected
        assert found["label2id"] == {name: i for i, name in enumerate(expected)}


# What is refused, before anything is written.


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("nowhere.pystate", "byte_mlm", "no file nowhere.pystate"),
        ("nowhere", None, "no file nowhere, nor a folder"),
        (oracles.DATA / "mlm.npz", None, "--model=NAME, one of imagenet_fourier"),
        (oracles.DATA, None, "no config.json"),
        (
            oracles.DATA / "mlm.npz",
            "optical_flow",
            "(?s)mlm.npz is not of optical_flow.*another --model.*not of this model",
        ),
        (
            oracles.DATA / "mlm.npz",
            "byte_mlm",
            r"(?s)another model.*encoder/latents: \(8, 32\) in the file, \(256, 1280\)",
        ),
        (HUGGINGFACE / "mlm", "optical_flow", "is of byte_mlm, not of --model=optical"),
    ],
)
def test_what_can_not_be_converted_leaves_nothing(tmp_path, source, name, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        convert_here(pathlib.Path(source), tmp_path / "out", name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"architectures": ["Perc', "config.json is damaged or truncated"),
        ("[]", "config.json holds a list"),
        ('{"model_type": "bert"}', "config.json has architectures=None"),
        (
            '{"architectures": ["PerceiverForMaskedLM"]}',
            "config.json has no field cross_attention_widening_factor, ",
        ),
    ],
)
def test_damaged_configs_are_named(folder, tmp_path, content, message):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        convert_here(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_latents": "six"}, "config.json has num_latents='six', which is no size"),
        ({"num_blocks": 0.5}, "config.json has num_blocks=0.5, which is no size"),
        ({"id2label": ["cat"]}, "config.json has id2label"),
        ({"id2label": None}, r"(?s)--config.data.num_classes.*\(7,\) in the file"),
        ({"num_blocks": 2, "d_latents": 64}, r"(?s)another model.*\(6, 32\) in the"),
    ],
)
def test_configs_that_do_not_fit_the_arrays_are_told(folder, tmp_path, fields, message):
    change_config(folder, **fields)
    with pytest.raises(ValueError, match=message):
        convert_here(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_truncated_weights_are_named(folder, tmp_path):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="model.safetensors is damaged or truncated"):
        convert_here(folder, tmp_path / "out")
    path.rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="in several files"):
        convert_here(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_that_is_there_is_overwritten(text_model, tmp_path):
    taken = tmp_path / "file"
    taken.write_text("mine")
    for to in (
        functools.partial(convert_here, HUGGINGFACE / "mlm"),
        functools.partial(convert_pretrained.to_huggingface, text_model),
    ):
        with pytest.raises(ValueError, match="--out=.*file is a file"):
            to(taken)
        with pytest.raises(ValueError, match="mlm has checkpoints already"):
            to(text_model)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="has config.json already"):
        convert_pretrained.to_huggingface(text_model, tmp_path)
    assert taken.read_text() == "mine"


def test_missing_and_misshapen_arrays_are_all_named(tmp_path):
    arrays = dict(np.load(oracles.DATA / "mlm.npz"))
    del arrays["params/embedding_decoder|bias"]
    arrays["params/embed|embeddings"] = np.zeros((7, 24), np.float32)
    np.savez(tmp_path / "x.npz", **arrays)
    fields = oracles.small_fields("byte_mlm")
    with pytest.raises(ValueError, match="2 arrays differ") as error:
        convert_here(tmp_path / "x.npz", tmp_path / "out", "byte_mlm", **fields)
    assert "text_embedding/output_bias: missing, of shape (262,)" in str(error.value)
    assert "text_embedding/embeddings: (7, 24) in the file" in str(error.value)


def test_nan_inside_is_refused(tmp_path):
    arrays = dict(np.load(oracles.DATA / "optical_flow.npz"))
    path = "params/image_preprocessor/patches_linear|w"
    arrays[path] = np.where(np.arange(64) == 3, np.nan, arrays[path])
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=r"1 arrays hold NaN(?s:.*)patches_linear/w"):
        convert_here(tmp_path / "x.npz", tmp_path / "out", "optical_flow")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Say --from=WHAT and --out=FOLDER"),
        (["--from=x", "--out=y", "--to=huggingface", "stray"], "Unexpected: stray"),
        (["--from=nowhere", "--out=y", "--to=huggingface"], "No checkpoints in "),
        (
            ["--from=x", "--out=y", "--to=huggingface", "--model=byte_mlm"],
            "--model is for files",
        ),
        (["--from=x", "--out=y", "--model=none"], "imagenet_fourier"),
    ],
)
def test_flags_that_say_too_little_or_too_much(flags, message):
    done = convert(*flags, fails=True)
    assert message in done.stdout + done.stderr


def test_models_without_a_counterpart_can_not_be_exported(tmp_path):
    config = glue.get_config("cola")
    about = description.describe(config.task, Identity(), json.loads(config.to_json()))
    checkpoints = checkpoint.Checkpoints(tmp_path / "glue")
    checkpoints.save(0, {"params": {"a": {"w": np.ones(2, np.float32)}}}, None, about)
    checkpoints.close()
    with pytest.raises(ValueError, match="task='glue'.*configs/imagenet.py:fourier"):
        convert_pretrained.to_huggingface(tmp_path / "glue", tmp_path / "out")
    assert not (tmp_path / "out").exists()
