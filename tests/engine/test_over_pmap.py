"""Data parallel by pmap; what it shares with a mesh is in test_sharding.py."""

import numpy as np

from perceiver_jax.engine.over_pmap import OverPmap


def test_every_device_has_its_rows_and_the_whole_state():
    parallel, batch = OverPmap(), {"x": np.arange(48.0).reshape(16, 3)}
    placed = parallel.place_batch(batch)["x"]
    assert placed.shape == (parallel.batch_parts, 2, 3) == (8, 2, 3)
    np.testing.assert_array_equal(placed[3], batch["x"][6:8])
    state = parallel.initialize(lambda: {"w": np.arange(3.0)})
    assert [len(shard.data) for shard in state["w"].addressable_shards] == [1] * 8
    np.testing.assert_array_equal(parallel.to_save(state)["w"], np.arange(3.0))
