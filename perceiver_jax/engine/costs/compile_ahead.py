"""What a program will cost on a machine that is not at hand, by compiling for it.

`tpu_mesh` gives the devices of a TPU pod; `program_cost` and `collectives` read a
compiled program:

    mesh = tpu_mesh("v4:4x4x4")
    compiled = jax.jit(step).lower(*shapes_with_shardings).compile()
    print(program_cost(compiled), collectives(compiled))

A loop's body is counted as often as it runs. XLA's own `compiled.cost_analysis()`
counts it once, whatever the length, on CPU and on TPU: for a model that scans over its
layers it reports a single layer.
"""

import dataclasses
import functools
import importlib.util
import math
import re
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import topologies

from perceiver_jax.engine.costs import libtpu


@dataclasses.dataclass(frozen=True)
class ProgramCost:
    """What one device does, and holds, to run a compiled program once."""

    flops: float  # as XLA counts them: elementwise work too, so a little over ours
    bytes_accessed: float  # read and written, in main memory or on chip
    argument_bytes: int
    output_bytes: int
    aliased_bytes: int  # outputs that take the place of donated arguments
    temp_bytes: int
    unknown_loops: int  # loops of unknown length, which count as one pass

    @property
    def total_bytes(self) -> int:
        """Memory that the program needs; on TPU, what must fit the device's HBM."""
        held = self.argument_bytes + self.output_bytes - self.aliased_bytes
        return held + self.temp_bytes

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.flops / 1e9:,.0f} GFLOP\n"
            f"{self.bytes_accessed / 1e9:,.2f} GB accessed\n"
            f"{self.argument_bytes / 1e9:,.3f} GB arguments, in place\n"
            f"{self.temp_bytes / 1e9:,.3f} GB temporaries\n"
            f"{self.total_bytes / 1e9:,.3f} GB in all"
        )


def program_cost(compiled: jax.stages.Compiled) -> ProgramCost:
    """Reads the cost of a compiled program, each loop counted as often as it runs.

    To XLA's own figures, which hold one pass of each loop body, it adds the other
    passes: XLA's analysis of the body alone, times the trip count less one. XLA knows
    that a slice of a stacked array costs the slice and not the stack.

    Limits. XLA sees no FLOPs in a custom call: cuBLAS and cuDNN on GPUs, and on TPUs
    the kernels into which its compiler may turn a product with a softmax; there,
    `count_flops` is right. Shapes inside a body count without the padding of the TPU's
    tiles, which XLA does count outside. Loops in several branches of a conditional all
    count.
    """
    # `Any`, since a backend may lack these three; those that we compile for have them.
    analysis: Any = compiled.cost_analysis()
    memory: Any = compiled.memory_analysis()
    program: Any = compiled.as_text()
    flops, bytes_accessed, unknown_loops = _later_passes(program).tolist()
    return ProgramCost(
        flops=analysis.get("flops", 0.0) + flops,
        bytes_accessed=analysis.get("bytes accessed", 0.0) + bytes_accessed,
        argument_bytes=memory.argument_size_in_bytes,
        output_bytes=memory.output_size_in_bytes,
        aliased_bytes=memory.alias_size_in_bytes,
        temp_bytes=memory.temp_size_in_bytes,
        unknown_loops=int(unknown_loops),
    )


# How XLA prints a computation, a loop, and what any other instruction calls.
_COMPUTATION = re.compile(
    r"^(?:ENTRY )?%(\S+) \(.*?\{\n(.*?)^\}$", re.MULTILINE | re.DOTALL
)
_LOOP = re.compile(r" while\(.* condition=%([\w.-]+), body=%([\w.-]+)")
_CALLED = re.compile(r"(?:calls|to_apply|computations?)=\{?(%[\w.-]+(?:, %[\w.-]+)*)")


def _later_passes(program: str) -> np.ndarray:
    """Sums what all loops of an HLO text cost after their first pass.

    Returns:
      [FLOPs, bytes accessed, number of loops of unknown length].
    """
    computations = dict(_COMPUTATION.findall(program))

    @functools.cache
    def later_passes(name: str) -> np.ndarray:
        total = np.zeros(3)
        for line in computations[name].splitlines():
            if loop := _LOOP.search(line):
                condition, body = loop.groups()
                count = _trip_count(line, computations[condition])
                if count is None:
                    total += later_passes(body) + [0, 0, 1]
                else:
                    total += count * later_passes(body)
                    total += (count - 1) * _one_pass(program, body)
            for called in _CALLED.findall(line):
                for callee in called.replace("%", "").split(", "):
                    total += later_passes(callee)
        return total

    entry = program.split("\nENTRY %", 1)[1].split(" ", 1)[0]
    return later_passes(entry)


def _trip_count(loop: str, condition: str) -> int | None:
    """How often a loop runs: XLA's word for it, or its condition's `counter < count`.

    The TPU compiler drops the first. The second holds for what `lax.scan` and
    `lax.fori_loop` become: a counter from zero in steps of one.
    """
    if known := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop):
        return int(known[1])
    test = re.search(r"ROOT .* compare\(\S+ %(\S+)\), direction=LT", condition)
    if test is None:
        return None
    limit = re.search(rf"%{re.escape(test[1])} = .* constant\((\d+)\)", condition)
    return int(limit[1]) if limit else None


