"""The programs, run as a user runs them, on small real data in the true formats."""

import json
import subprocess
import sys

import fake_imagenet
import numpy as np
import programs
import pytest
from PIL import Image

from configs import digits
from configs import imagenet as configs
from experiments import build, restore
from experiments import evaluate as evaluate_program
from perceiver_jax.data import sources

FEW_STEPS = ("--config.steps=3", "--config.log_every=1")


def train(*flags, fails=False, devices=1):
    done = programs.run("experiments.train", *flags, fails=fails, devices=devices)
    return done.stdout + done.stderr


def evaluate(workdir, *flags, devices=1):
    done = programs.run(
        "experiments.evaluate", f"--workdir={workdir}", *flags, devices=devices
    )
    return json.loads(done.stdout.splitlines()[-1])


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


IMAGENET = (
    "--config=configs/imagenet.py:{variant}",
    "--config.batch_size=4",
    "--config.eval_batch_size=4",
    "--config.epochs=0.0",
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


def test_folder_of_images_trains_evaluates_and_names_the_corrupt_file(
    tmp_path, imagenet_folders
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
    assert "corrupt image 1 of at most 100" in log and "notes.jpg" in log
    found = evaluate(workdir)
    assert 0 <= found["test/top1"] <= 1 and found["checkpoint"].endswith("/6")
    # The same number in other batches, over other devices, and at another step.
    again = evaluate(workdir, "--config.eval_batch_size=16", devices=2)
    assert again["test/loss"] == pytest.approx(found["test/loss"], rel=2e-3)
    # A corrupt file is fatal in evaluation.
    bad = imagenet_folders / "val" / "flower" / "bad.jpg"
    bad.write_bytes((imagenet_folders / "val/flower/1.jpg").read_bytes()[:400])
    restored = restore.load(workdir)
    restored.config.eval_batch_size = 8
    with pytest.raises(sources.CorruptExample, match="flower/bad.jpg"):
        evaluate_program.main(restored, [])


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


def test_dataset_that_is_not_prepared_says_how_to_prepare_it(tmp_path):
    config = configs.get_config("fourier")
    config.data.dir = str(tmp_path / "none")
    message = "python -m scripts.prepare_tfds --name=imagenet2012"
    with pytest.raises(FileNotFoundError, match=message):
        build.make_task(config)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config.optimizer.learning_rat=1"], "learning_rat"),
        (["--config.batch_size=1.5"], "1.5"),
        (["--config.batch_size=15"], "batch_size=15 is not divisible by 2 devices"),
        (["--config.model.num_self_heads=3"], "num_heads=3"),
        (["--config.model.num_cross_attends=3"], "num_cross_attends=3"),
        (["--config.init_from=/none"], "No checkpoints in /none"),
    ],
)
def test_bad_flags_fail_early_naming_the_value(tmp_path, flags, message):
    run = (*programs.MINI, *FEW_STEPS, f"--workdir={tmp_path / 'run'}")
    assert message in train(*run, *flags, fails=True, devices=2)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data.num_classes": 7}, "--config.data.num_classes=10"),
        ({"data.source": "folder", "data.dir": "/none"}, "/none"),
        ({"steps": 3, "epochs": 1.0}, "steps=3 and epochs=1.0"),
        ({"optimizer.schedule": "linear"}, "flat_cosine"),
    ],
)
def test_bad_configs_are_refused_naming_the_value(fields, message):
    config = digits.get_config()
    config.update_from_flattened_dict(fields)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        task = build.make_task(config)
        build.make_optimizer(
            config, build.total_steps(config, task.num_train_examples()), {}
        )


def test_unknown_variant_lists_the_known_ones():
    with pytest.raises(ValueError, match="'nine'.*perceiver_unshared"):
        configs.get_config("nine")


def test_fine_tuning_from_another_run_keeps_the_parent(trained_digits, tmp_path):
    log = train(
        *programs.RUN,
        f"--workdir={tmp_path}",
        f"--config.init_from={trained_digits}",
        "--config.init_skip=('decoder/output/*',)",
    )
    assert "params skipped: decoder/output/b, decoder/output/w" in log
    assert evaluate(tmp_path / "checkpoints" / "14")["test/loss"]


@pytest.mark.usefixtures("tpu_flags")
def test_step_compiles_for_a_tpu_pod_without_a_tpu():
    printed = train(*programs.RUN, "--compile_for=v5e:2x2")
    assert "v5e:2x2: 4 chips, 16 examples a step, 4 a chip" in printed
    for word in ("GFLOP", "accessed", "temporaries", "compile time"):
        assert word in printed


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
    one, two = (programs.numbers(tmp_path / name) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert two[key] == pytest.approx(value, rel=1e-4), key


def test_picture_of_predictions_marks_the_wrong_ones():
    from experiments.imagenet import task

    images = np.zeros((3, 8, 8, 3), np.float32)
    batch = {"images": images, "labels": np.eye(3, dtype=np.float32)}
    sheet = task.pictures(np.eye(3)[[0, 1, 1]], batch)["predictions"]
    assert sheet.dtype == np.uint8 and Image.fromarray(sheet).size == (4 * 72, 72)
    red = (sheet == [220, 40, 40]).all(-1).any(0)
    assert not red[: 2 * 72].any() and red[2 * 72 : 3 * 72].any()
