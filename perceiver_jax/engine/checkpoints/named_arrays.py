"""The arrays of a tree by name, and whether two trees have the same ones."""

from typing import Any

import jax

Shapes = dict[str, tuple[tuple[int, ...], str]]  # name to shape and type


def leaves(tree: Any) -> dict[str, Any]:
    """Names the arrays of a tree: {"module/name": array}."""

    def name(path):
        return "/".join(jax.tree_util.keystr((key,), simple=True) for key in path)

    return {name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def shapes_of(tree: Any) -> Shapes:
    """Returns the shape and type of every array of a tree, by name."""
    return {k: (tuple(x.shape), str(x.dtype)) for k, x in leaves(tree).items()}


def check_same_arrays(saved: Shapes, wanted: Shapes, where: str) -> None:
    """Raises ValueError, naming the first differences, unless both are the same."""
    differences = []
    for name in sorted(saved.keys() | wanted.keys()):
        if name not in saved:
            differences.append(f"  {name}: only in this model, {wanted[name]}")
        elif name not in wanted:
            differences.append(f"  {name}: only in the checkpoint, {saved[name]}")
        elif saved[name] != wanted[name]:
            differences.append(
                f"  {name}: {saved[name]} in the checkpoint, {wanted[name]} here"
            )
    if differences:
        shown = "\n".join(differences[:5])
        raise ValueError(
            f"The model differs from the one in {where} in {len(differences)} arrays. "
            "Use the config that it was made with; another model can start from it in "
            f"a new workdir, with --config.init_from. The first ones:\n{shown}"
        )
