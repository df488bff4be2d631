from __future__ import annotations

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.searchers.surrogate.rank_parts import rank_parts, ranks_of


def test_parts_are_joined_by_plus() -> None:
    assert rank_parts("params + nwot") == ("params", "nwot")
    assert rank_parts("loss+synflow", ("loss", "score")) == ("loss", "synflow")


@pytest.mark.parametrize(
    ("rank_by", "message"),
    [
        ("los", "rank_by: expected one of .*, loss, .*; got 'los'. Did you mean 'loss'"),
        ("loss+", "rank_by: expected one of"),
        ("nwot+nwot", "rank_by: expected each part once"),
        (3, "rank_by: expected names"),
    ],
)
def test_wrong_parts(rank_by: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rank_parts(rank_by, ("loss",))


def test_one_part_ranks_by_itself_and_several_by_their_ranks() -> None:
    columns = {"params": np.array([5.0, 7.0, 6.0]), "nwot": np.array([900.0, np.nan, 100.0])}
    assert ranks_of(["params"], columns).figure.tolist() == [5.0, 7.0, 6.0]
    ranks = ranks_of(["params", "nwot"], columns)
    assert ranks.figure.tolist() == [0.5, 1.0, 0.25] and ranks.ties.tolist() == [5.0, 7.0, 6.0]
    assert list(ranks.parts) == ["params", "nwot"]


def test_a_pool_without_a_part_is_named() -> None:
    with pytest.raises(ConfigurationError, match="rank_by: the model of the pool gives no params, no nwot, as it was started"):
        ranks_of(["loss", "params", "nwot"], {"loss": np.array([1.0])})
