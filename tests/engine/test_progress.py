"""Progress tells how fast training goes and how long it will take."""

import pytest

from perceiver_jax.cluster import phases
from perceiver_jax.engine import progress


def test_progress_tells_rates_and_the_time_left(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    clock = phases.Clock()
    rates = progress.Progress(0, 3700, batch_size=4, epoch=80, clock=clock)
    clock.seconds[phases.DATA], now[0] = 1.0, 3.0
    with caplog.at_level("INFO", logger="perceiver_jax"):
        found = rates.report(10, {"loss": 0.25})
    assert found == {"steps_per_second": 10 / 3, "data_wait": 1 / 3}
    for told in ("step 10/3700", "epoch 0.50", "loss 0.25", "13.33 examples/s"):
        assert told in caplog.text
    assert "data wait 33%" in caplog.text and "ETA 18m27s" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0m00s"), (59.6, "1m00s"), (3600 * 30 + 61, "30h01m")]
)
def test_time_as_a_clock_tells_it(seconds, told):
    assert progress._hours(seconds) == told
