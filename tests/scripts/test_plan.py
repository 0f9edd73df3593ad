"""The plan of a run, as a user starts it."""

import re

from programs import environment, run

SMALL = (
    "--config=configs/digits.py",
    "--config.model.num_latents=4",
    "--config.model.latent_channels=16",
    "--config.model.layers_per_block=1",
    "--config.data.source=tfds",
    "--config.data.dir=/none",
)


def plan(monkeypatch, *flags):
    """The report, and its rows as {column: cell}."""
    # libtpu ends the process at flags for CPUs.
    flags_left = re.sub(r"--xla_cpu\S+", "", environment()["XLA_FLAGS"])
    monkeypatch.setenv(
        "XLA_FLAGS", flags_left + " --xla_force_host_platform_device_count=1"
    )
    lines = run("scripts.plan", *SMALL, *flags).stdout.splitlines()
    cells = [[c.strip() for c in x.split("|")[1:-1]] for x in lines if x[:1] == "|"]
    return lines, [dict(zip(cells[0], row)) for row in cells[2:]]


def test_a_run_is_planned_without_data(monkeypatch, tmp_path):
    lines, rows = plan(
        monkeypatch,
        *("--topologies=v5e:2x2,v9:2x2", "--batch=16,18", "--config.steps=90000"),
        *("--dollars_per_chip_hour=v5e=1.5", f"--output={tmp_path}/plan.md"),
    )
    assert (tmp_path / "plan.md").read_text().splitlines() == lines
    assert lines[0].startswith("`python -m scripts.plan --config=configs/digits.py")
    assert re.match(r"\d{4}-\d\d-\d\d, jax [\d.]+, libtpu [\d.]+\.", lines[2])
    good, unknown, uneven, _ = rows
    assert (good["topology"], good["batch"], good["a device"]) == ("v5e:2x2", "16", "4")
    assert good["fits"] == "yes, 0%" and good["in all"].endswith("kB")
    assert re.fullmatch(r"1 all-reduce: 2\d\.\d kB", good["collectives"])
    hours = 90_000 / float(good["steps/s"].replace(",", "")) / 3600
    assert abs(float(good["hours"]) / hours - 1) < 0.01
    assert good["bound by"] in ("compute", "memory") and good["dollars"] == "0"
    # What can't be compiled is a row that says why.
    assert "no chip 'v9' is known" in unknown["fits"]
    assert "batch_size=18 is not divisible by 4 devices" in uneven["fits"]


def test_wrong_prices_are_told():
    flags = (*SMALL, "--dollars_per_chip_hour=v5e:1.5")
    said = run("scripts.plan", *flags, fails=True).stderr
    assert "--dollars_per_chip_hour: 'v5e:1.5' should be like v5e=1.2" in said
