"""The task of classifying texts, put together; configs that are refused."""

import jax
import numpy as np
import pytest
import small_text

from configs import glue as configs
from configs import text_classification
from experiments import build, launch, restore
from perceiver_jax.data.text import tokenizer


def test_the_model_s_example_is_one_of_training(tsv):
    task = build.make_task(small_text.glue_config(**{"data.dir": tsv}))
    batch = next(task.train.batches(0, 2))
    found = jax.tree.map(lambda x: (x.shape, np.dtype(x.dtype)), batch)
    shapes = task.model.batch(8)
    assert found == jax.tree.map(lambda x: (x.shape, np.dtype(x.dtype)), shapes)
    for evaluation in task.evaluations.values():
        assert set(next(iter(evaluation.batches()))) == {*shapes, "left_out"}


def test_the_task_says_what_its_outputs_stand_for(tsv):
    config = small_text.glue_config("stsb", **{"data.dir": tsv})
    config.data.tasks, config.data.num_classes = ("stsb", "rte"), (0, 2)
    identity = build.make_task(config).identity
    assert identity.vocabulary == "bytes"
    assert identity.class_names == {
        "stsb": (),
        "rte": ("entailment", "not_entailment"),
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data.tasks": ("colla",)}, "'colla' is none of the GLUE tasks"),
        ({"data.held_out": "test"}, "cola has no labels, so it can't be evaluated"),
        ({"data.held_out": "dev"}, "data.held_out='dev' is unknown: use validation"),
        ({"data.dir": ""}, "data.source='tsv' needs --config.data.dir"),
        ({"data.source": "files"}, "needs one file train.csv or .tsv"),
        (
            {"data.source": "python_docs", "data.tasks": ("packages",)},
            "data.tasks='packages' is unknown: use package",
        ),
    ],
)
def test_data_that_is_not_there_is_named(tsv, fields, message):
    config = small_text.glue_config(**({"data.dir": tsv} | fields))
    config.data.num_classes = (2,) * len(config.data.tasks)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        build.make_task(config)
    assert message in str(error.value)


def test_weights_of_another_tokenizer_are_refused(trained, tmp_path):
    other = tmp_path / "other.model"
    other.write_bytes(tokenizer.train([b"a few words of text to learn from"] * 9, 284))
    restored = restore.load(trained)
    restored.config.data.tokenizer = str(other)
    restored.config.model.vocab_size = 284
    with pytest.raises(
        ValueError, match="was trained with the tokenizer 'bytes', this"
    ):
        restored.make_task()
    fields = {"data.tokenizer": str(other), "model.vocab_size": 284}
    config = small_text.masked_lm_config(**fields)
    config.data.source, config.init_from = "synthetic", str(trained)
    with pytest.raises(ValueError, match="set --config.data.tokenizer to that one"):
        launch.train(config, tmp_path / "run")


def test_variants_and_sweep():
    assert len({tuple(point.items()) for point in configs.sweep()}) == 12
    for point in configs.sweep():
        configs.get_config("rte").update_from_flattened_dict(point)
    config = configs.get_config("cola,bert_base")
    assert (config.model.readout, config.data.length) == ("task_tokens", 512)
    with pytest.raises(ValueError, match="'wnli' is unknown; configs/glue.py has cola"):
        configs.get_config("wnli")
    assert configs.get_config("task_tokens").data.num_classes == (
        *(2, 2, 2, 2, 0, 3, 2, 2),
    )
    assert text_classification.get_config().data.num_classes == (2,)
