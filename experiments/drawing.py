"""Where a model looks, as pictures: maps over images, and bytes coloured in HTML."""

import html
import pathlib
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.predicting import Folder
from perceiver_jax.data.image import transforms

ENCODER = "encoder/cross_attention/attention"
DECODER = "decoder/cross_attention/attention"


def choose_latents(maps: np.ndarray, count: int) -> list[int]:
    """Returns latents that look at few places, and each at others.

    Args:
      maps: [examples, N, ...].
      count: how many to choose.
    """
    mean = maps.mean(0).reshape(maps.shape[1], -1)
    entropy = -(mean * np.log(mean + 1e-12)).sum(-1)
    peaked = np.argsort(entropy)[: max(count, len(mean) // 2)]
    roots = np.sqrt(mean[peaked])
    chosen = [0]
    while len(chosen) < min(count, len(peaked)):
        overlap = (roots @ roots[chosen].T).max(-1)  # Bhattacharyya: 1 where equal
        overlap[chosen] = np.inf
        chosen.append(int(overlap.argmin()))
    return [int(peaked[i]) for i in chosen]


def save(figure: Figure, path: pathlib.Path) -> None:
    """Writes a PNG file."""
    figure.savefig(path, dpi=150, bbox_inches="tight", facecolor="white")
    plt.close(figure)


def show_image(ax: Axes, pixels: np.ndarray) -> None:
    """Draws one normalized image without axes."""
    ax.imshow(transforms.denormalize(pixels))
    ax.set(xticks=[], yticks=[])


def draw_attention(
    pixels: np.ndarray, maps: np.ndarray, latents: Sequence[int]
) -> Figure:
    """Each image beside where all latents look, and where some of them do."""
    columns = 2 + len(latents)
    aspect = pixels.shape[1] / pixels.shape[2]
    figure, axes = plt.subplots(
        len(pixels),
        columns,
        figsize=(1.35 * columns, 1.4 * aspect * len(pixels) + 0.8),
        layout="constrained",
        squeeze=False,
    )
    figure.suptitle("Where the encoder's latents look: brighter is more")
    for row, x, of_image in zip(axes, pixels, maps):
        show_image(row[0], x)
        for ax, weights in zip(row[1:], [of_image.mean(0), *of_image[latents]]):
            ax.imshow(weights, cmap="magma", vmin=0)
            ax.set(xticks=[], yticks=[])
    for ax, title in zip(
        axes[0], ["image", "mean of all\nlatents", *(f"latent {i}" for i in latents)]
    ):
        ax.set_title(title, fontsize=9)
    return figure


def draw_cells(pixels: np.ndarray, maps: np.ndarray, titles: Sequence[str]) -> Figure:
    """One image, [h, w, 3] uint8, beside maps [n, H, W] of it."""
    columns = min(6, 1 + len(maps))
    rows = -(-(1 + len(maps)) // columns)
    aspect = pixels.shape[0] / pixels.shape[1]
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(2.2 * columns, (2.2 * aspect + 0.4) * rows),
        layout="constrained",
        squeeze=False,
    )
    for ax in axes.flat:
        ax.set_axis_off()
    axes.flat[0].imshow(pixels)
    axes.flat[0].set_title("image", fontsize=9)
    for ax, weights, title in zip(axes.flat[1:], maps, titles):
        ax.imshow(weights, cmap="magma", vmin=0)
        ax.set_title(title, fontsize=9)
    return figure


def save_text_attention(
    folder: Folder,
    stem: str,
    encoder: np.ndarray,
    decoder: np.ndarray,
    characters: Sequence[str],
    rows: Sequence[tuple[str, np.ndarray]],
) -> list[str]:
    """Writes attention as arrays, and a page of `write_text_html`; returns both names.

    Args:
      folder: for the files.
      stem: how their names begin.
      encoder: its attention weights.
      decoder: its attention weights.
      characters: of the page.
      rows: of the page.
    """
    arrays = folder.file(f"{stem}_attention.npz")
    page = folder.file(f"{stem}_attention.html")
    np.savez_compressed(arrays, encoder=encoder, decoder=decoder)
    write_text_html(page, characters, rows)
    return [str(arrays), str(page)]


def write_text_html(
    path: pathlib.Path,
    characters: Sequence[str],
    rows: Sequence[tuple[str, np.ndarray]],
) -> None:
    """Writes a page with the text once a row, each byte on its weight's colour.

    Args:
      path: of the page.
      characters: one for each byte.
      rows: titles, and weights [bytes]; every row has its own scale.
    """
    lines = [
        "<!doctype html><meta charset=utf-8><title>Attention</title>",
        "<style>body{font-family:sans-serif}p{font-family:monospace;"
        "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5}</style>",
    ]
    for title, weights in rows:
        shares = weights / max(float(weights.max()), 1e-12)
        spans = (
            f'<span style="background:rgba(230,80,0,{share:.2f})" '
            f'title="{weight:.4f}">{html.escape(character)}</span>'
            for character, share, weight in zip(characters, shares, weights)
        )
        lines.append(f"<h4>{html.escape(title)}</h4><p>{''.join(spans)}</p>")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
