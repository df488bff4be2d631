"""Steps that repeat under a common prefix, as classes."""

from __future__ import annotations

from archsearch.spaces.operators import Convolution
from archsearch.spaces.source_code.blocks import Line, block_classes, relative
from archsearch.spaces.source_code.operators import constructor
from archsearch.spaces.source_code.patterns import render


def lines_of(*names: str, widths: tuple[int, ...] = (4,)) -> list[Line]:
    """Return a chain of convolutions; each reads the one before it."""
    return [
        Line(
            name=name,
            slot=number + 1,
            inputs=(number,),
            call=constructor(Convolution(widths[number % len(widths)], 4, (3, 3))),
            write=None,
            kind="Convolution",
        )
        for number, name in enumerate(names)
    ]


def test_blocks_of_one_form_share_a_class() -> None:
    lines = lines_of(*(f"cell{number}_{part}" for number in range(3) for part in "abcd"))
    (found,) = block_classes(lines, outputs=[12])
    assert found.name == "CellBlock"
    assert [block.name for block in found.blocks] == ["cell0", "cell1", "cell2"]
    assert [(block.inputs, block.outputs) for block in found.blocks] == [((0,), (4,)), ((4,), (8,)), ((8,), (12,))]
    assert [relative(found.blocks[0], line.name) for line in found.blocks[0].lines] == ["a", "b", "c", "d"]


def test_numbers_that_differ_are_parameters_of_the_class() -> None:
    names = [f"cell{number}_{part}" for number in range(3) for part in "abcd"]
    lines = lines_of(*names, widths=(1,) * 4 + (2,) * 4 + (3,) * 4)
    (found,) = block_classes(lines, outputs=[12])
    calls = {name: render(call) for name, call in found.instances().items()}
    assert calls == {"cell0": "CellBlock(1)", "cell1": "CellBlock(2)", "cell2": "CellBlock(3)"}


def test_steps_of_one_prefix_that_do_not_stand_together_are_left_alone() -> None:
    lines = lines_of("cell0_a", "cell0_b", "cell1_a", "cell1_b", "cell0_c", "cell1_c")
    assert block_classes(lines, outputs=[6]) == []


def test_a_block_without_another_of_its_form_is_left_alone() -> None:
    assert block_classes(lines_of("cell0_a", "cell0_b", "cell0_c", "last"), outputs=[4]) == []
