"""Prepares a TFDS dataset in array_record format, without TensorFlow.

    python -m scripts.prepare_tfds --name=cifar10 --data_dir=DATA

Most datasets download themselves. Where the archives must be downloaded by hand, TFDS's
page of the dataset says so: put them into a folder and name it with --manual_dir. The
configs in configs/ have the command for their data.
"""

import glob
import importlib.resources
import importlib.util
import io
import os
import types
from collections.abc import Sequence

import tensorflow_datasets as tfds
import tensorflow_datasets.text  # noqa: F401  makes datasets of text known
from absl import flags
from PIL import Image

from experiments import program
from perceiver_jax.data.tfds import make_builder

_NAME = flags.DEFINE_string("name", None, "TFDS dataset.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where to write; None: TFDS's own.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Archives downloaded by hand.")


def _rgb_jpeg(encoded: bytes) -> bytes:
    """An image of any format as a JPEG file of RGB pixels."""
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(encoded)).convert("RGB").save(jpeg, "JPEG", quality=100)
    return jpeg.getvalue()


def _stand_in_for_tensorflow() -> None:
    """Gives dataset builders the few things that they want from missing packages.

    They open and find files through `tf.io.gfile`, and convert CMYK and PNG files that
    stand among JPEGs through TensorFlow.
    """
    gfile = types.SimpleNamespace(
        GFile=open,
        exists=os.path.exists,
        glob=glob.glob,
        isdir=os.path.isdir,
        listdir=os.listdir,
        walk=os.walk,
    )
    # The module that a lazy import found is cached here. An entry in sys.modules
    # would convince other packages that TensorFlow is installed.
    lazy = tfds.core.utils.lazy_imports_utils.tensorflow
    vars(lazy)["_module"] = types.SimpleNamespace(io=types.SimpleNamespace(gfile=gfile))
    tfds.core.utils.jpeg_cmyk_to_rgb = _rgb_jpeg
    tfds.core.utils.png_to_jpeg = _rgb_jpeg


def main(_: Sequence[str]) -> None:
    """Downloads, converts and lists the splits."""
    if importlib.util.find_spec("tensorflow") is None:
        _stand_in_for_tensorflow()
    # TFDS 4.9 imports this backport, but does not require it.
    tfds.core.dataset_builder.importlib_resources = importlib.resources

    builder = make_builder(_NAME.value, _DATA_DIR.value, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=_MANUAL_DIR.value, try_download_gcs=False
        )
    )
    print(f"{builder.info.full_name} is prepared in {builder.data_dir}")
    for split, info in builder.info.splits.items():
        print(f"  {split}: {info.num_examples} examples, {info.num_shards} files")


if __name__ == "__main__":
    program.run(main)
