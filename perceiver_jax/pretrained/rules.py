"""Which array of ours is which of theirs: tables of rules, read in both directions.

Arrays are named by path: "module/name" here, whatever the other side uses there.

    ours = to_ours(theirs, rules)  # {path: array} -> {path: array}
    theirs = to_theirs(ours, rules)

The second undoes the first exactly.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]  # by path
Tree = Mapping[str, Mapping[str, Any]]  # {module: {name: array}}, Haiku's


class Form(NamedTuple):
    """How one array is laid out there, and back."""

    to_ours: Callable[[np.ndarray], np.ndarray]
    to_theirs: Callable[[np.ndarray], np.ndarray]


SAME = Form(lambda x: x, lambda x: x)
TRANSPOSED = Form(np.transpose, np.transpose)  # [in, out] here, [out, in] there
# A 1x1 convolution there, a linear map here.
KERNEL_HWIO = Form(lambda x: _one_cell(x, (0, 1)), lambda x: x[None, None])
KERNEL_OIHW = Form(lambda x: _one_cell(x, (2, 3)).T, lambda x: x.T[:, :, None, None])
CONVOLUTION_OIHW = Form(
    lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1)
)


class Rule(NamedTuple):
    """One array's path and layout.

    `theirs` may hold {layer} or {_layer} where layers are numbered that we stack:
    0, 1, 2, ... or nothing, _1, _2, ...
    """

    ours: str
    theirs: str
    form: Form = SAME

    @property
    def stacked(self) -> bool:
        """Whether the path stands for many layers."""
        return self.theirs != self.their_path(1)

    def their_path(self, layer: int) -> str:
        """Returns the path of one layer, or of the one array that there is."""
        suffix = f"_{layer}" if layer else ""
        return self.theirs.replace("{layer}", str(layer)).replace("{_layer}", suffix)


def to_ours(theirs: Arrays, rules: Sequence[Rule]) -> dict[str, np.ndarray]:
    """Returns their arrays by our paths, with layers stacked.

    Raises:
      ValueError: arrays that no rule names, all of them, or a layout that a rule does
        not expect.
    """
    left = dict(theirs)
    ours = {}
    for rule in rules:
        arrays: list[np.ndarray] = []
        while (path := rule.their_path(len(arrays))) in left:
            try:
                arrays.append(rule.form.to_ours(np.asarray(left.pop(path))))
            except (ValueError, IndexError) as error:
                raise ValueError(f"{path}: {error}") from error
        if len({array.shape for array in arrays}) > 1:
            raise ValueError(f"The layers of {rule.theirs} differ in shape.")
        if arrays:
            ours[rule.ours] = np.stack(arrays) if rule.stacked else arrays[0]
    _refuse(left)
    return ours


def to_theirs(ours: Arrays, rules: Sequence[Rule]) -> dict[str, np.ndarray]:
    """The inverse of `to_ours`."""
    left = dict(ours)
    theirs = {}
    for rule in rules:
        if rule.ours not in left:
            continue
        array = np.asarray(left.pop(rule.ours))
        for number, layer in enumerate(array if rule.stacked else [array]):
            theirs[rule.their_path(number)] = rule.form.to_theirs(layer)
    _refuse(left)
    return theirs


def flatten(tree: Tree) -> dict[str, np.ndarray]:
    """{module: {name: array}} to {"module/name": array}."""
    return {
        f"{module}/{name}": np.asarray(array)
        for module, arrays in tree.items()
        for name, array in arrays.items()
    }


def unflatten(arrays: Arrays) -> dict[str, dict[str, np.ndarray]]:
    """{"module/name": array} to {module: {name: array}}."""
    tree: dict[str, dict[str, np.ndarray]] = {}
    for path, array in arrays.items():
        module, name = path.rsplit("/", 1)
        tree.setdefault(module, {})[name] = array
    return tree


def shapes(tree: Tree) -> dict[str, tuple[int, ...]]:
    """{module: {name: array}} to {"module/name": shape}; shapes alone do as arrays."""
    return {
        f"{module}/{name}": tuple(x.shape)
        for module, arrays in tree.items()
        for name, x in arrays.items()
    }


def check_shapes(
    found: Arrays, wanted: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Raises ValueError naming every array that is missing, too many or misshapen."""
    lines = []
    for path in sorted(wanted.keys() | found.keys()):
        if path not in found:
            lines.append(f"  {path}: missing, of shape {wanted[path]}")
        elif path not in wanted:
            lines.append(f"  {path}: not in the model, of shape {found[path].shape}")
        elif found[path].shape != wanted[path]:
            shape = found[path].shape
            lines.append(f"  {path}: {shape} in the file, {wanted[path]} in the model")
    if lines:
        raise ValueError(
            f"{where} holds another model than the config says. Choose another --model "
            "or set fields, such as --config.model.num_latents or "
            f"--config.data.num_classes. {len(lines)} arrays differ:\n"
            + "\n".join(lines)
        )


def _refuse(left: Arrays) -> None:
    if left:
        listed = "\n".join(f"  {name}: {left[name].shape}" for name in sorted(left))
        raise ValueError(f"{len(left)} arrays are not of this model:\n{listed}")


def _one_cell(kernel: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    if kernel.ndim != 4 or {kernel.shape[axis] for axis in axes} != {1}:
        raise ValueError(f"a kernel of shape {kernel.shape} is no 1x1 convolution.")
    return kernel.squeeze(axes)
