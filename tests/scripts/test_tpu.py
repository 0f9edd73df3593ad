"""The pod program as a user starts it, on a stand-in for gcloud."""

import signal
import subprocess
import time

import pytest
from fake_gcloud import gcloud  # noqa: F401
from programs import ROOT, command, environment, run

SLICE = ("--name=n", "--zone=z", "--poll_seconds=0.05")
POD = ("--type=v5litepod-8", "--spot", "--bucket=b")
TRAIN = ("--", "--config=configs/digits.py", "--workdir=/mnt/b/run")


def test_a_pod_trains_and_goes(gcloud):  # noqa: F811
    done = run("scripts.tpu", "run", *SLICE, *POD, *TRAIN)
    assert "n: workers: 2 0" in done.stdout and "n: is deleted" in done.stdout
    create, *_, delete = gcloud.told()
    assert (create, delete) == ("queued-resources create", "queued-resources delete")
    sent = next(call for call in gcloud.calls() if call[2:4] == ["tpu-vm", "scp"])
    assert sent[4].endswith("/code.tar.gz") and sent[5:7] == [
        "n:code.tar.gz",
        "--worker=all",
    ]


def test_ctrl_c_ends_it_with_75_and_without_a_slice(gcloud):  # noqa: F811
    gcloud.cue(training=["until_stopped"])
    process = subprocess.Popen(
        command("scripts.tpu", "run", *SLICE, *POD, *TRAIN),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    while "start" not in gcloud.told():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert "training is asked to save" in process.communicate(timeout=60)[0]
    assert process.returncode == 75
    assert gcloud.told()[-1] == "queued-resources delete"


def test_all_commands_are_shown_without_any_being_run(gcloud):  # noqa: F811
    shown = run("scripts.tpu", "run", *SLICE, *POD, "--dry-run", *TRAIN).stdout
    lines = shown.splitlines()
    assert all(line.startswith("gcloud compute tpus ") for line in lines)
    words = (
        *("create n --node-id=n", "describe", "status", "scp", "tar -xzf"),
        *("worker.sh install all,tpu", "worker.sh mount b"),
        "worker.sh start --config=configs/digits.py --workdir=/mnt/b/run",
        *("status", "describe", "delete n --force"),
    )
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines))
    assert gcloud.calls() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fly", *SLICE), "'fly' is no command: run, create"),
        (("run", *SLICE, *POD), "flags of training are missing: -- --config=FILE"),
    ],
)
def test_wrong_command_lines_are_told(arguments, message):
    assert message in run("scripts.tpu", *arguments, fails=True).stderr
