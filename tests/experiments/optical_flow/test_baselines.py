"""Classic methods beside a model."""

import numpy as np
import programs

from experiments.optical_flow import baselines


def test_classic_methods_stand_beside_the_model(trained_flow):
    done = programs.run(
        "experiments.optical_flow.baselines", f"--workdir={trained_flow}"
    )
    for name in ("sintel_clean", "kitti_2015"):
        table = done.stdout[done.stdout.index(f"\n{name} ") :].splitlines()[1:6]
        header, *rows = table
        assert header.split()[:3] == [name, "epe", "epe_matched"]
        assert [row[:20].strip() for row in rows] == [
            "no motion",
            "Farneback",
            "DIS",
            "this model",
        ]
        assert all(float(row[20:].split()[0]) > 0 for row in rows)


def test_methods_find_a_shift_that_no_motion_does_not():
    """Smooth noise, shifted by two pixels to the right and one up."""
    rng = np.random.default_rng(0)
    noise = np.kron(rng.uniform(-1, 1, (14, 14, 3)), np.ones((6, 6, 1)))
    frames = np.stack([noise[1:65, 2:66], noise[2:66, :64]])
    batch = {
        "frames": frames[None].astype(np.float32),
        "flow": np.broadcast_to(np.float32([2, -1]), (1, 64, 64, 2)),
        "valid": np.ones((1, 64, 64), bool),
        "damaged": np.zeros((1, 64, 64), bool),
        "mask": np.ones(1, np.float32),
    }
    errors = {
        name: baselines.evaluate(method, [batch])["epe"]
        for name, method in baselines.METHODS.items()
    }
    np.testing.assert_allclose(errors["no motion"], np.sqrt(5), rtol=1e-6)
    assert errors["Farneback"] < 1 and errors["DIS"] < 0.5
