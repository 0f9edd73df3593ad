"""What is to be known of a released model: a row for each, in its task's folder."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from perceiver_jax.pretrained.rules import Rule

Batch = Mapping[str, np.ndarray]


def _same(value: Any, model: Mapping[str, Any] | None = None) -> Any:
    del model
    return value


class Field(NamedTuple):
    """One number in our config and in Hugging Face's config.json.

    Attributes:
      ours: "model.FIELD" or "data.FIELD".
      theirs: the field of config.json.
      to_ours: their value to ours.
      to_theirs: our value, and all of our config's `model`, to theirs.
    """

    ours: str
    theirs: str
    to_ours: Callable[[Any], Any] = _same
    to_theirs: Callable[[Any, Mapping[str, Any]], Any] = _same


@dataclasses.dataclass(frozen=True)
class HuggingFace:
    """A class of Hugging Face's transformers.

    Attributes:
      architecture: name of the class.
      rules: which array of ours is which of theirs.
      fixed: fields of our `model` whose value stands in the code of the class. A model
        with another value has no counterpart there.
      numbers: the same, where another value needs the same arrays and only computes
        other numbers with them.
      sizes: fields beside those that all classes have.
    """

    architecture: str
    rules: Sequence[Rule]
    fixed: Mapping[str, Any]
    numbers: Mapping[str, Any]
    sizes: Sequence[Field] = ()


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How scripts/compare_huggingface.py runs the class with small random weights.

    Attributes:
      settings: of transformers' PerceiverConfig, beside those of the script.
      arguments: our batch -> the arguments of their model, by name.
      prepare: a random batch -> ours to compare with.
      outputs: their outputs -> arrays such as our outputs.
      training: flags of experiments.train for a run of some seconds, to be exported;
        none where the other direction is enough.
    """

    settings: Mapping[str, Any]
    arguments: Callable[[Batch], Mapping[str, Any]]
    prepare: Callable[[Batch], Batch] = _same
    outputs: Callable[[Any], Any] = _same
    training: Sequence[str] = ()


class Classes(NamedTuple):
    """The classes of a classifier.

    Attributes:
      output: what checkpoints call its one output with classes.
      field: of our config's `data`, with the number of classes.
      names: of the classes of DeepMind's file, in order.
    """

    output: str
    field: str
    names: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Released:
    """A released model.

    Attributes:
      name: as --model of scripts/convert_pretrained.py names it.
      config: our config of it, such as "configs/imagenet.py:fourier".
      file: its name where DeepMind put it.
      deepmind: which array of ours is which of that file.
      huggingface: the same model in transformers.
      comparison: of the two.
      mark: fields of our `model` that tell it from the others of its task.
      vocabulary: what tokens stand for, where inputs are tokens: the tokenizer's name.
      classes: what outputs stand for, of a classifier.
    """

    name: str
    config: str
    file: str
    deepmind: Sequence[Rule]
    huggingface: HuggingFace
    comparison: Comparison
    mark: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    vocabulary: str = ""
    classes: Classes | None = None
