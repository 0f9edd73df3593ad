"""Texts of GLUE and of one's own: from examples to batches."""

import json

import numpy as np
import pytest
import small_text

from experiments import build
from experiments.glue import data
from perceiver_jax.data.text import tokenizer


def test_both_formats_give_the_same_examples(tsv, tfds):
    def batches(source, folder):
        config = small_text.glue_config(**{"data.source": source, "data.dir": folder})
        config.data.tasks, config.data.num_classes = ("mnli", "stsb"), (3, 0)
        task = build.make_task(config)
        return {
            name: sorted(
                (int(index), label, tokens.tobytes())
                for batch in evaluation.batches()
                for mask, index, label, tokens in zip(
                    *(batch[k] for k in ("mask", "index", "label", "tokens"))
                )
                if mask
            )
            for name, evaluation in task.evaluations.items()
        }

    found = batches("tsv", tsv)
    assert sum(map(len, found.values())) == 15
    assert found == batches("tfds", tfds)


def test_texts_are_joined_and_begin_with_the_input_token(tsv):
    tokens = tokenizer.Bytes()
    example = {"texts": (b"ab", b"cde"), "label": None, "index": 7, "task": 1}
    for variant, prefix in (("multitask_query", ""), ("shared_token", "[CLS]")):
        encode = data.make_encode(small_text.glue_config(variant))
        found = encode(example)
        shown = "".join(map(tokens.show, found["tokens"][found["token_mask"]]))
        assert shown == f"{prefix}ab[SEP]cde"
        assert np.isnan(found["label"]) and found["index"] == 7 and found["task"] == 1


@pytest.mark.parametrize(
    ("lengths", "room", "expected"),
    [
        ((3, 4), 10, (3, 4)),
        ((3, 40), 10, (3, 7)),
        ((40, 3), 10, (7, 3)),
        ((40, 40), 11, (6, 5)),
        ((40,), 11, (11,)),
    ],
)
def test_the_longer_text_is_cut_first(lengths, room, expected):
    parts = [np.arange(length) for length in lengths]
    kept = data.shorten(parts, room)
    assert tuple(map(len, kept)) == expected
    for part, short in zip(parts, kept):
        np.testing.assert_array_equal(short, part[: len(short)])


def test_tasks_are_seen_as_often_as_they_have_examples(tmp_path):
    for name, count in (("small", 10), ("large", 30)):
        (tmp_path / name).mkdir()
        for split in ("train", "test"):
            rows = [{"text": f"{name} {n}", "label": n % 2} for n in range(count)]
            lines = "\n".join(map(json.dumps, rows))
            (tmp_path / name / f"{split}.jsonl").write_text(lines)
    config = small_text.glue_config(
        **{"data.source": "files", "data.dir": str(tmp_path)}
    )
    config.data.tasks, config.data.num_classes = ("small", "large"), (2, 2)
    config.data.held_out = "test"
    task = build.make_task(config)
    assert task.train.num_examples == 40
    epoch = [next(task.train.batches(step, 5))["task"] for step in range(5)]
    assert np.concatenate(epoch).sum() == 30  # of task 1, in 40 examples
    assert list(task.evaluations) == ["small", "large"]


def test_wrong_numbers_of_classes_are_refused_naming_the_flag(tsv):
    config = small_text.glue_config(**{"data.dir": tsv, "data.num_classes": (2,) * 8})
    with pytest.raises(ValueError) as error:
        build.make_task(config)
    assert str(error.value) == (
        "data.num_classes=(2, 2, 2, 2, 2, 2, 2, 2), but 'stsb' has a score and no "
        'classes: use --config.data.num_classes="(2, 2, 2, 2, 0, 3, 2, 2)".'
    )
    config = small_text.glue_config("mnli", **{"data.dir": tsv})
    config.data.num_classes = (7,)
    message = r"num_classes=\(7,\), but 'mnli' has 3 classes: use .*\"\(3,\)\"\."
    with pytest.raises(ValueError, match=message):
        build.make_task(config)
