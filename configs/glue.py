r"""GLUE: fine-tuning a masked language model (Perceiver IO, tables 1, 2, 13 and 14).

    python -m scripts.prepare_tfds --name=glue/mrpc --data_dir=DATA
    python -m experiments.train --config=configs/glue.py:mrpc --workdir=DIR \
        --config.data.dir=DATA --config.init_from=PRETRAINED

or, with the folder of the official download, --config.data.source=tsv. Variants are

- one of the eight tasks: cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte;
- all of them at once, read from shared_token, task_tokens or multitask_query;

each with a model of configs/masked_lm.py behind a comma, else the released on bytes:
`configs/glue.py:mrpc,bert_base`. The paper takes the best of sweep() for each task:

| on the validation sets | average in the paper |
| --- | --- |
| Perceiver IO on bytes, each task by itself | 81.0 |
| multitask: shared_token | 81.5 |
| multitask: task_tokens | 81.8 |
| multitask: multitask_query | 81.8 |

Nothing of this size was trained here.
"""

from ml_collections import config_dict

from configs import base, masked_lm

TASKS = {  # number of classes; 0: a score
    "cola": 2,
    "sst2": 2,
    "mrpc": 2,
    "qqp": 2,
    "stsb": 0,
    "mnli": 3,
    "qnli": 2,
    "rte": 2,
}
MULTITASK = {
    "shared_token": "shared_token",
    "task_tokens": "task_tokens",
    "multitask_query": "query",
}
VARIANTS = (*TASKS, *MULTITASK)  # each may be followed by ",MODEL", of masked_lm.py


def get_config(variant: str = "mrpc") -> config_dict.ConfigDict:
    """Returns the fine-tuning of one task, or of all."""
    name, _, model = variant.partition(",")
    if name not in VARIANTS:
        raise ValueError(
            f"Variant '{name}' is unknown; configs/glue.py has {', '.join(VARIANTS)}."
        )
    config = fine_tune(model or "bytes")
    config.data.tasks = (name,) if name in TASKS else tuple(TASKS)
    config.data.num_classes = tuple(TASKS[task] for task in config.data.tasks)
    if name in MULTITASK:
        config.model.readout = MULTITASK[name]
    return config


def fine_tune(model: str) -> config_dict.ConfigDict:
    """Returns the recipe of table 13 for a variant of configs/masked_lm.py."""
    pretraining = masked_lm.get_config(model)
    config = base.get_config()
    config.task = "glue"
    config.batch_size = 32
    config.eval_batch_size = 256
    config.epochs = 10.0
    config.log_every = 50
    config.eval_every = 500
    config.checkpoint_every = 500

    config.optimizer.learning_rate = 5e-5
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 200
    config.optimizer.weight_decay = 0.01

    config.data = data = config_dict.ConfigDict()
    data.source = "tfds"  # or "tsv", the official files; "files"; "python_docs"
    data.dir = ""  # "": TFDS's own
    data.tasks = ()  # one, or several at once
    data.num_classes = ()  # of each of the tasks; 0: a score
    data.held_out = "validation"
    data.tokenizer = pretraining.data.tokenizer
    data.length = pretraining.data.length

    config.model = pretraining.model
    # Where the answer is read from; a Transformer has no queries.
    is_perceiver = config.model.kind == "perceiver"
    config.model.readout = "query" if is_perceiver else "task_tokens"
    return config


def sweep() -> list[dict[str, object]]:
    """The 12 points of the paper, for each task by itself (Perceiver IO, table 13)."""
    return [
        {"optimizer.learning_rate": rate, "batch_size": size}
        for rate in (1e-4, 5e-5, 2e-5, 1e-5)
        for size in (16, 32, 64)
    ]
