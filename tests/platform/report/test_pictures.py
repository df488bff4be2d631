"""Figures as files and as data URIs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from archsearch import spaces
from archsearch.platform.report.drawing import save_drawing
from archsearch.platform.report.pictures import data_uri, save_png


def test_a_drawing_is_saved_as_png_and_svg_beside_a_dotted_name(tmp_path: Path) -> None:
    space = spaces.get("nasbench201")
    architecture = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    png, svg = save_drawing(space, architecture, tmp_path / "new" / "best-0.97")
    assert (png.name, svg.name) == ("best-0.97.png", "best-0.97.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()
    assert sorted(path.name for path in png.parent.iterdir()) == [png.name, svg.name]


def test_a_data_uri_holds_the_whole_picture() -> None:
    content = base64.b64decode(data_uri(Figure(figsize=(2, 1))).removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(content)).size == (300, 150)


def test_a_picture_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    save_png(Figure(figsize=(1, 1)), path)
    before = path.read_bytes()
    figure = Figure(figsize=(1, 1))

    def full(target: Path, **_: object) -> None:
        target.write_bytes(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        save_png(figure, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
