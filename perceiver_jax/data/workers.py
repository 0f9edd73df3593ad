"""Worker processes that make batches."""

import multiprocessing
import os
import threading


def end_with_parent(*_: int) -> None:
    """Sees to it that this worker does not outlive its program, however that ends."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # on a pipe, which the system closes after a SIGKILL too
        os._exit(1)
