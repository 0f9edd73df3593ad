"""Training of a config, without flags."""

import json
import logging
import pathlib

from ml_collections import config_dict

from experiments import build
from perceiver_jax.engine import checkpoint, description, init_from, sharding, training

logger = logging.getLogger("perceiver_jax")


def train(
    config: config_dict.ConfigDict, workdir: pathlib.Path, allow_changes: bool = False
) -> None:
    """Trains what the config says, in `workdir`.

    A workdir that has checkpoints is gone on with; allow_changes says whether it may be
    with another config.
    """
    if str(workdir).partition("/")[0].endswith(":"):  # it would be a folder "gs:"
        raise ValueError(
            f"--workdir={workdir} is no folder of this machine: mount the bucket, and "
            "name the folder where it is mounted."
        )
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir={workdir} is a file: name a folder.")
    build.check(config)
    parallel = sharding.make_parallel(config.compile, config.shard_state)
    sharding.check_batch_size("batch_size", config.batch_size, config.accumulate)
    sharding.check_batch_size("eval_batch_size", config.eval_batch_size)
    task = build.make_task(config)
    num_examples = task.train.num_examples
    if config.batch_size > num_examples:
        logger.warning(
            "batch_size=%d is more than the %d examples that there are: a batch holds "
            "each about %.3g times.",
            *(config.batch_size, num_examples, config.batch_size / num_examples),
        )
    settings = build.make_settings(config, num_examples)
    donor, parent = None, ""
    if config.init_from:
        variables, saved, folder = checkpoint.load_variables(config.init_from)
        description.check_vocabulary(saved, task.identity.vocabulary, str(folder))
        donor = init_from.Donor(str(folder), variables, config.init_skip)
        parent = str(folder)
    about = description.describe(
        task.name, task.identity, json.loads(config.to_json()), parent
    )
    update = build.make_update(config, task.model, settings.total_steps)
    workdir.mkdir(parents=True, exist_ok=True)
    free = (*build.FREE, *build.find(config, "fields").FREE)
    run = training.Run(workdir, about, donor, free, allow_changes)
    training.train(task, update, parallel, settings, run)
