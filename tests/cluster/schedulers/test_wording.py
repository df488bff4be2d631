"""Ranks and numbers of steps in words."""

from __future__ import annotations

import pytest

from archsearch.cluster.schedulers.wording import amount, ordinal


@pytest.mark.parametrize(("rank", "word"), [(1, "1st"), (12, "12th"), (22, "22nd"), (103, "103rd"), (111, "111th"), (40, "40th")])
def test_ordinal(rank: int, word: str) -> None:
    assert ordinal(rank) == word


def test_amount() -> None:
    assert (amount(1, "epochs"), amount(2, "epochs"), amount(1, "data")) == ("1 epoch", "2 epochs", "1 data")
