"""Thumbnails of all spaces."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.platform.report.thumbnail import thumbnail


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101", "enas", "nasnet", "cells"])
def test_a_thumbnail_is_a_small_picture_that_suits_dark_pages(name: str, read_page: Any) -> None:
    space = spaces.get(name)
    architecture = space.sample(np.random.default_rng(2))
    text = thumbnail(space, architecture, height=60)
    root = ElementTree.fromstring(text)
    assert root.attrib["height"] == "60" and root.attrib["role"] == "img" and len(text) < 20_000
    tags = [child.tag.rpartition("}")[2] for child in root]
    assert tags.count("rect") >= 2 and "path" in tags
    assert 'stroke="currentColor"' in text, "lines have the colour of the page's text"
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, wide, high = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        assert left <= x and x + wide <= width + 1 and top <= y and y + high <= height + 1
    read_page(text)


def test_a_cell_without_a_path_has_a_picture_too() -> None:
    space = spaces.get("nasbench201")
    text = thumbnail(space, space.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"))
    assert text.count("<rect") == 2 and "<path" not in text
