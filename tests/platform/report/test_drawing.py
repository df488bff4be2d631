"""Drawings of architectures."""

from __future__ import annotations

from archsearch import spaces
from archsearch.platform.report.drawing import colour_of, draw_architecture, is_skip
from archsearch.spaces import Architecture, Cell

SPACE = spaces.get("nasbench201")
CONV, SKIP, NONE = "nor_conv_3x3", "skip_connect", "none"


def cell(*operators: str) -> Architecture:
    return SPACE.parse("|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*operators))


def test_a_graph_of_24_nodes_with_all_edges_can_be_drawn() -> None:
    size = 24
    edges = tuple((u, v) for v in range(size) for u in range(v))
    names = ("input", *[CONV] * (size - 2), "output")
    figure = draw_architecture(SPACE, Architecture("nasbench201", "x", (Cell(size, edges, node_operators=names),)))
    assert [text.get_text() for text in figure.axes[0].texts].count(CONV) == size - 2


def words(architecture: Architecture, title: str | None = None) -> list[str]:
    return [text.get_text() for text in draw_architecture(SPACE, architecture, title).axes[0].texts]


def test_a_drawing_names_operators_and_counts_what_it_leaves_out() -> None:
    shown = words(cell(CONV, NONE, "nor_conv_1x1", NONE, NONE, "avg_pool_3x3"), "The best")
    assert {"The best", "input", "output", CONV, "nor_conv_1x1", "avg_pool_3x3", "(3 unused)"} <= set(shown)
    assert NONE not in shown


def test_a_cell_without_a_path_says_so() -> None:
    assert "no path from input to output (6 unused)" in words(cell(*[NONE] * 6))


def test_several_cells_are_panels_with_numbered_inputs() -> None:
    part = Cell(4, ((0, 2), (1, 2), (2, 3)), node_operators=("input", "input", CONV, "output"))
    other = Cell(4, ((0, 2), (1, 2), (2, 3)), node_operators=("input", "input", "maxpool3x3", "output"))
    shown = words(Architecture("nasbench201", "x", (part, other)))
    assert {"cell 1", "cell 2"} <= set(shown)
    assert shown.count("input 1") == shown.count("input 2") == 2


def test_texts_are_large_enough_and_stay_on_the_page() -> None:
    figure = draw_architecture(SPACE, cell(*[SKIP] * 6), title="A rather long title that needs more than a single line " * 3)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.axes[0].texts:
        assert float(text.get_fontsize()) >= 9
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_are_fixed_by_name_and_light_enough_for_black_text() -> None:
    names = ["nor_conv_1x1", CONV, "conv5x5-bn-relu", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_5x5", "avg_pool_3x3"]
    names += ["max_pool_3x3", "my_operator", SKIP]
    assert len({colour_of(name) for name in names}) == len(names)
    assert all(luminance(colour_of(name)) > 0.4 for name in names)
    shades = [luminance(colour_of(name)) for name in ("nor_conv_1x1", CONV, "avg_pool_3x3", "max_pool_3x3")]
    assert abs(shades[0] - shades[1]) > 0.1 and abs(shades[2] - shades[3]) > 0.1


def test_equal_cells_are_drawn_once_with_their_number() -> None:
    part = Cell(4, ((0, 2), (1, 2), (2, 3)), node_operators=("input", "input", CONV, "output"))
    other = Cell(4, ((0, 2), (1, 2), (2, 3)), node_operators=("input", "input", "maxpool3x3", "output"))
    shown = words(Architecture("nasbench201", "x", (part, part, part, other)))
    assert {"cells 1 to 3 (3 times)", "cell 4"} <= set(shown) and shown.count(CONV) == 1
    assert "cells 1, 3 (2 times)" in words(Architecture("nasbench201", "x", (part, other, part)))


def test_a_gene_before_an_operator_does_not_change_its_colour() -> None:
    assert colour_of("first: conv3x3") == colour_of("conv3x3") != colour_of("first: maxpool3x3")
    assert is_skip("conv: skip_connect") and not is_skip("skip: conv3x3")
