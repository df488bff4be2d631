"""Figures as PNG and SVG files, and as data URIs for HTML."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.atomic_file import written_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def picture_name(rank: int) -> str:
    """Return the path, within the report's folder, of the drawing of one of the best architectures."""
    return f"top/rank-{rank:02d}.png"


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG and return the two paths.

    Args:
        figure: The figure.
        stem: Path without suffix; its folder is created if needed.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    # A name such as `run-0.5` has no suffix to replace.
    png, svg = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg"))
    save_png(figure, png)
    with written_atomically(svg, durable=False) as path:
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})
    return [png, svg]


def save_png(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a figure as PNG."""
    with written_atomically(path, durable=False) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, facecolor="white")


def data_uri(figure: Figure) -> str:
    """Return a figure as a data URI that holds it as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return png_uri(buffer.getvalue())


def png_uri(content: bytes) -> str:
    """Return the content of a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
