"""libtpu, the TPU's compiler and runtime, on machines that have no TPU."""

import os

import jax  # noqa: F401  whose import finds out whether there is a TPU


def configure() -> None:
    """Tells libtpu where it runs, on a machine without a TPU; on others, does nothing.

    Else it complains in every program that no cloud told it: unless JAX_PLATFORMS says
    otherwise, JAX tries libtpu, where it is installed, before it takes another device.
    That choice stays JAX's. To be called before JAX makes its devices.
    """
    if os.environ.get("TPU_SKIP_MDS_QUERY") == "1":  # JAX sets it where there is no TPU
        # Any valid values do, to compile for any topology.
        os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
        os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5e-4")
        # With no TPU to share, nothing forbids several processes to compile for one.
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
