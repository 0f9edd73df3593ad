r"""Classifying texts of one's own, from CSV or JSONL files of (text, label).

    python -m experiments.train --config=configs/text_classification.py:bytes \
        --workdir=DIR --config.init_from=PRETRAINED --config.data.source=files \
        --config.data.dir=FOLDER --config.data.tasks="('reviews',)"

reads FOLDER/reviews/train.csv and FOLDER/reviews/test.csv (or .tsv, .jsonl), with the
columns `text` (and `text2` for pairs) and `label`. Several tasks are trained at once.

Without files, the default tells from which package of Python's library a docstring is,
with the model of configs/masked_lm.py:docs. Minutes on a CPU:

    python -m experiments.train --config=configs/masked_lm.py:docs --workdir=/tmp/docs
    python -m experiments.train --config=configs/text_classification.py \
        --workdir=/tmp/package --config.init_from=/tmp/docs
"""

from ml_collections import config_dict

from configs import glue, masked_lm


def get_config(variant: str = "docs") -> config_dict.ConfigDict:
    """Returns the fine-tuning of a model of configs/masked_lm.py."""
    config = glue.get_config(f"mrpc,{variant}")
    config.data.source = "python_docs"
    config.data.tasks = ("package",)
    config.data.held_out = "test"
    if variant == "docs":
        pretraining = masked_lm.get_config(variant)
        config.precision = pretraining.precision
        config.optimizer.name = "adamw"  # LAMB is for large batches
        config.optimizer.learning_rate = 5e-4
        config.epochs = 5.0
    return config


def sweep() -> list[dict[str, object]]:
    """The points of GLUE's."""
    return glue.sweep()
