"""Training as a user starts it, on small real data in the true formats."""

import json
import subprocess
import sys

import fake_imagenet
import numpy as np
import programs
import pytest
from programs import evaluate, train

from experiments import evaluate as evaluate_program
from experiments import restore

FEW_STEPS = ("--config.steps=3", "--config.log_every=1")

IMAGENET = (
    "--config=configs/imagenet.py:{variant}",
    "--config.batch_size=4",
    "--config.eval_batch_size=4",
    "--config.data.image_size=({size},{size})",
    "--config.model.max_resolution=({grid},{grid})",
    "--config.model.num_bands=4",
    "--config.model.num_latents=8",
    "--config.model.latent_channels=16",
    "--config.model.num_blocks=2",
    "--config.model.layers_per_block=1",
)


def imagenet(variant, size, grid):
    return [flag.format(variant=variant, size=size, grid=grid) for flag in IMAGENET]


@pytest.fixture
def imagenet_folders(tmp_path):
    """Photographs in class folders, of which one is grey and one is no image."""
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 3)):
        for name in ("china", "flower"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                picture = fake_imagenet.photograph(rng, (48, 64))
                if index == 0:
                    picture = picture.convert("L")
                picture.save(folder / f"{index}.jpg")
    (root / "train" / "china" / "notes.jpg").write_text("no image")
    return root


def test_folder_of_images_trains_evaluates_and_names_corrupt_files(
    tmp_path, imagenet_folders, capsys, caplog
):
    workdir = tmp_path / "run"
    data = (
        "--config.data.source=folder",
        f"--config.data.dir={imagenet_folders}",
        "--config.data.eval_split=val",
        "--config.data.num_classes=2",
    )
    log = train(
        *imagenet("conv", 32, 8),
        "--config.steps=6",
        "--config.log_every=1",
        *data,
        f"--workdir={workdir}",
    )
    assert "corrupt example 1 of at most 100" in log and "notes.jpg" in log
    found = evaluate(workdir)
    assert 0 <= found["test/top1"] <= 1 and found["checkpoint"].endswith("/6")
    # The same number in other batches, over other devices, and at another step.
    again = evaluate(workdir, "--config.eval_batch_size=16", devices=2)
    assert again["test/loss"] == pytest.approx(found["test/loss"], rel=2e-3)
    # A corrupt file is left out of evaluation, and that is told.
    bad = imagenet_folders / "val" / "flower" / "bad.jpg"
    bad.write_bytes((imagenet_folders / "val/flower/1.jpg").read_bytes()[:400])
    restored = restore.load(workdir)
    restored.config.eval_batch_size = 8
    evaluate_program.main(restored)
    without = json.loads(capsys.readouterr().out)
    assert without["test/left_out"] == 1 and "flower/bad.jpg" in caplog.text
    assert without["test/loss"] == pytest.approx(found["test/loss"], rel=2e-3)


@pytest.fixture
def tfds_imagenet(tmp_path):
    """A tiny imagenet2012, prepared by our script from archives in the true format."""
    root = tmp_path / "tfds"
    fake_imagenet.write(root / "archives", train_per_class=1, num_validation=5)
    command = [sys.executable, "-m", "scripts.prepare_tfds", "--name=imagenet2012"]
    command += [f"--data_dir={root}", f"--manual_dir={root / 'archives'}"]
    subprocess.run(command, cwd=programs.ROOT, check=True, capture_output=True)
    return root


def test_imagenet_of_tfds_trains_and_evaluates_at_two_image_sizes(
    tmp_path, tfds_imagenet
):
    workdir = tmp_path / "run"
    log = train(
        *imagenet("fourier", 40, 24),
        *FEW_STEPS,
        f"--config.data.dir={tfds_imagenet}",
        "--config.data.num_workers=1",
        f"--workdir={workdir}",
    )
    assert "parameters" in log and "GFLOP" in log and "ETA" in log
    found = evaluate(workdir, "--step=best")
    assert np.isfinite(found["test/loss"])
    # The same parameters at another size: positions come from the image's shape.
    again = evaluate(workdir, "--config.data.image_size=(24,24)")
    assert np.isfinite(again["test/loss"])


def test_fine_tuning_from_another_run_keeps_the_parent(trained_digits, tmp_path):
    log = train(
        *programs.RUN,
        f"--workdir={tmp_path}",
        "--profile_steps=2:3",
        f"--config.init_from={trained_digits}",
        "--config.init_skip=('decoder/output/*',)",
    )
    assert "params skipped: decoder/output/b, decoder/output/w" in log
    assert "Traced steps 2 to 3" in log
    assert list(tmp_path.glob("profile/plugins/profile/*/*.xplane.pb"))
    assert evaluate(tmp_path / "checkpoints" / "14")["test/loss"]


def test_a_run_says_what_it_did(trained_digits):
    names = {path.name for path in trained_digits.iterdir()}
    assert names == {
        *("checkpoints", "config.json", "goodput.json", "metrics.jsonl"),
        *("newest_checkpoint.txt", "parameters.txt", "processes", "tensorboard"),
    }
    table = (trained_digits / "parameters.txt").read_text()
    assert "encoder/cross_attention/attention/query" in table and "in all" in table


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((*programs.RUN, "stray"), "Unexpected: stray. All is said by flags."),
        (programs.RUN, "--workdir=DIR is missing: the folder of this run."),
        ((), "--config=FILE is missing, such as configs/digits.py."),
        (
            (*programs.RUN, "--workdir=never_made", "--num_processes=2"),
            "--coordinator, --num_processes and --process_id go together: give all "
            "three, or none where the environment says them.",
        ),
    ],
)
def test_wrong_command_lines_are_told_in_the_last_line(flags, message):
    assert train(*flags, fails=True).splitlines()[-1] == message


def test_bad_field_is_the_last_line_without_a_traceback(tmp_path):
    log = train(
        *programs.RUN,
        "--config.model.dropout=5",
        f"--workdir={tmp_path / 'run'}",
        fails=True,
    )
    message = "model.dropout=5.0 must be at least 0 and less than 1."
    assert log == f"{message}\n"
    assert not (tmp_path / "run").exists()


def test_run_does_not_go_on_with_another_seed(trained_digits):
    log = train(
        *programs.RUN,
        "--config.seed=1",
        "--config.keep_last=5",
        f"--workdir={trained_digits}",
        fails=True,
    )
    reason, change = log.splitlines()[-2:]
    assert str(trained_digits) in reason and "--allow_changes" in reason
    assert change == "  seed: 0 in the checkpoint, 1 here"


def test_two_processes_train_as_one_does(tmp_path):
    """Two processes of one device each give the losses of one with two devices."""
    train(*programs.RUN, f"--workdir={tmp_path / 'one'}", devices=2)
    port = programs.free_port()
    started = [
        subprocess.Popen(
            programs.command(
                "experiments.train",
                *programs.RUN,
                f"--workdir={tmp_path / 'two'}",
                f"--coordinator=127.0.0.1:{port}",
                "--num_processes=2",
                f"--process_id={index}",
            ),
            cwd=programs.ROOT,
            env=programs.environment(1),
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    logs = [process.communicate(timeout=200)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], logs
    one, two = (programs.rows(tmp_path / name) for name in ("one", "two"))
    assert two == [pytest.approx(row, rel=1e-4) for row in one]
