"""A training on all workers of a slice, and until it is done on one after another."""

import dataclasses
import pathlib
import re
import shlex
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence

from scripts.pods.gcloud import Failed
from scripts.pods.slices import Lost, Slice

ROOT = pathlib.Path(__file__).parent.parent.parent
CODE = "~/perceiver_jax"  # on each worker
WORKER = f"{CODE}/scripts/pods/worker.sh"
AGAIN = 75  # exit status of a training that was stopped and wants to go on
PATIENCE = 20  # failures in a row, each after a pause


class Ended(RuntimeError):
    """Training did not reach its end, and will not by itself."""


@dataclasses.dataclass(frozen=True)
class Training:
    """One training, wherever it runs.

    Attributes:
      slice: where.
      arguments: flags of experiments.train.
      bucket: of Cloud Storage, mounted at /mnt/BUCKET on each worker; "": none.
      setup: a shell command for each worker, before training: to mount data.
      extras: of setup.py, to install.
    """

    slice: Slice
    arguments: Sequence[str] = ()
    bucket: str = ""
    setup: str = ""
    extras: str = "all,tpu"

    def copy(self) -> None:
        """Copies the code of this checkout, as it is now, to all workers."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "code.tar.gz"
            if not self.slice.gcloud.dry_run:
                pack(path)
            self.slice.send(str(path), path.name)
        self.slice.run(
            f"mkdir -p {CODE} && cd {CODE} && "
            "find . -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} + && "
            "tar -xzf ~/code.tar.gz"
        )

    def install(self) -> None:
        """Installs the code's libraries, and mounts what training needs."""
        self._on_workers("install", self.extras)
        if self.bucket:
            self._on_workers("mount", self.bucket)
        if self.setup:
            self.slice.run(self.setup)

    def start(self) -> None:
        """Starts the same training on all workers; JAX finds the others."""
        self._on_workers("start", *self.arguments)

    def statuses(self) -> dict[str, str]:
        """Returns {worker: "none", "running", "lost" or its exit status}."""
        said = self.slice.run(
            f"if [ -f {WORKER} ]; then bash {WORKER} status; "
            'else echo "training: $(hostname) none"; fi',
            assumed="training: worker 0",
        )
        found = dict(re.findall(r"training: (\S+) (\w+)\s*$", said, re.MULTILINE))
        if not found:
            raise Failed(f"No worker of {self.slice.name} said how training stands.")
        return found

    def stop(self) -> None:
        """Asks training to save and end, and waits up to two minutes for it."""
        self._on_workers("stop", "120")

    def _on_workers(self, *arguments: str) -> str:
        return self.slice.run(f"bash {WORKER} {shlex.join(arguments)}")

    def tail(self) -> None:
        """Shows the log of worker 0, and what is added to it, until Ctrl-C."""
        self.slice.gcloud.follow(
            *("tpu-vm", "ssh", self.slice.name, "--worker=0"),
            "--command=tail -n 100 -F ~/perceiver_jax_run/log",
        )

    def run_until_done(self, max_restarts: int) -> None:
        """Trains to the end, on as many slices, one after the other, as it takes.

        A slice that is there already is used, and a training that runs on it is gone on
        with. A slice that is taken away is deleted and made anew, however often.

        Raises:
          Ended: training ended with an error that a restart does not mend, or was
            restarted too often.
          slices.Refused: no slice can be had.
          Failed: gcloud, or the workers, can't be reached.
        """
        ready = False  # whether this slice has our code
        restarts = failures = 0  # failures one after the other
        while True:
            try:
                if self.slice.request():
                    ready = False
                self.slice.wait()
                if "running" not in self.statuses().values():
                    if not ready:
                        self.copy()
                        self.install()
                    self.start()
                ready, failures = True, 0
                if self._watch():
                    return
            except Failed as error:  # also of this machine's network
                failures += not isinstance(error, Lost)
                if failures > PATIENCE:
                    raise
                self.slice.tell(str(error))
                time.sleep(self.slice.poll_seconds)
                continue
            restarts += 1
            if restarts > max_restarts:
                raise Ended(
                    f"Training was started {restarts} times and not finished "
                    f"(--max_restarts={max_restarts})."
                )
            self.slice.tell(f"restart {restarts} of at most {max_restarts}")

    def run_and_clean_up(self, max_restarts: int, keep: bool = False) -> int:
        """Trains until it is done, and deletes the slice however it ends.

        At Ctrl-C, or SIGTERM, training is asked to save first.

        Args:
          max_restarts: see run_until_done.
          keep: leave the slice, and a training that runs on it.

        Returns:
          the exit status: 0, or AGAIN after a signal.
        """

        def interrupt(*_):
            raise KeyboardInterrupt

        # Of SIGINT, too: Python leaves it ignored in what a shell starts with "&".
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, interrupt)
        try:
            self.run_until_done(max_restarts)
            return 0
        except KeyboardInterrupt:
            if not keep:
                self.slice.tell("training is asked to save")
                try:
                    self.stop()
                except Failed as error:
                    self.slice.tell(str(error))
            return AGAIN
        finally:
            if keep:
                self.slice.tell("is kept, and paid for, until it is deleted")
            else:
                self._delete()

    def _delete(self) -> None:
        # Another Ctrl-C must not end gcloud while it deletes.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.slice.delete()
        except Failed as error:
            raise Failed(
                f"{self.slice.name} may still be there, and paid for: see to it with "
                f"scripts.tpu delete. {error}"
            ) from None
        finally:
            signal.signal(signal.SIGINT, before)

    def _watch(self) -> bool:
        """Waits for the end, and returns whether all is done; else it can go on.

        Raises:
          Lost: the slice was taken away.
          Ended: training ended with an error.
          Failed: workers can't be reached any more.
        """
        told: dict[str, int] = {}
        troubles = 0
        while True:
            try:
                statuses = self.statuses()
            except Failed:
                if self.slice.is_lost():
                    raise Lost(f"{self.slice.name} was taken away.") from None
                troubles += 1
                if troubles > PATIENCE:
                    raise
                time.sleep(self.slice.poll_seconds)
                continue
            found = sorted(statuses.values())
            counts = {status: found.count(status) for status in found}
            if counts != told:
                said = ", ".join(f"{n} {status}" for status, n in counts.items())
                self.slice.tell(f"workers: {said}")
                told = counts
            if wrong := set(counts) - {"0", str(AGAIN), "running", "lost", "none"}:
                raise Ended(self._last_words(wrong.pop()))
            if set(counts) == {"0"}:
                return True
            if "running" not in counts:
                return False
            troubles = troubles + 1 if len(counts) > 1 else 0
            if troubles > PATIENCE:  # the others should have ended by themselves
                self.stop()
                return False
            time.sleep(self.slice.poll_seconds)

    def _last_words(self, status: str) -> str:
        said = self._on_workers("log", status).strip()
        return f"{said}\nTraining ended with exit status {status}: its log is above."


def pack(path: pathlib.Path) -> None:
    """Packs this checkout as it is, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    with tarfile.open(path, "w:gz") as archive:
        for name in sorted(filter(None, listed.stdout.split("\0"))):
            if (ROOT / name).is_file():  # not deleted since
                archive.add(ROOT / name, name)


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises ValueError unless training is told what to do and where to keep it."""
    given = {argument.partition("=")[0].lstrip("-") for argument in arguments}
    if not {"config", "workdir"} <= given:
        raise ValueError(
            "The flags of training are missing: -- --config=FILE --workdir=DIR"
        )


def check_workdir(arguments: Sequence[str], bucket: str, setup: str) -> None:
    """Raises ValueError where the workdir would go when the slice goes."""
    if not (bucket or setup):
        raise ValueError(
            "The workdir has to outlive the slice: mount a bucket (--bucket=NAME, and "
            "--workdir=/mnt/NAME/RUN) or a network file system (--setup=COMMAND)."
        )
    mounted = f"--workdir=/mnt/{bucket}/"
    if not setup and not any(argument.startswith(mounted) for argument in arguments):
        raise ValueError(f"The workdir has to be in the bucket: {mounted}RUN")
