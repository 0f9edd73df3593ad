r"""Trains on a slice of a Cloud TPU pod, from this machine, with gcloud alone.

    python -m scripts.tpu run --name=perceiver --zone=us-central1-a \
        --type=v5litepod-64 --spot --bucket=my-bucket \
        -- --config=configs/imagenet.py:fourier \
        --workdir=/mnt/my-bucket/fourier --config.data.dir=/mnt/my-bucket/tfds

queues for the slice, copies this checkout to all its workers, installs, trains, waits
and deletes the slice at the end, on an error and at Ctrl-C, unless --keep. A slice that
is taken away is made anew, and a training that was stopped (exit status 75) started
again: it goes on from the newest checkpoint in its workdir, which has to outlive the
slice: in --bucket, mounted at /mnt/BUCKET, or on a network file system that --setup
mounts. Started again with the same --name it goes on with what is there.

    python -m scripts.tpu COMMAND --name=perceiver --zone=us-central1-a

does one part of it: create, copy, install, start (-- flags of experiments.train),
status, tail, stop (saves first), fetch --workdir=DIR --to=DIR, delete. With --dry_run
all commands are shown, and none is run.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

from experiments import program
from scripts.pods import slices, training
from scripts.pods.gcloud import Gcloud

COMMANDS = (
    *("run", "create", "copy", "install", "start", "status", "tail", "stop", "fetch"),
    "delete",
)

_NAME = flags.DEFINE_string("name", None, "Of the slice.", required=True)
_ZONE = flags.DEFINE_string("zone", None, "Such as us-central1-a.", required=True)
_PROJECT = flags.DEFINE_string("project", "", 'Of Google Cloud; "": that of gcloud.')
_TYPE = flags.DEFINE_string("type", "", "Accelerator type, such as v5litepod-64.")
_RUNTIME = flags.DEFINE_string("runtime", "", 'TPU software; "": as the type needs.')
_SPOT = flags.DEFINE_bool("spot", False, "Cheaper, and taken away at any time.")
_BUCKET = flags.DEFINE_string("bucket", "", "Of Cloud Storage, to mount at /mnt/NAME.")
_SETUP = flags.DEFINE_string("setup", "", "Shell command for each worker, at first.")
_EXTRAS = flags.DEFINE_string("extras", "all,tpu", "Of setup.py, to install.")
_KEEP = flags.DEFINE_bool("keep", False, "run: leave the slice when it ends.")
_MAX_RESTARTS = flags.DEFINE_integer("max_restarts", 100, "run: then give up.", 0)
_POLL_SECONDS = flags.DEFINE_float("poll_seconds", 30.0, "Between two looks.", 0.0)
_WORKDIR = flags.DEFINE_string("workdir", None, "fetch: folder on the workers.")
_TO = flags.DEFINE_string("to", ".", "fetch: folder on this machine.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Show all commands, and run none.")
flags.DEFINE_alias("dry-run", "dry_run")


def make_training(command: str, arguments: Sequence[str]) -> training.Training:
    """Returns what the flags describe."""
    if command in ("run", "start"):
        training.check_arguments(arguments)
    elif arguments:
        raise app.UsageError(f"{command} takes no flags of training.")
    if command == "run":
        training.check_workdir(arguments, _BUCKET.value, _SETUP.value)
    if command in ("run", "create") and not _TYPE.value:
        raise app.UsageError("--type is missing, such as v5litepod-8 or v4-32.")
    runtime = _RUNTIME.value or (_TYPE.value and slices.find_runtime(_TYPE.value))
    gcloud = Gcloud(_ZONE.value, _PROJECT.value, _DRY_RUN.value)
    pod = slices.Slice(
        *(gcloud, _NAME.value, _TYPE.value, runtime, _SPOT.value, _POLL_SECONDS.value)
    )
    return training.Training(pod, arguments, _BUCKET.value, _SETUP.value, _EXTRAS.value)


def main(arguments: Sequence[str]) -> None:
    command, *rest = arguments or [""]
    if command not in COMMANDS:
        raise app.UsageError(f"'{command}' is no command: {', '.join(COMMANDS)}.")
    job = make_training(command, rest)
    job.slice.gcloud.check()
    if command == "run":
        sys.exit(job.run_and_clean_up(_MAX_RESTARTS.value, _KEEP.value))
    elif command == "create":
        job.slice.request()
        job.slice.wait()
    elif command == "status":
        print(f"{job.slice.name}: {job.slice.state() or 'is not there'}")
        if job.slice.state() == slices.HERE:
            for worker, status in sorted(job.statuses().items()):
                print(f"{worker}: {status}")
    elif command == "fetch":
        if not _WORKDIR.value:
            raise app.UsageError("--workdir=DIR is missing: the folder to fetch.")
        job.slice.fetch(_WORKDIR.value, _TO.value)
    elif command == "delete":
        job.slice.delete()
    else:
        getattr(job, command)()


if __name__ == "__main__":
    flags.FLAGS.set_gnu_getopt()  # COMMAND stands before the flags
    program.run(main, takes_arguments=True)
