from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archsearch.searchers.surrogate.rank_sum import rank_sum

FIGURES = st.lists(
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 7.0, np.nan, np.inf]), min_size=4, max_size=4), min_size=1, max_size=3
)


@given(FIGURES)
def test_mean_of_the_ranks_that_are_known(figures: list[list[float]]) -> None:
    found = rank_sum([np.array(values) for values in figures])
    for candidate in range(4):
        ranks = []
        for values in figures:
            known = [value for value in values if np.isfinite(value)]
            if np.isfinite(values[candidate]):
                below = sum(value < values[candidate] for value in known)
                equal = sum(value == values[candidate] for value in known)
                ranks.append((below + (equal - 1) / 2) / max(1, len(known) - 1))
        if ranks:
            assert abs(found[candidate] - sum(ranks) / len(ranks)) < 1e-12
        else:
            assert np.isnan(found[candidate])
