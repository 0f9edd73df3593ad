"""A stand-in for gcloud: one slice, whose workers are folders of this machine.

It records its calls, runs what is sent to workers for real, with their folder as home,
and fails on cue. A training there is a shell script that ends as told.
"""

import json
import pathlib
import shutil
import sys

import pytest

GCLOUD = """#!{python} -SE
import json, os, pathlib, shutil, subprocess, sys
here = pathlib.Path({here!r})
arguments = sys.argv[1:]
with open(here / "calls", "a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
def end(text, status=1):
    sys.exit(print(text, file=sys.stderr) or status)
def cue(name):  # the next of a list of cues, or ""
    cues = json.loads((here / "cues").read_text())
    found = cues[name].pop(0) if cues.get(name) else ""
    (here / "cues").write_text(json.dumps(cues))
    return found
flags = dict(a[2:].partition("=")[::2] for a in arguments if a.startswith("--"))
workers = sorted(here.glob("worker-*"))
if failure := cue(" ".join(arguments[2:4])):
    end(failure)
match [a for a in arguments if not a.startswith("--")]:
    case ["auth", "list"]:
        print(cue("account") or "someone@example.com")
    case [_, _, "queued-resources", "create", _]:
        for number in range(2):
            (here / f"worker-{{number}}").mkdir()
    case [_, _, "queued-resources", "describe", name]:
        if not workers:
            end(f"ERROR: NOT_FOUND: {{name}}")
        print(cue("state") or "ACTIVE")
    case [_, _, "tpu-vm", "describe", _]:
        print("PREEMPTED" if (here / "preempted").exists() else "READY")
    case [_, _, "queued-resources", "delete", _]:
        for worker in workers:
            shutil.rmtree(worker)
        (here / "preempted").unlink(missing_ok=True)
    case [_, _, "tpu-vm", "scp", source, target] if "recurse" in flags:
        shutil.copytree(source.partition(":")[2], target, dirs_exist_ok=True)
    case [_, _, "tpu-vm", "scp", source, target]:
        for worker in workers:
            shutil.copy(source, worker / target.partition(":")[2])
    case [_, _, "tpu-vm", "ssh", _]:
        if (here / "preempted").exists():
            end("ssh: connect to host 10.0.0.1 port 22: Connection timed out", 255)
        command = flags["command"]
        if "worker.sh start" in command:
            (here / "outcome").write_text(cue("training") or "0")
        if flags["worker"] != "all":
            workers = workers[:1]
        for worker in workers:
            if "worker.sh install" in command:
                python = worker / "perceiver_jax" / ".venv" / "bin" / "python"
                python.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(here / "training", python)
            elif "worker.sh mount" not in command:
                home = os.environ | {{"HOME": str(worker), "HERE": str(here)}}
                home["PATH"] = f"{{here}}:{{home['PATH']}}"
                status = subprocess.run(["bash", "-c", command], env=home).returncode
                if status:
                    sys.exit(status)
    case other:
        end(f"unknown: {{other}}", 2)
"""

# What a worker has as `python -m experiments.train ...`.
TRAINING = """#!/usr/bin/env bash
echo "$(hostname) trains: $*"
case $(<"$HERE/outcome") in
until_stopped)
  trap 'echo saved; exit 75' TERM
  for ((i = 0; i < 300; i++)); do sleep 0.1; done ;;
preempted) touch "$HERE/preempted" ;;
one_fails) [[ $(hostname) == worker-1 ]] && echo "no such data" && exit 1; exit 75 ;;
*) exit "$(<"$HERE/outcome")" ;;
esac
"""


class FakeGcloud:
    """The stand-in, in a folder that is first on PATH."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        for name, text in {
            "gcloud": GCLOUD.format(python=sys.executable, here=str(folder)),
            "training": TRAINING,
            "hostname": "#!/bin/sh\nbasename $HOME\n",
        }.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.cue()

    def cue(self, **cues):
        """What comes next of each: state=..., training=..., or a command's failure."""
        names = {name.replace("__", " ").replace("_", "-"): cues[name] for name in cues}
        (self.folder / "cues").write_text(json.dumps(names))

    def calls(self):
        """All calls, without what is in each: "queued-resources create"."""
        if not (self.folder / "calls").exists():
            return []
        return list(map(json.loads, (self.folder / "calls").read_text().splitlines()))

    def told(self):
        """The calls in short, looks at states left out."""
        short = []
        for call in self.calls():
            command = [a[10:] for a in call if a.startswith("--command=")]
            words = command[0].split() if command else call[2:4]
            if command and "worker.sh" in command[0]:
                words = words[2:3] if words[0] == "bash" else ["status"]
            elif command:
                words = ["unpack" if "tar -xzf" in command[0] else command[0]]
            short.append(" ".join(words))
        quiet = ("status", "queued-resources describe", "tpu-vm describe")
        return [name for name in short if name not in quiet and "--" not in name]

    def workers(self):
        return sorted(self.folder.glob("worker-*"))

    def log(self):
        return (self.folder / "worker-0" / "perceiver_jax_run" / "log").read_text()


@pytest.fixture
def gcloud(tmp_path, monkeypatch):
    folder = tmp_path / "gcloud"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{shutil.os.environ['PATH']}")
    return FakeGcloud(folder)
