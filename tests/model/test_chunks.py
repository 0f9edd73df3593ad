"""Long axes cut into chunks: how many, and nothing lost on the way."""

import jax
import numpy as np
import pytest
from jaxprs import all_shapes
from judge import normal

from perceiver_jax.model import chunks


@pytest.mark.parametrize(
    ("length", "count"),
    [
        (1, 1),
        (8, 1),
        (15, 1),  # stays whole, though longer than a chunk
        (16, 2),
        (20, 4),  # not three: four need no padding
        (19, 3),  # a prime: the last chunk is padded
        (22, 3),  # 11 equal ones would be many more than needed
        (182_528, 22_816),
    ],
)
def test_number_of_chunks_of_at_most_eight(length, count):
    assert chunks.num_chunks(length, 8) == count


def test_padding_ends_at_a_multiple_and_is_cut_off_again():
    x = normal(2, 7, 3)
    padded = chunks.pad(x, 4)
    assert padded.shape == (2, 8, 3)
    np.testing.assert_array_equal(padded[:, 7:], 0)
    parts = np.moveaxis(np.reshape(padded, (2, 4, 2, 3)), 1, 0)
    np.testing.assert_array_equal(chunks.join(parts, 7), x)


@pytest.mark.parametrize("length", [12, 10])  # without and with padding
def test_mapping_chunks_is_mapping_all(length):
    x, shared = normal(2, length, 3), normal(1, length, 5, seed=1)

    def add(arrays):
        x, shared = arrays
        return x.sum(-1, keepdims=True) + shared

    mapped = lambda *arrays: chunks.map_chunks(add, arrays, 4, jax.lax.map)
    np.testing.assert_allclose(mapped(x, shared), add((x, shared)), rtol=1e-6)


@pytest.mark.parametrize("length", [24, 19])
def test_a_chunk_has_a_piece_of_every_part(length):
    seen = []

    def note(x):
        seen.append(x[0, :, 0].tolist())
        return x

    loop = lambda visit, arrays: np.stack(
        [visit([x[n] for x in arrays]) for n in range(len(arrays[0]))]
    )
    x = np.arange(2.0 * length).reshape(2, length, 1)
    np.testing.assert_array_equal(chunks.map_chunks(note, x, 3, loop, parts=4), x)
    assert seen[0] == [0, 1, 6, 7, 12, 13, 18, 19 if length > 19 else 0]


def test_arrays_in_between_are_as_long_as_a_chunk():
    def widen(x):
        return (x * np.ones(100, np.float32)).sum(-1, keepdims=True)

    mapped = lambda x: chunks.map_chunks(widen, x, 4, jax.lax.map)
    shapes = all_shapes(jax.make_jaxpr(mapped)(np.ones((2, 12, 1))).jaxpr)
    assert max(map(np.prod, shapes)) == 2 * 3 * 100
