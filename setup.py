"""Installs the library, perceiver_jax. Programs and configs run from a checkout.

constraints-*.txt have the versions that everything was tested with.
"""

import setuptools

MATPLOTLIB = "matplotlib>=3.9"
SCIKIT_LEARN = "scikit-learn>=1.5"

# Heavy libraries that one kind of data or program needs; perceiver_jax.extras names
# the extra where one is missing.
EXTRAS = {
    "demo": ["mlxtend>=0.23", SCIKIT_LEARN],
    "digits": [SCIKIT_LEARN],
    "flow": ["opencv-python-headless>=4.10", MATPLOTLIB, SCIKIT_LEARN],
    "plots": [MATPLOTLIB],
    "points": ["h5py>=3.12", MATPLOTLIB, "scikit-image>=0.25", "trimesh>=4.5"],
    "scores": [SCIKIT_LEARN],
    "sweep": [MATPLOTLIB, "rich>=13.7", "submitit>=1.5.2"],
    "tables": [SCIKIT_LEARN, MATPLOTLIB],
    "text": ["sentencepiece>=0.2.1"],
    "tfds": ["tensorflow-datasets>=4.9.9"],
    "video": ["av>=14", MATPLOTLIB],
}
ALL = sorted({library for extra in EXTRAS.values() for library in extra})

setuptools.setup(
    name="perceiver-haiku",  # perceiver-jax is another's on PyPI
    version="0.1.0",
    description="Perceiver and Perceiver IO in JAX and Haiku",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=setuptools.find_packages(include=["perceiver_jax*"]),
    install_requires=[
        "absl-py>=2.1",
        "dm-haiku>=0.0.16",
        "einops>=0.8",
        "grain>=0.2.12",
        "jax>=0.10.1,<0.13",
        "jmp>=0.0.4",
        "ml-dtypes>=0.5",
        "ml-collections>=1.0",
        "numpy>=2.0",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.11.30",
        "pillow>=11",
        "safetensors>=0.5",
        "scipy>=1.14",
        "tensorboardX>=2.6",
    ],
    extras_require={
        **EXTRAS,
        "all": ALL,
        "cuda": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
        "dev": [
            *ALL,
            "jax[tpu]",  # for its compiler: tests compile for TPU pods without one
            "mypy>=1.15",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.12",
            "setuptools>=77",  # a test builds the wheel
        ],
    },
)
