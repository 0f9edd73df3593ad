"""One slice of a TPU pod: queued for, there, lost, deleted; and its machines."""

import dataclasses
import re
import shlex
import time

from scripts.pods.gcloud import Failed, Gcloud

# https://cloud.google.com/tpu/docs/runtimes, by the first part of a type's name.
RUNTIMES = {
    "v2": "tpu-ubuntu2204-base",
    "v3": "tpu-ubuntu2204-base",
    "v4": "tpu-ubuntu2204-base",
    "v5litepod": "v2-alpha-tpuv5-lite",
    "v5p": "v2-alpha-tpuv5",
    "v6e": "v2-alpha-tpuv6e",
}

# States of a queued resource, and of the TPU VM that it becomes.
HERE = "ACTIVE"
FAILED = "FAILED"
GONE = ("SUSPENDING", "SUSPENDED", "DELETING")
VM_GONE = ("PREEMPTED", "TERMINATED", "DELETING", "STOPPING", "STOPPED")


class Refused(RuntimeError):
    """Google Cloud will not give the slice."""


def find_runtime(type_name: str) -> str:
    """Returns the software that machines of a type are started with."""
    generation = type_name.partition("-")[0]
    if generation not in RUNTIMES:
        raise ValueError(
            f"--type={type_name} is of no known generation ({', '.join(RUNTIMES)}): "
            "give --runtime too."
        )
    return RUNTIMES[generation]


@dataclasses.dataclass(frozen=True)
class Slice:
    """A slice that may or may not be there.

    Attributes:
      gcloud: of its project and zone.
      name: of the queued resource and of the TPU VM.
      type: accelerator type, such as v5litepod-8; only `create` needs it.
      runtime: software version; only `create` needs it.
      spot: cheaper, and taken away at any time.
      poll_seconds: between two looks at a state.
    """

    gcloud: Gcloud
    name: str
    type: str = ""
    runtime: str = ""
    spot: bool = False
    poll_seconds: float = 30.0

    def tell(self, news: str) -> None:
        """Says what happens to the slice; not in a dry run, where nothing does."""
        if not self.gcloud.dry_run:
            print(f"{time.strftime('%H:%M:%S')} {self.name}: {news}", flush=True)

    def state(self) -> str:
        """Returns the state of the queued resource; "" where there is none."""
        try:
            return self.gcloud.tpus(
                *("queued-resources", "describe", self.name),
                "--format=value(state.state)",
                assumed=HERE,
            ).strip()
        except Failed as error:
            if re.search("not[_ ]found", str(error), re.IGNORECASE):
                return ""
            raise

    def is_lost(self) -> bool:
        """Says whether the slice was taken away."""
        if (state := self.state()) != HERE:
            return state in ("", *GONE)
        vm = self.gcloud.tpus(
            *("tpu-vm", "describe", self.name), "--format=value(state)", assumed="READY"
        )
        return vm.strip() in VM_GONE

    def request(self) -> None:
        """Queues for the slice, unless it is there or queued for."""
        state = "" if self.gcloud.dry_run else self.state()
        if state in (FAILED, *GONE):  # of another day
            self.delete()
            state = ""
        if not state:
            self.create()

    def create(self) -> None:
        """Queues for the slice."""
        self.gcloud.tpus(
            *("queued-resources", "create", self.name),
            f"--node-id={self.name}",
            f"--accelerator-type={self.type}",
            f"--runtime-version={self.runtime}",
            *(["--spot"] if self.spot else []),
        )

    def wait(self) -> None:
        """Waits until the slice is there.

        Raises:
          Refused: it will never be.
          Failed: it was taken away before it was there.
        """
        told = ""
        while (state := self.state()) != HERE:
            if state == FAILED:
                describe = ("queued-resources", "describe", self.name)
                raise Refused(
                    f"{self.name} did not come: its queued resource is {state}. To see "
                    f"why, with --keep: {shlex.join(self.gcloud.command(*describe))}"
                )
            if state in ("", *GONE):
                raise Failed(f"{self.name} was taken away before it was there.")
            if state != told:
                self.tell(state)
                told = state
            time.sleep(self.poll_seconds)
        self.tell("is there")

    def delete(self) -> None:
        """Deletes the slice and its queued resource, if there is one."""
        if self.state():
            self.gcloud.tpus("queued-resources", "delete", self.name, "--force")
            self.tell("is deleted")

    def run(self, command: str, worker: str = "all", assumed: str = "") -> str:
        """Runs a shell command on one worker, or on all, and returns its output."""
        return self.gcloud.tpus(
            *("tpu-vm", "ssh", self.name, f"--worker={worker}", f"--command={command}"),
            assumed=assumed,
        )

    def send(self, path: str, remote: str) -> None:
        """Copies a file to all workers."""
        self.gcloud.tpus("tpu-vm", "scp", path, f"{self.name}:{remote}", "--worker=all")

    def fetch(self, remote: str, folder: str) -> None:
        """Copies a folder of worker 0 to this machine."""
        source = f"{self.name}:{remote}"
        self.gcloud.tpus("tpu-vm", "scp", "--recurse", source, folder, "--worker=0")