def _one_pass(program: str, body: str) -> np.ndarray:
    """[FLOPs, bytes accessed, 0] of one computation, by XLA's own analysis.

    XLA analyses a module from its entry, so the body becomes the entry. What the module
    header says is about the old entry, so it goes.
    """
    # What JAX itself calls, but without a public door.
    from jaxlib import _hlo, _jax  # type: ignore[attr-defined]

    _, computations = program.split("\n", 1)
    computations = computations.replace("\nENTRY %", "\n%")
    computations = computations.replace(f"\n%{body} (", f"\nENTRY %{body} (")
    module = _hlo.hlo_module_from_text(f"HloModule {body}\n{computations}")
    client = jax.local_devices(backend="cpu")[0].client
    cost = _jax.hlo_module_cost_analysis(client, module)
    return np.array([cost.get("flops", 0.0), cost.get("bytes accessed", 0.0), 0.0])


class Traffic(NamedTuple):
    """What one device sends and receives by one kind of collective."""

    times: int  # in one run of the program
    bytes: int  # of the larger of what a device puts in and what it gets out


KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)

# A result's name, its type, the operation, and what goes in.
_INSTRUCTION = re.compile(
    r"^ *(?:ROOT )?%(\S+) = (\(.*?\)|\S+) ([\w-]+)\(([^)]*)\)", re.MULTILINE
)
_ARRAY = re.compile(r"\b(?:pred|[a-z]+(\d+)[a-z\d]*)\[([\d,]*)\]")


def collectives(compiled: jax.stages.Compiled) -> dict[str, Traffic]:
    """Counts what a device exchanges with others in one run, by kind of collective.

    A collective in a loop counts as often as the loop runs (once where the length is
    unknown), one that starts and ends apart counts once, and several arrays that are
    reduced together are one. Bytes are of the larger of what the device puts in and
    what it gets out: the whole array of an all-gather, the array before a
    reduce-scatter cuts it, the array of the others. Over n devices in a ring, (n - 1) /
    n of that passes each link, and twice as much for an all-reduce.

    Returns:
      {kind: (times, bytes)}, of those of KINDS that there are.
    """
    program: Any = compiled.as_text()
    computations = dict(_COMPUTATION.findall(program))
    # The TPU compiler can spread a collective over several fusions and write it down in
    # each; it begins in one.
    begun = set(re.findall(r"custom-call\(%([^ ,)]+).*AsyncCollectiveStart", program))

    @functools.cache
    def traffic(name: str) -> dict[str, Traffic]:
        total: dict[str, Traffic] = {}

        def add(found: dict[str, Traffic], times: int = 1) -> None:
            for kind, (number, size) in found.items():
                before = total.get(kind, Traffic(0, 0))
                total[kind] = Traffic(
                    before.times + times * number, before.bytes + times * size
                )

        lines = {x[1]: x for x in _INSTRUCTION.finditer(computations[name])}
        for line in computations[name].splitlines():
            match = _INSTRUCTION.match(line)
            kind = match[3].removesuffix("-done") if match else ""
            if match and kind in KINDS:
                if "chain_id=" not in line or match[1] in begun:
                    # How the TPU compiler writes it: an all-reduce, then a slice.
                    scatter = name.startswith("all-reduce-scatter")
                    kind = "reduce-scatter" if scatter else kind
                    add({kind: Traffic(1, _exchanged_bytes(match, lines))})
            elif loop := _LOOP.search(line):
                condition, body = loop.groups()
                add(traffic(body), _trip_count(line, computations[condition]) or 1)
            elif kind.removesuffix("-start") not in KINDS:
                for called in _CALLED.findall(line):
                    for callee in called.replace("%", "").split(", "):
                        add(traffic(callee))
        return total

    return traffic(program.split("\nENTRY %", 1)[1].split(" ", 1)[0])


def _exchanged_bytes(match: re.Match[str], lines: dict[str, re.Match[str]]) -> int:
    """The larger of a collective's output and its inputs; `lines` are those around."""
    start = match
    if match[3].endswith("-done"):
        start = lines[match[4].split("%")[-1]]
    inputs = [lines[name] for name in re.findall(r"%([\w.-]+)", start[4])]
    return max(_bytes(match[2]), sum(_bytes(line[2]) for line in inputs))


def _bytes(types: str) -> int:
    """Size of an array, or of a tuple of them, from its type as XLA writes it."""
    return sum(
        math.prod(int(size) for size in sizes.split(",") if size) * int(bits or 8) // 8
        for bits, sizes in _ARRAY.findall(types)
    )


def tpu_mesh(name: str) -> jax.sharding.Mesh:
    """Makes a mesh over a TPU topology, to compile for without any TPU at hand.

    Args:
      name: generation and shape in chips: "v5e:1x1", "v5e:8x8", "v4:4x4x4".

    Returns:
      A mesh with the axis "data", over devices that can be compiled for but not run on.
      A device is a chip, but half a chip on v2 and v3.
    """
    refusal = (
        f"{name!r} is not a TPU topology; v5e:2x2, v5e:8x8, v4:2x2x1, v4:4x4x4 are"
    )
    if not re.fullmatch(r"v\d+[a-z]*:\d+(x\d+)+", name):
        raise ValueError(refusal)
    if importlib.util.find_spec("libtpu") is None:
        raise ImportError(
            "compiling for a TPU needs its compiler: pip install libtpu"
            " (or: pip install -e .[tpu])"
        )
    libtpu.configure()
    options: dict[str, Any] = {}
    if name.startswith("v4:"):
        # Cloud's joins the two cores of a chip into one device; libtpu alone does not.
        options["chip_config_name"] = "megacore"
    if re.search(r":1(x1)+$", name):  # else a host has four chips
        options["chips_per_host_bounds"] = (1, 1, 1)
    try:
        topology = topologies.get_topology_desc(name, platform="tpu", **options)
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"{refusal} ({error})") from error
    auto = jax.sharding.AxisType.Auto
    return jax.sharding.Mesh(np.array(topology.devices), ("data",), axis_types=(auto,))
