"""Installs perceiver_jax; constraints.txt has the versions that it was tested with."""

import setuptools

TEST = [
    "jax[tpu]",  # for its compiler: tests compile for TPU pods without one
    "pytest>=8",
    "pytest-xdist>=3.6",
]

setuptools.setup(
    name="perceiver_jax",
    version="0.1.0",
    description="Perceiver and Perceiver IO in JAX and Haiku",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=setuptools.find_packages(
        include=["perceiver_jax*", "configs*", "experiments*"]
    ),
    install_requires=[
        "absl-py>=2.1",
        "av>=14",
        "dm-haiku>=0.0.16",
        "einops>=0.8",
        "grain>=0.2.12",
        "jax>=0.10.1",
        "jmp>=0.0.4",
        "matplotlib>=3.9",
        "ml-dtypes>=0.5",
        "ml-collections>=1.0",
        "numpy>=2.0",
        "opencv-python-headless>=4.10",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.11.30",
        "pillow>=11",
        "safetensors>=0.5",
        "scikit-learn>=1.5",
        "scipy>=1.14",
        "sentencepiece>=0.2.1",
        "tensorboardX>=2.6",
        "tensorflow-datasets>=4.9.9",
    ],
    extras_require={
        "cuda": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
        "test": TEST,
        "dev": [*TEST, "mypy>=1.15", "ruff>=0.12"],
    },
)
