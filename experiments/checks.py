"""What the fields of a config may be, looked at before anything is built.

The fields that all tasks have are below; a task's own are the RANGES of its fields.py.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ml_collections import config_dict

from perceiver_jax.engine.checkpoints import description


class Allowed(Protocol):
    """The values that a field may have."""

    def problem(self, value: Any) -> str:
        """Returns what a value must be, where it is not; else nothing."""


@dataclasses.dataclass(frozen=True)
class Number:
    """From `low` to `high`, both of them included unless the end is open."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def problem(self, value: Any) -> str:
        """See `Allowed`."""
        if (
            isinstance(value, int | float)
            and (self.low < value if self.open_low else self.low <= value)
            and (value < self.high if self.open_high else value <= self.high)
            and math.isfinite(value)
        ):
            return ""
        low = f"{'more than' if self.open_low else 'at least'} {self.low:g}"
        high = f"{'less than' if self.open_high else 'at most'} {self.high:g}"
        ends = [
            end for end, at in ((low, self.low), (high, self.high)) if math.isfinite(at)
        ]
        if ends and isinstance(value, float) and not math.isfinite(value):
            ends.insert(0, "finite")
        return " and ".join(ends) or "a finite number"


@dataclasses.dataclass(frozen=True)
class Each:
    """A sequence of `count` values, or of any number of them, each allowed."""

    allowed: Allowed
    count: int | None = None
    example: Sequence[Any] = ()

    def problem(self, value: Any) -> str:
        """See `Allowed`."""
        is_sequence = isinstance(value, list | tuple)
        fits = is_sequence and self.count in (None, len(value))
        parts = [self.allowed.problem(part) for part in value] if fits else []
        if fits and not any(parts):
            return ""
        count = "" if self.count is None else f"{self.count} "
        what = next(filter(None, parts), "")
        each = f", each {what}" if what else ""
        such = f", such as {tuple(self.example)}" if self.example else ""
        return f"a tuple of {count}values{each}{such}"


@dataclasses.dataclass(frozen=True)
class Rising:
    """A low and a high end, each within `allowed`."""

    allowed: Allowed

    def problem(self, value: Any) -> str:
        """See `Allowed`."""
        found = Each(self.allowed, 2).problem(value)
        if not found and value[0] > value[1]:
            return "a low end, then a high one"
        return found


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of some words."""

    words: Sequence[str]

    def problem(self, value: Any) -> str:
        """See `Allowed`."""
        return "" if value in self.words else f"one of {', '.join(self.words)}"


COUNT = Number(1)
SIZE = Number(0)
SHARE = Number(0, 1)
PIXELS = Each(COUNT, 2, (64, 64))  # height and width

# Of configs/base.py.
RANGES: Mapping[str, Allowed] = {
    "seed": SIZE,
    "batch_size": COUNT,
    "eval_batch_size": COUNT,
    "epochs": SIZE,
    "steps": SIZE,
    "accumulate": COUNT,
    "compile": OneOf(("jit", "pmap")),
    "sharding": OneOf(("replicated", "fsdp", "tensor", "inputs")),
    "sharding_devices": SIZE,
    "log_every": COUNT,
    "eval_every": COUNT,
    "checkpoint_every": COUNT,
    "keep_last": COUNT,
    "keep_best": SIZE,
    "heartbeat_limit": Number(5),
    "stall_limit": Number(5),
    "optimizer.name": OneOf(("lamb", "adamw")),
    "optimizer.learning_rate": SIZE,
    "optimizer.reference_batch_size": SIZE,
    "optimizer.schedule": OneOf(
        ("constant", "flat_cosine", "warmup_cosine", "step_decay")
    ),
    "optimizer.flat_fraction": SHARE,
    "optimizer.warmup_steps": SIZE,
    "optimizer.decay_fractions": Each(SHARE),
    "optimizer.weight_decay": SIZE,
    "optimizer.clip_norm": SIZE,
    "optimizer.b1": Number(0, 1, open_high=True),
    "optimizer.b2": Number(0, 1, open_high=True),
    "optimizer.eps": SIZE,
    "model.num_latents": COUNT,
    "model.latent_channels": COUNT,
    "model.latent_init_scale": SIZE,
    "model.num_cross_attends": COUNT,
    "model.num_blocks": COUNT,
    "model.layers_per_block": SIZE,
    "model.num_cross_heads": COUNT,
    "model.num_self_heads": COUNT,
    "model.num_decoder_heads": COUNT,
    "model.qk_channels": SIZE,
    "model.v_channels": SIZE,
    "model.decoder_qk_channels": SIZE,
    "model.decoder_v_channels": SIZE,
    "model.query_chunk": SIZE,
    "model.cross_widening": COUNT,
    "model.self_widening": COUNT,
    "model.decoder_widening": COUNT,
    "model.dropout": Number(0, 1, open_high=True),
    "model.gelu": OneOf(("tanh", "exact")),
}


def check(config: config_dict.ConfigDict, ranges: Mapping[str, Allowed]) -> None:
    """Raises ValueError naming every field of a config that has no allowed value.

    A field that the config has not is passed over: a task may have no such part.
    """
    flat = description.flatten(config.to_dict())
    problems = [
        f"{field}={flat[field]!r} must be {problem}."
        for field, allowed in ranges.items()
        if field in flat and (problem := allowed.problem(flat[field]))
    ]
    if problems:
        raise ValueError("\n".join(problems))


def check_known(field: str, word: str, known: Iterable[str]) -> None:
    """Raises ValueError, with what there is, if a field's word is not known."""
    names = list(known)
    if word not in names:
        raise ValueError(f"{field}='{word}' is unknown: use {', '.join(names)}.")
