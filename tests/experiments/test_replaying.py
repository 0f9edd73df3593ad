"""Names of every task's examples, and a step of a run reached again."""

import itertools

import fake_glue
import numpy as np
import pytest
import small_digits
import small_flow
import small_text

from experiments import build, launch, replaying
from perceiver_jax.data.text import tokenizer
from perceiver_jax.engine import findings
from perceiver_jax.engine.writer import read_metrics

# Names.


def batch_at(task, step, total_steps=10):
    return next(task.train.batches(step, total_steps))


def test_names_of_digits_are_those_in_the_batch():
    config = small_digits.get_config(data__crop_area=(1.0, 1.0))
    task = build.make_task(config)
    whole = {ex["name"]: ex for ex in build.find(config, "data")._digits(None).train}
    images = batch_at(task, 5)["images"]
    for image, name in zip(images, task.train.names(5, 10), strict=True):
        pixels = np.asarray(whole[int(name.removeprefix("example "))]["image"], float)
        found = np.corrcoef(image[..., 0].ravel(), pixels.ravel())[0, 1]
        assert found > 0.999


def test_names_of_labelled_texts_are_their_lines(tmp_path):
    fake_glue.write_tsv(tmp_path, ("stsb", "rte"))
    config = small_text.glue_config(
        **{
            "data.dir": str(tmp_path),
            "data.tasks": ("stsb", "rte"),
            "data.num_classes": (0, 2),
        }
    )
    task = build.make_task(config)
    batch = batch_at(task, 3)
    files = [tmp_path / folder / "train.tsv" for folder in ("STS-B", "RTE")]
    expected = [
        f"{files[number]} line {index + 2}"
        for number, index in zip(batch["task"], batch["index"])
    ]
    assert task.train.names(3, 10) == expected


def test_names_of_hidden_texts_are_their_documents(tmp_path):
    for letter in "abcdefghij":
        (tmp_path / f"{letter}.txt").write_bytes(20 * letter.encode() + b"\n")
    fields = {"data.source": "files", "data.names": ("files",), "data.documents": 2}
    patterns = (f"{tmp_path}/*.txt",)
    config = small_text.masked_lm_config(**fields)
    config.data.train = config.data.held_out = patterns
    task = build.make_task(config)
    texts = [tokenizer.Bytes().decode(x) for x in batch_at(task, 4)["labels"]]
    for text, name in zip(texts, task.train.names(4, 10), strict=True):
        first, second = (chr(c) for c in dict.fromkeys(text.replace(b"\n", b"")))
        expected = [f"{tmp_path}/{letter}.txt from byte 0" for letter in first + second]
        assert name == ", ".join(expected)


def test_names_of_pairs_follow_the_phases_of_training():
    config = small_flow.make_config(**{"data.phases": small_flow.CURRICULUM})
    train = build.make_task(config).train
    source = train.datasets["rendered"]
    for step, batch in enumerate(itertools.islice(train.batches(0, 12), 0, 11)):
        names = train.names(step, 12)
        if step < 3:
            assert [name.rpartition(", ")[2] for name in names] == [
                *("1 of 2", "2 of 2") * 2
            ]
        if step < 9:  # cut out and not changed
            rows = slice(0, None, 2 if step < 3 else 1)
            for frames, name in zip(batch["frames"][rows], names[rows]):
                number = int(name.split()[2])
                whole = source[number]["frames"][0] / np.float32(127.5) - 1
                assert is_part(frames[0], whole)


def is_part(part, whole):
    windows = np.lib.stride_tricks.sliding_window_view(whole, part.shape)
    return bool((np.abs(windows - part).max((-1, -2, -3)) < 1e-5).any())


# Steps.

STEPS = {
    "steps": 6,
    "log_every": 1,
    "checkpoint_every": 4,
    "eval_every": 100,
    "keep_last": 9,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir and its config; its only checkpoints are of steps 4 and 6."""
    workdir = tmp_path_factory.mktemp("run")
    config = small_digits.get_config(**STEPS)
    launch.train(config, workdir)
    return workdir, config


def files(workdir):
    return {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}


@pytest.mark.parametrize(("step", "start"), [(1, 0), (6, 4)])
def test_a_step_is_reached_again_to_the_bit(run, step, start):
    workdir, config = run
    before = files(workdir)
    found = replaying.look_at(config, workdir, step)
    assert files(workdir) == before
    assert (found.step, found.start) == (step, start)
    row = read_metrics(workdir)[step - 1]
    assert row["step"] == step
    for name, value in found.found.metrics.items():
        assert value == row[f"train/{name}"], name
    assert len(found.found.examples) == config.batch_size
    (picture,) = found.samples.pictures.values()
    assert picture.dtype == np.uint8 and picture.ndim == 3


def test_a_step_that_the_run_does_not_have_is_refused(run):
    workdir, config = run
    for step in (0, 7):
        with pytest.raises(ValueError, match=f"--step={step} is no step.*1 to 6"):
            replaying.look_at(config, workdir, step)


def test_another_config_is_seen_in_what_it_does(run):
    workdir, config = run
    config = config.copy_and_resolve_references()
    config.optimizer.learning_rate = 1e30
    said = findings.verdict(replaying.look_at(config, workdir, 2).found)
    assert said[0] == "The loss is nan." and "No example is finite" in said[-1]
    with pytest.raises(ValueError, match="Step 2 is not finite already.*--step=2"):
        replaying.look_at(config, workdir, 3)
