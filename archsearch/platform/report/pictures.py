"""Figures as files and as text for HTML."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def picture_name(rank: int) -> str:
    """Return where the report keeps the picture of one of the best architectures."""
    return f"top/rank-{rank:02d}.png"


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG and return the two paths.

    Args:
        figure: What to write.
        stem: Path without suffix; its folder is made where it is missing.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    # A name such as `run-0.5` has no suffix to replace.
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    figure.savefig(paths[0], dpi=DPI, facecolor="white")
    figure.savefig(paths[1], facecolor="white", metadata={"Date": None})
    return paths


def data_uri(figure: Figure) -> str:
    """Return a figure as the address of an `img` element that holds the whole PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return png_uri(buffer.getvalue())


def png_uri(content: bytes) -> str:
    """Return the bytes of a PNG file as the address of an `img` element."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
