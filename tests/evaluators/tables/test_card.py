from __future__ import annotations

import pytest

from archsearch.evaluators.tables.card import ColumnCard, TableCard

CARD = TableCard(
    name="small",
    space="nasbench201",
    source="made up",
    rows=3,
    structures=2,
    score="valid_accuracy",
    chance=0.1,
    cost={"channels": 8},
    columns=(ColumnCard("valid_accuracy", "a|b", 0, 0.5, 0.9), ColumnCard("macs", "", 3, None, None)),
    notes=("1 row was left out.",),
    date="2025-12-31",
)


def test_a_card_goes_through_json() -> None:
    assert TableCard.from_json(CARD.to_json()) == CARD
    with pytest.raises(TypeError):
        TableCard.from_json(CARD.to_json().replace('"chance"', '"chances"'))


def test_the_page_has_ranges_gaps_and_notes() -> None:
    page = CARD.markdown()
    assert page.startswith("# small\n")
    assert r"| valid_accuracy | a\|b | 0.5 | 0.9 |  |" in page
    assert "| macs |  |  |  | 3 |" in page
    assert "- 1 row was left out." in page
