"""The ImageNet model at the paper's size on this machine, scanned beside unrolled.

    python -m benchmarks.model --variant=fourier

Two processes, one with the model as it is and one with every layer written out by a
Python loop, run the forward pass and the training step in turn. Printed: seconds to
trace and compile, seconds a run (medians), and peak memory.
"""

import functools
import json
import statistics
import subprocess
import sys
import time

import haiku as hk
import jax
from absl import flags

from benchmarks import figures
from configs import imagenet
from experiments import build, program
from perceiver_jax.engine import evaluation
from perceiver_jax.engine.costs import flops
from perceiver_jax.model import stack

_VARIANT = flags.DEFINE_string("variant", "fourier", "Of configs/imagenet.py.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Images a step.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Timed runs of each program.")
_REMAT = flags.DEFINE_bool("remat", True, "As in the config: recompute layers.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")
_WORKER = flags.DEFINE_enum("worker", None, ["scanned", "unrolled"], "Internal.")

PROGRAMS = ("forward", "train")


def unroll_layers() -> None:
    """Writes every layer out, as a Python loop over layers does, in this process."""

    def repeat(layer, count, name=None):
        def apply(x):
            for _ in range(count):  # a new module, or the shared one, each time
                x = layer(x)
            return x

        return apply

    stack.stacked = stack.shared = repeat
    # Without a scan, recomputation needs its barriers (see stack.remat).
    remat = hk.remat
    hk.remat = lambda layer, policy, prevent_cse: remat(layer, policy=policy)


def make_programs():
    """Returns {name: (function, abstract arguments)} and the task's first batch."""
    config = imagenet.get_config(_VARIANT.value)
    config.batch_size = _BATCH_SIZE.value
    config.data.source = "synthetic"
    config.model.remat = _REMAT.value
    config.precision = "params=float32,compute=float32,output=float32"  # of a CPU
    task = build.make_task(config)
    batch = next(task.train.batches(0, 1000))
    update = build.make_update(config, task.model, 1000)
    state = jax.jit(lambda: update.init(batch))()

    def predict(state, batch):
        variables = evaluation.Variables(state.params, state.model_state)
        return update.forward.apply(*variables, None, batch, False)[0]

    train = functools.partial(update, axis_name=None)
    return {"forward": predict, "train": train}, (state, batch)


def work(kind: str) -> None:
    """Compiles, then runs a program for every name that comes in, and says how long."""
    if kind == "unrolled":
        unroll_layers()
    functions, arguments = make_programs()
    compiled, costs = {}, {}
    for name, function in functions.items():
        start = time.perf_counter()
        lowered = jax.jit(function).lower(*arguments)
        traced = time.perf_counter()
        compiled[name] = lowered.compile()
        memory = compiled[name].memory_analysis()
        assert memory
        costs[name] = {
            "trace": traced - start,
            "compile": time.perf_counter() - traced,
            "gflop": flops.count_flops(function, *arguments) / 1e9,
            "temporaries_gb": memory.temp_size_in_bytes / 1e9,
        }
    print(json.dumps(costs), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        jax.block_until_ready(compiled[line.strip()](*arguments))
        print(time.perf_counter() - start, flush=True)
    peak = figures.peak_gb()
    print(peak, flush=True)


def start_worker(kind: str) -> subprocess.Popen[str]:
    flags_given = [f for f in sys.argv[1:] if not f.startswith("--output")]
    command = [sys.executable, "-m", "benchmarks.model", f"--worker={kind}"]
    return subprocess.Popen(
        [*command, *flags_given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(worker: subprocess.Popen[str], word: str) -> float:
    assert worker.stdin and worker.stdout
    worker.stdin.write(word + "\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def measure() -> dict[str, dict]:
    """Figures of both kinds: compiled one after the other, run in turn."""
    workers, found = {}, {}
    for kind in ("scanned", "unrolled"):
        workers[kind] = worker = start_worker(kind)
        assert worker.stdout
        found[kind] = json.loads(worker.stdout.readline())
    for name in PROGRAMS:
        seconds: dict[str, list[float]] = {kind: [] for kind in workers}
        for repeat in range(_REPEATS.value + 1):
            for kind, worker in workers.items():
                taken = ask(worker, name)
                if repeat:  # the first is a warm-up
                    seconds[kind].append(taken)
        for kind, values in seconds.items():
            found[kind][name]["seconds"] = statistics.median(values)
    for kind, worker in workers.items():
        found[kind]["peak_gb"] = float(worker.communicate()[0])
    return found


def table(found: dict[str, dict]) -> str:
    """A row a figure: scanned, unrolled, and the first over the second."""
    rows = [("", "scanned", "unrolled", "ratio")]

    def add(title, values, digits=2):
        shown = [f"{value:.{digits}f}" for value in values]
        rows.append((title, *shown, f"{values[0] / values[1]:.2f}"))

    kinds = [found["scanned"], found["unrolled"]]
    for name in PROGRAMS:
        of = [kind[name] for kind in kinds]
        add(f"{name}: trace + compile, s", [x["trace"] + x["compile"] for x in of])
        add(f"{name}: a run, s", [x["seconds"] for x in of])
        add(f"{name}: temporaries, GB", [x["temporaries_gb"] for x in of])
        add(f"{name}: GFLOP", [x["gflop"] for x in of], 1)
    add("peak memory of the process, GB", [kind["peak_gb"] for kind in kinds])
    return "\n".join("{:34} {:>10} {:>10} {:>7}".format(*row) for row in rows)


def main(_):
    if _WORKER.value:
        work(_WORKER.value)
        return
    measured = measure()
    print(table(measured))
    if _OUTPUT.value:
        figures.save(_OUTPUT.value, "benchmarks.model", measured)


if __name__ == "__main__":
    program.run(main)
