"""The TPU's compiler on a machine without a TPU."""

import os


def be_quiet() -> None:
    """Keeps libtpu from telling at length that there is no TPU.

    To be called when JAX is imported and before it looks for devices. Nothing is done
    on a machine with a TPU.
    """
    if os.environ.get("TPU_SKIP_MDS_QUERY") == "1":
        # JAX sets this where there is no TPU. These two keep libtpu from complaining
        # that no cloud told it where it runs. Any valid values do for all topologies.
        os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
        os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5e-4")
        # With no TPU to share, nothing forbids several processes to load it.
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
