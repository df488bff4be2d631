"""Figures by name, joined by `+`, that rank candidates before any of them is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.searchers.surrogate.rank_sum import rank_sum
from archsearch.searchers.surrogate.ranking_stage import Columns, Ranks


def rank_parts(rank_by: str, further: Sequence[str] = (), argument: str = "rank_by") -> tuple[str, ...]:
    """Return the parts of `rank_by`, such as `params+nwot`.

    Args:
        rank_by: Names of training-free scores, or of `further` figures, joined by `+`.
        further: Figures that are known beside the training-free scores.
        argument: Name of the argument in errors.

    Raises:
        ConfigurationError: A name is unknown or is given twice.
    """
    check_kind(argument, rank_by, str, "names such as 'params', 'nwot', joined by '+'")
    parts = tuple(part.strip() for part in rank_by.split("+"))
    if not set(parts) <= set(further):
        from archsearch.evaluators.proxies.registry import names  # it needs torch, other searchers do not

        known = [*further, *names()]
        for part in parts:
            if part not in known:
                raise ConfigurationError(unknown_name(argument, part, known))
    if len(set(parts)) < len(parts):
        raise ConfigurationError(f"{argument}: expected each part once; got {rank_by!r}.")
    return parts


def ranks_of(parts: Sequence[str], columns: Columns) -> Ranks:
    """Return the ranks by the sum of the ranks in some columns, or by the column itself if it is one; the first breaks ties.

    Raises:
        ConfigurationError: A column is missing, as in a pool that was started for other parts.
    """
    if lacking := [part for part in parts if part not in columns]:
        raise ConfigurationError(
            f"rank_by: the model of the pool gives no {', no '.join(lacking)}, as it was started for another rank_by. Leave it "
            "out, or take another pool."
        )
    figures = {part: np.asarray(columns[part], dtype=np.float64) for part in parts}
    first = next(iter(figures.values()))
    figure = first if len(figures) == 1 else rank_sum(list(figures.values()))
    return Ranks(figure, np.nan_to_num(first, nan=-np.inf, neginf=-np.inf), figures)
