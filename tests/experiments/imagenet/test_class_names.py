"""ImageNet's names, beside the ids that TFDS has and what everybody knows."""

import collections

import pytest
import tensorflow_datasets as tfds

from experiments.imagenet import class_names

KNOWN = {
    0: "tench, Tinca tinca",
    1: "goldfish, Carassius auratus",
    134: "crane",  # the bird
    207: "golden retriever",
    281: "tabby, tabby cat",
    285: "Egyptian cat",
    388: "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca",
    517: "crane",  # the machine
    817: "sports car, sport car",
    999: "toilet tissue, toilet paper, bathroom tissue",
}


def test_a_thousand_names_in_the_order_of_the_classes():
    names = class_names.imagenet_names()
    assert len(names) == 1000
    assert {index: names[index] for index in KNOWN} == KNOWN
    twice = [name for name, n in collections.Counter(names).items() if n > 1]
    assert twice == ["crane"]


def test_ids_are_those_of_the_dataset():
    ids = tfds.core.tfds_path("datasets/imagenet2012/labels.txt").read_text().split()
    lines = class_names.FILE.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ids
    assert tuple(class_names.readable(ids)) == class_names.imagenet_names()


def test_only_ids_of_classes_are_made_readable():
    found = class_names.readable(["n02099601", "poodle", "n99999999", "7"])
    assert found == ["golden retriever", "poodle", "n99999999", "7"]


@pytest.mark.parametrize(
    ("name", "short"),
    [("tench, Tinca tinca", "tench"), ("sunglass", "sunglass"), ("7", "7")],
)
def test_drawings_have_the_first_word(name, short):
    assert class_names.shorten(name) == short


def test_the_licence_stands_beside_the_names():
    text = class_names.FILE.with_name("WORDNET_LICENSE").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text
    assert 'PROVIDED "AS IS"' in text
