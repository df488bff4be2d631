"""The card of a hypernetwork that no table fits."""

from __future__ import annotations

from pathlib import Path

from archsearch.evaluators import GHN
from archsearch.searchers.ghn_card import card
from archsearch.searchers.pretrained_ghn import PretrainedGHN
from archsearch.spaces.cells import Cells


def test_a_card_without_a_table_says_so() -> None:
    space, scale = Cells(4), {"blocks": 3, "channels": 2}
    ghn = GHN(space, "digits", scale=scale, hidden=8, width=8, tile=2, batch_size=16).fit(1)
    text = card(PretrainedGHN("cells", "digits", 1, arguments={"scale": scale}), Path("here"), ghn)
    assert "Not compared: no table" in text and "--set hypernetwork=here" in text and "(blocks 3, channels 2)" in text
