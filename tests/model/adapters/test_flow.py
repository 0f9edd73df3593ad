"""Frames as inputs, and outputs as flow."""

import functools

import haiku as hk
import jax
import numpy as np
import pytest

from perceiver_jax.model import position
from perceiver_jax.model.adapters import flow, image


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def transform(function, *args):
    transformed = hk.transform(function)
    params = transformed.init(jax.random.key(0), *args)
    return params, lambda params, *args: transformed.apply(params, None, *args)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("concat_frames", [True, False])
def test_inputs_are_patches_and_positions(size, concat_frames):
    """Against loops over the pixels of both frames."""
    frames = normal(2, 2, 4, 5, 3)
    resolution = (6, 7) if concat_frames else (2, 6, 7)
    make = functools.partial(
        flow.FlowInputs,
        functools.partial(flow.PixelPatches, size, 8),
        functools.partial(position.FourierPosition, 2, resolution),
        concat_frames,
    )
    params, apply = transform(lambda x: make()(x), frames)
    name = "flow_inputs/pixel_patches/linear"
    params[name]["b"] = normal(8, seed=1)
    w, b = params[name]["w"], params[name]["b"]
    inputs = np.asarray(apply(params, frames))
    padded = np.pad(frames, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
    grid = np.asarray(
        position.grid_fourier_features(
            (4, 5) if concat_frames else (2, 4, 5), 2, resolution
        )
    )
    reach = size // 2
    for y in range(4):
        for x in range(5):
            around = padded[
                :, :, y + 1 - reach : y + 2 + reach, x + 1 - reach : x + 2 + reach
            ]
            if concat_frames:
                patch = np.moveaxis(around, 1, 3).reshape(2, -1)
                expected = np.concatenate(
                    [patch @ w + b, np.tile(grid[5 * y + x], (2, 1))], -1
                )
                np.testing.assert_allclose(inputs[:, 5 * y + x], expected, atol=1e-5)
                continue
            for t in range(2):
                place = 20 * t + 5 * y + x
                patch = around[:, t].reshape(2, -1)
                expected = np.concatenate(
                    [patch @ w + b, np.tile(grid[place], (2, 1))], -1
                )
                np.testing.assert_allclose(inputs[:, place], expected, atol=1e-5)
    assert inputs.shape[1] == (20 if concat_frames else 40)


@pytest.mark.parametrize(
    ("stem", "concat_frames", "shape"),
    [
        (functools.partial(flow.PixelPatches, 3, 64), True, (8 * 12, 322)),
        (functools.partial(flow.PixelPatches, 3, 64), False, (2 * 8 * 12, 451)),
        (functools.partial(image.ConvStem, 64), True, (2 * 3, 322)),
        (functools.partial(image.ConvStem, 64), False, (2 * 2 * 3, 451)),
    ],
)
def test_inputs_have_the_papers_widths(stem, concat_frames, shape):
    """Perceiver IO, tables 5 and 6; queries are the first frame's inputs."""
    resolution = (8, 12) if concat_frames else (2, 8, 12)
    make_position = functools.partial(position.FourierPosition, 64, resolution)

    def run(frames):
        module = flow.FlowInputs(stem, make_position, concat_frames)
        inputs = module(frames, True)
        return inputs, module.queries(inputs)

    frames = normal(1, 2, 8, 12, 3)
    transformed = hk.transform_with_state(run)
    variables = transformed.init(jax.random.key(0), frames)
    (inputs, queries), _ = transformed.apply(*variables, None, frames)
    assert inputs.shape == (1, *shape)
    assert queries.shape == (1, shape[0] // (1 if concat_frames else 2), shape[1])


@pytest.mark.parametrize(
    "shape", [(2, 8, 9, 3), (1, 3, 8, 9, 3), (1, 2, 8, 9, 1), (1, 2, 8, 9, 4)]
)
def test_frames_of_another_shape_are_refused(shape):
    make_position = functools.partial(position.FourierPosition, 2, (8, 8))
    stem = functools.partial(flow.PixelPatches, 3, 8)
    with pytest.raises(ValueError, match=r"must be \[B, 2, H, W, 3\]"):
        transform(lambda x: flow.FlowInputs(stem, make_position)(x), normal(*shape))


def test_outputs_become_pixels():
    outputs = normal(2, 12, 2)
    found = flow.to_flow(outputs, (3, 4))
    np.testing.assert_allclose(found[1, 2, 3], 0.2 * outputs[1, 11], rtol=1e-6)


@pytest.mark.parametrize("shape", [(8, 12), (7, 10)])
def test_upsampled_flow_is_a_convex_combination_of_nine_cells(shape):
    """Against loops over the pixels."""
    outputs = 3 * normal(2, 2 * 3, flow.upsampled_channels(4))
    found = np.asarray(flow.upsample(outputs, shape, 4))
    coarse = np.pad(
        0.2 * outputs[..., :2].reshape(2, 2, 3, 2),
        [(0, 0), (1, 1), (1, 1), (0, 0)],
        mode="edge",
    )
    logits = outputs[..., 2:].reshape(2, 2, 3, 9, 4, 4)
    weights = np.exp(logits) / np.exp(logits).sum(3, keepdims=True)
    assert found.shape == (2, *shape, 2)
    for y in range(shape[0]):
        for x in range(shape[1]):
            row, column = y // 4, x // 4
            around = coarse[:, row : row + 3, column : column + 3].reshape(2, 9, 2)
            share = weights[:, row, column, :, y % 4, x % 4]
            expected = (share[..., None] * around).sum(1)
            np.testing.assert_allclose(found[:, y, x], expected, atol=1e-5)


def test_a_constant_flow_stays_constant_when_upsampled():
    outputs = normal(1, 6, flow.upsampled_channels(4))
    outputs[..., :2] = [5, -10]
    found = flow.upsample(outputs, (8, 12), 4)
    np.testing.assert_allclose(found, np.tile([1.0, -2.0], (1, 8, 12, 1)), rtol=1e-5)
