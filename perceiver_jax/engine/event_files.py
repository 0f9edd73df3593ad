"""TensorBoard's event files: written at once, and cut back where a run goes on.

A file is a row of records: length [8 bytes], its checksum [4], an Event, and its
checksum [4].
"""

import io
import logging
import pathlib
import socket
import struct
import time
import wave
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from google.protobuf import message
from tensorboardX import summary
from tensorboardX.crc32c import crc32c
from tensorboardX.proto import event_pb2, summary_pb2
from tensorboardX.record_writer import RecordWriter

logger = logging.getLogger(__name__)


class EventFile:
    """Writes a new event file; what was flushed is there after a kill."""

    def __init__(self, folder: pathlib.Path, start_step: int):
        """Makes one in `folder`, for steps after `start_step`."""
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names.
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}"
        self._records = RecordWriter(str(folder / name))
        self._write(event_pb2.Event(file_version="brain.Event:2"))
        # A TensorBoard that has read later steps, which come again, forgets them.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(event_pb2.Event(step=start_step + 1, session_log=start))
        self._records.flush()

    def scalar(self, step: int, name: str, value: float) -> None:
        """Writes a number."""
        scalar = summary_pb2.Summary.Value(tag=name, simple_value=value)
        self._summary(step, summary_pb2.Summary(value=[scalar]))

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Writes an image [h, w, 3] uint8."""
        self._summary(step, summary.image(name, picture, dataformats="HWC"))

    def text(self, step: int, name: str, text: str) -> None:
        """Writes Markdown."""
        self._summary(step, summary.text(name, text))

    def sound(self, step: int, name: str, samples: np.ndarray, rate: int) -> None:
        """Writes samples [n] from -1 to 1, at so many a second; louder is clipped."""
        wav = io.BytesIO()
        with wave.open(wav, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            levels = np.round(np.clip(samples, -1, 1) * 32_767)
            file.writeframes(levels.astype("<i2").tobytes())
        audio = summary_pb2.Summary.Audio(
            sample_rate=rate,
            num_channels=1,
            length_frames=len(samples),
            encoded_audio_string=wav.getvalue(),
            content_type="audio/wav",
        )
        value = summary_pb2.Summary.Value(tag=name, audio=audio)
        self._summary(step, summary_pb2.Summary(value=[value]))

    def flush(self) -> None:
        """Brings what was written to the disk."""
        self._records.flush()

    def close(self) -> None:
        """Closes the file."""
        self._records.close()

    def _summary(self, step: int, content: summary_pb2.Summary) -> None:
        self._write(event_pb2.Event(step=step, summary=content))

    def _write(self, event: event_pb2.Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def read(path: pathlib.Path) -> Iterator[tuple[bytes, event_pb2.Event]]:
    """Yields the records of a file, and the events in them.

    It ends before half a record, of a run that was killed, and, with a warning, before
    a damaged one: TensorBoard reads no further either.
    """
    with path.open("rb") as file:
        try:
            while record := _read_record(file):
                yield record, event_pb2.Event.FromString(record[12:-4])
        except (ValueError, message.DecodeError):
            logger.warning(
                "%s is damaged %d bytes from its start: what follows is left out. "
                "metrics.jsonl has the numbers.",
                *(path, file.tell()),
            )


def _read_record(file: BinaryIO) -> bytes:
    head = file.read(12)
    if len(head) < 12:
        return b""
    length, checksum = struct.unpack("<QI", head)
    if checksum != _masked(head[:8]):
        raise ValueError("the checksum of its length differs")
    rest = file.read(length + 4)
    return head + rest if len(rest) == length + 4 else b""


def _masked(data: bytes) -> int:
    """Returns the checksum of a record's parts, as TensorFlow defines it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def drop(folder: pathlib.Path, is_kept: Callable[[int, str], bool]) -> None:
    """Leaves out of a folder's event files what is not kept, and half records.

    Args:
      folder: may be missing.
      is_kept: (step, tag) -> whether to keep a value of the step; the tag is "" of
        events that have none.
    """
    for path in sorted(folder.glob("*tfevents*")):
        part = path.with_name(f"{path.name.replace('tfevents', 'part')}")
        with part.open("wb") as file:
            for record, event in read(path):
                tags = [value.tag for value in event.summary.value] or [""]
                if all(is_kept(event.step, tag) for tag in tags):
                    file.write(record)
        if part.stat().st_size == path.stat().st_size:
            part.unlink()
        else:
            part.replace(path)
