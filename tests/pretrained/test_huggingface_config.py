"""Hugging Face's config.json: read, written, and refused."""

import json

import oracles
import pytest

from perceiver_jax.pretrained import huggingface_config
from scripts.convert_pretrained import MODELS, released_config

FOURIER, LEARNED = MODELS["imagenet_fourier"], MODELS["imagenet_learned"]


def their_config(name):
    path = oracles.DATA / "huggingface" / name / "config.json"
    return json.loads(path.read_text())


def read(theirs):
    model = huggingface_config.identify(theirs, MODELS.values())
    return huggingface_config.from_config(theirs, model)


def test_sizes_are_read_and_what_stands_in_their_code_is_known():
    fields = read(their_config("imagenet_fourier"))
    assert fields["model.num_latents"] == 6 and fields["model.latent_channels"] == 32
    assert fields["model.qk_channels"] == 0  # null there: as wide as the input
    assert fields["model.gelu"] == "exact"
    assert fields["model.num_bands"] == 64
    assert fields["data.num_classes"] == 7
    assert read(their_config("mlm"))["model.mask_queries"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["BertModel"]}, "BertModel.*known here: PerceiverFor"),
        ({"architectures": "PerceiverForMaskedLM"}, "architectures=Perceiver"),
        ({"architectures": []}, r"architectures=\[\]"),
        ({"architectures": None}, "architectures=None"),
        ({"hidden_act": "relu"}, "relu"),
        ({"cross_attention_shape_for_attention": "q"}, "kv"),
        ({"use_query_residual": False}, "use_query_residual"),
    ],
)
def test_configs_of_other_models_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        read(their_config("mlm") | change)


@pytest.mark.parametrize("field", ["num_latents", "d_model", "vocab_size"])
def test_fields_that_are_missing_are_named(field):
    theirs = their_config("mlm")
    del theirs[field]
    with pytest.raises(ValueError, match=f"no field {field}"):
        read(theirs)


def test_sizes_of_another_type_are_named():
    with pytest.raises(ValueError, match="train_size=5, which is no size"):
        read(their_config("optical_flow") | {"train_size": 5})


@pytest.mark.parametrize(
    ("labels", "number"),
    [
        ({}, 2),  # transformers' own default, which it does not write
        ({"num_labels": 5}, 5),
        ({"id2label": {"1": "dog", "0": "cat", "2": "owl"}}, 3),
    ],
)
def test_number_of_classes(labels, number):
    theirs = their_config("imagenet_fourier")
    del theirs["id2label"]
    assert read(theirs | labels)["data.num_classes"] == number


@pytest.mark.parametrize(
    "labels",
    [
        {"num_labels": "many", "id2label": None},
        {"id2label": ["cat", "dog"]},
        {"id2label": {"0": "cat", "7": "dog"}},
    ],
)
def test_classes_that_can_not_be_counted_are_refused(labels):
    with pytest.raises(ValueError, match=r"num_labels='many'|id2label must name every"):
        read(their_config("imagenet_fourier") | labels)


def test_names_of_classes_where_they_are_names():
    assert huggingface_config.class_names(their_config("imagenet_fourier")) == []
    names = {"1": "dog", "0": "cat"}
    assert huggingface_config.class_names({"id2label": names}) == ["cat", "dog"]


def test_fields_that_huggingface_can_not_have_are_named_with_what_it_has():
    model = released_config(FOURIER).model
    model.num_bands = 4
    model.permute = True
    with pytest.raises(ValueError) as error:
        huggingface_config.to_config(FOURIER, model.to_dict(), 21, 10)
    message = str(error.value)
    assert "num_bands=4 (there: 64)" in message and "permute=True" in message
    assert "Only configs/imagenet.py:fourier" in message and "num_latents" in message
    assert "train with --config.model.permute=False" in message
    assert "--config.model.num_bands=64" in message


def test_export_says_where_numbers_will_differ():
    model = released_config(LEARNED).model
    theirs, differs = huggingface_config.to_config(LEARNED, model.to_dict(), 512, 10)
    assert differs == ["decoder_query_residual"]
    assert theirs["hidden_act"] == "gelu_pytorch_tanh"
    assert theirs["image_size"] == 224 and theirs["d_model"] == 512
    fields = huggingface_config.from_config(theirs | {"image_size": 48}, LEARNED)
    assert fields["data.image_size"] == fields["model.max_resolution"] == (48, 48)


def test_names_of_classes_are_written_and_numbers_where_there_are_none():
    model = released_config(FOURIER).model.to_dict()
    theirs, _ = huggingface_config.to_config(FOURIER, model, 261, 2, ("cat", "dog"))
    assert theirs["id2label"] == {"0": "cat", "1": "dog"}
    assert theirs["label2id"] == {"cat": 0, "dog": 1}
    theirs, _ = huggingface_config.to_config(FOURIER, model, 261, 2)
    assert theirs["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}
