"""The life of one process of a run: it shows signs of life, and heeds those of others.

A thread of its own writes the process's beats, reads those of the others, and hears
signals, so that it works while the main thread compiles, waits or hangs. It ends the
process where the main thread can't go on: when another process died or is stuck, or
when it was asked to stop and there is nothing to save.
"""

import dataclasses
import logging
import os
import pathlib
import secrets
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import jax

from perceiver_jax.cluster import heartbeat, phases, processes, signals
from perceiver_jax.cluster.heartbeat import Beat
from perceiver_jax.cluster.phases import Clock
from perceiver_jax.cluster.signals import Stopped

logger = logging.getLogger(__name__)

# What a state has changed in since it was saved is lost if these are cut short.
HAS_TO_SAVE = (phases.DATA, phases.STEP, phases.SAVE)
MAY_STALL = (*HAS_TO_SAVE, phases.EVALUATION)  # others may take as long as they like

# What runtimes say when it was another process that failed.
_FAILED_ELSEWHERE = ("gloo", "nccl", "unavailable", "aborted", "connection", "deadline")


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds."""

    heartbeat: float = 30.0  # for a sign of life of another process
    stall: float = 600.0  # for a step, a batch of data, a part of a save


def join(
    workdir: pathlib.Path,
    facts: Mapping[str, Any],
    limits: Limits = Limits(),
) -> "Life":
    """Joins a run in a workdir, together with all other processes of it.

    Args:
      workdir: of the run; made if there is none.
      facts: what must be equal on all processes, see processes.agree.
      limits: how long to wait for others.

    Raises:
      ValueError: on all processes, if one can't go on or differs, the workdir can't
        be written, or another run is at work in it.
    """
    index = jax.process_index()
    problem, claim = "", None
    try:
        _check_writable(workdir)
        if index == 0:
            claim = heartbeat.Claim(workdir)
    except (ValueError, OSError) as error:
        problem = str(error)
    try:
        run = processes.agree(facts, problem)
    except BaseException:
        if claim is not None:
            claim.release()
        raise
    me = heartbeat.this_process(run)
    return Life(workdir, me, index, jax.process_count(), limits, claim)


def _check_writable(workdir: pathlib.Path) -> None:
    probe = workdir / f".writable_{os.getpid()}_{secrets.token_hex(4)}"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"--workdir={workdir} can't be written to ({error.strerror})."
        ) from error


class Life:
    """A process of a run, from `with` to its end."""

    def __init__(
        self,
        workdir: pathlib.Path,
        me: Beat,
        index: int = 0,
        count: int = 1,
        limits: Limits = Limits(),
        claim: heartbeat.Claim | None = None,
    ):
        """Writes nothing yet.

        Args:
          workdir: of the run.
          me: of heartbeat.this_process.
          index: which process this is.
          count: how many processes the run has.
          limits: how long to wait for others.
          claim: to the workdir, of process 0.
        """
        self.clock = Clock()
        self.step = 0
        self.total_steps = 0
        self.asked = ""  # the signal that asked the run to stop, here or elsewhere
        self.before_end: Callable[[], None] = _nothing
        self.limits = limits
        self.count = count
        self.before = heartbeat.read(workdir).get(index)  # of the start before this one
        self._workdir, self._me, self._index = workdir, me, index
        self._claim = claim
        self._beats = 0
        self._over = threading.Event()
        self._peers: dict[int, tuple[int, float]] = {}  # last beat, and when it changed
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def close(self) -> None:
        """Lets others have the workdir."""
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def check(self) -> None:
        """Raises Stopped if this process was asked to stop."""
        if self.asked:
            raise Stopped(f"Asked to stop ({self.asked}).")

    def progress(self) -> None:
        """Says that the phase goes on: nothing is stuck."""
        self.clock.switch(self.clock.current)

    def __enter__(self) -> "Life":
        """Starts to beat."""
        self._pulse = heartbeat.Pulse(self._workdir, self._index)
        self._signals = signals.noted()
        self._reader = self._signals.__enter__()
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, kind, error: BaseException | None, traceback) -> None:
        """Says how it ended."""
        if error is not None and self.count > 1 and _failed_elsewhere(error):
            # Who it was is known soon; the thread then ends this process and says so.
            time.sleep(self.limits.heartbeat + 2 * heartbeat.EVERY)
        self._over.set()
        self._thread.join()
        ended = "finished" if error is None else "failed"
        if isinstance(error, Stopped):
            ended = "stopped"
        self._beat(ended, "" if error is None else str(error) or repr(error))
        self._pulse.close()
        self._signals.__exit__(None, None, None)
        self.close()

    def _watch(self) -> None:
        due = 0.0
        while not self._over.is_set():
            self._hear()
            if time.monotonic() < due:
                continue
            due = time.monotonic() + heartbeat.EVERY
            beats = heartbeat.read(self._workdir)
            self._check_own(beats)
            self._beat()
            if self.count > 1:
                self._check_peers(beats)
                self._check_stall(beats)

    def _hear(self) -> None:
        """Waits a moment for a signal, and heeds it."""
        ready, _, _ = select.select([self._reader], [], [], 0.2)
        for number in os.read(self._reader, 16) if ready else b"":
            name = signal.Signals(number).name
            if self.asked and number == signal.SIGINT:
                self._end("stopped", f"Ended at once: {name} came again.")
            if not self.asked:
                logger.warning("%s: saving at the next step, then ending.", name)
            self.asked = self.asked or name
        if self.asked and self.clock.current not in HAS_TO_SAVE:
            try:
                self.before_end()
            except Exception as error:  # this thread must not die of it
                self._end("failed", str(error) or repr(error))
            self._end(
                "stopped",
                f"Asked to stop ({self.asked}) in phase '{self.clock.current}': all "
                "steps so far are saved.",
            )

    def _check_own(self, beats: dict[int, Beat]) -> None:
        """Two that claim a workdir at once: who finds another in its place, leaves."""
        mine = beats.get(self._index)
        if self._beats > 1 and mine is not None and mine.run != self._me.run:
            self._end("failed", f"The workdir was taken over by {mine}.", beats=False)

    def _check_peers(self, beats: dict[int, Beat]) -> None:
        now = time.monotonic()
        for index in range(self.count):
            if index == self._index:
                continue
            beat = beats.get(index)
            if beat is not None and beat.run != self._me.run:
                beat = None  # of an earlier run
            last, since = self._peers.setdefault(index, (-1, now))
            if beat is None:
                who = f"Process {index} of the run"
            else:
                who = f"Process {index} of the run ({beat})"
                if beat.ended in ("stopped", "failed"):
                    self._end(beat.ended, f"{who} {beat.ended}: {beat.message}")
                # One that waits for data that hang has no step at which to agree.
                self.asked = self.asked or beat.asked
                if beat.ended or beat.beat != last:
                    self._peers[index] = beat.beat, now
                    continue
            is_dead = beat is not None and heartbeat.is_alive(beat) is False
            if is_dead or now - since > self.limits.heartbeat:
                how = "is dead" if is_dead else f"is silent for {now - since:.0f} s"
                self._end("stopped", f"{who} {how}.")

    def _check_stall(self, beats: dict[int, Beat]) -> None:
        waited, phase = self.clock.waited, self.clock.current
        if phase not in MAY_STALL or waited < self.limits.stall:
            return
        others = {i: b for i, b in beats.items() if b.run == self._me.run}
        if any(b.phase in (phases.START, phases.COMPILE) for b in others.values()):
            return  # which take as long as they take
        behind = {
            i: b for i, b in others.items() if (b.phase, b.step) != (phase, self.step)
        }
        if phase != phases.STEP or not behind:
            behind = {self._index: others[self._index]}
        stuck = "; ".join(f"process {i} ({beat})" for i, beat in behind.items())
        self._end("stopped", f"No progress for {waited:.0f} s: {stuck}.")

    def _beat(self, ended: str = "", message: str = "") -> None:
        self._beats += 1
        self._pulse.write(
            self._me._replace(
                beat=self._beats,
                time=time.time(),
                phase=self.clock.current,
                step=self.step,
                total_steps=self.total_steps,
                asked=self.asked,
                ended=ended,
                message=message,
            )
        )

    def _end(self, ended: str, message: str, beats: bool = True) -> NoReturn:
        """Ends this process, whatever its main thread does."""
        logger.error("%s", message)
        if beats:
            self._beat(ended, message)
        if self._index == 0 and self.count > 1:
            # JAX ends the others when process 0 is gone: they had better say why first.
            time.sleep(2 * heartbeat.EVERY)
        signals.end_at_once(signals.UNFINISHED if ended == "stopped" else 1)


def _failed_elsewhere(error: BaseException) -> bool:
    text = str(error).lower()
    return any(word in text for word in _FAILED_ELSEWHERE)


def _nothing() -> None:
    pass
