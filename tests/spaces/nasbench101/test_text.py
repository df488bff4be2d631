"""The text form of NAS-Bench-101 cells."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench101.space import NASBench101

SPACE = NASBench101()
CONV3, CONV1, POOL = NASBench101.operators


def build(size: int, edges: list[tuple[int, int]], *operators: str) -> Architecture:
    """Return the architecture of edges, by way of its text."""
    matrix = [[int((source, target) in edges) for target in range(size)] for source in range(size)]
    return SPACE.parse(f"{matrix} {['input', *operators, 'output']}")


def test_texts_are_read_with_spaces_and_quotes() -> None:
    expected = build(3, [(0, 1), (0, 2), (1, 2)], CONV3)
    assert str(expected) == "[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]"
    for text in (
        " [[0, 1, 1], [0, 0, 1], [0, 0, 0]] ['input', 'conv3x3-bn-relu', 'output']\n",
        '[[0,1,1],\n [0,0,1],\n [0,0,0]], ["input", "conv3x3-bn-relu", "output"]',
    ):
        assert SPACE.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[0,1],[0,0]]", "expected a NAS-Bench-101 cell, matrix and labels, such as"),
        ("[[0,1],[0,0]] [input,output] [output]", "expected a NAS-Bench-101 cell, matrix and labels, such as"),
        ("[[0,1],[0,0]] [output,input]", "expected input first and output last; got 'output' and 'input'"),
        ("[[0,1,0],[0,0,1],[0,0,0]] [input,conv3x3,output]", "got 'conv3x3'. Did you mean 'conv3x3-bn-relu'?"),
        ("[[0,1,0],[0,0,1],[0,0,0]] [input,output,output]", "operator: expected one of conv1x1-bn-relu"),
        ("[[0,1],[0,0]] [input,maxpool3x3,output]", "expected 3 rows of 3 entries, one per label; got 2 rows"),
        ("[[0,1,0],[0,1],[0,0,0]] [input,maxpool3x3,output]", r"got 3 rows of \[3, 2, 3\] entries"),
        ("[[0,2],[0,0]] [input,output]", "expected the entries 0 and 1; got '2'"),
        ("[[0,],[0,0]] [input,output]", "expected the entries 0 and 1; got ''"),
        ("[[0,1,0],[0,0,1],[1,0,0]] [input,maxpool3x3,output]", "later vertices only .* got 2>0"),
        ("[[0,1,0],[0,1,1],[0,0,0]] [input,maxpool3x3,output]", "later vertices only .* got 1>1"),
        ("[[0,1,0],[0,0,0],[0,0,0]] [input,maxpool3x3,output]", "expected a path from input to output; got none"),
        ("[[0]] [input]", "expected 2 to 7 vertices, input and output included; got 1"),
        (f"{[[0] * 8] * 8} {['input', *['maxpool3x3'] * 6, 'output']}", "expected 2 to 7 vertices, .* got 8"),
    ],
)
def test_malformed_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SPACE.parse(text)


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="got None"):
        SPACE.parse(None)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=100)
@given(text=st.text(alphabet="[]01, inputoutput", max_size=60) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        architecture = SPACE.parse(text)
    except ArchitectureError:
        return
    assert SPACE.parse(str(architecture)) == architecture
