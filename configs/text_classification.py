r"""Classifying texts of one's own, from CSV or JSONL files of (text, label).

    python -m experiments.train --config=configs/text_classification.py:bytes \
        --workdir=DIR --config.init_from=PRETRAINED --config.data.source=files \
        --config.data.dir=FOLDER --config.data.tasks="('reviews',)" \
        --config.data.num_classes="(2,)"

reads FOLDER/reviews/train.csv and FOLDER/reviews/test.csv (or .tsv, .jsonl), with the
columns `text` (and `text2` for pairs) and `label`. Several tasks are trained at once:
data.num_classes has the number of classes of each.

Without files, the default tells whether letters of a text were replaced by others, in
Python's documentation with the model of configs/masked_lm.py:docs. Minutes on a CPU:

    python -m experiments.train --config=configs/masked_lm.py:docs --workdir=/tmp/docs
    python -m experiments.train --config=configs/text_classification.py \
        --workdir=/tmp/spelling --config.init_from=/tmp/docs

70.6% right on held-out documents, and 57.9% without init_from. Other tasks there:
whether letters were `swapped` (2 classes), and which `package` (an error says how many
there are) or `kind` of thing (3: function, class, module) a docstring is of: figures in
benchmarks/results/text_cpu.md.
"""

from ml_collections import config_dict

from configs import glue, masked_lm

VARIANTS = masked_lm.VARIANTS


def get_config(variant: str = "docs") -> config_dict.ConfigDict:
    """Returns the fine-tuning of a model of configs/masked_lm.py."""
    config = glue.fine_tune(variant)
    config.data.source = "python_docs"
    config.data.tasks = ("replaced",)
    config.data.num_classes = (2,)
    config.data.held_out = "test"
    if variant == "docs":
        pretraining = masked_lm.get_config(variant)
        config.precision = pretraining.precision
        config.optimizer.name = "adamw"  # LAMB is for large batches
        config.optimizer.learning_rate = 1e-3
        config.epochs = 3.0
    return config


def sweep() -> list[dict[str, object]]:
    """The points of GLUE's."""
    return glue.sweep()
