from __future__ import annotations

import numpy as np
import pytest

from archsearch.errors import ArchSearchError
from archsearch.evaluators.proxies import ProxyEvaluator, ProxySurrogate
from archsearch.spaces.cells import Cells

SPACE = Cells(4)
SETTINGS = {"batch_size": 8, "scale": {"blocks": 3, "channels": 4}}


def test_columns_are_the_scores_of_the_evaluator() -> None:
    texts = [str(SPACE.sample(np.random.default_rng(seed))) for seed in range(3)]
    columns = ProxySurrogate(SPACE, ["nwot", "params"], "digits", 3, **SETTINGS).evaluate(texts)
    evaluator = ProxyEvaluator(SPACE, ["nwot", "params"], "digits", seed=3, **SETTINGS)  # type: ignore[arg-type]
    scores = [evaluator.scores(SPACE.parse(text)) for text in texts]
    assert set(columns) == {"nwot", "params", "score"}
    for name in ("nwot", "params"):
        assert columns[name].tolist() == [each[name] for each in scores]
    assert columns["score"] is columns["nwot"]


def test_error_names_the_candidate() -> None:
    with pytest.raises(ArchSearchError, match="nonsense: "):
        ProxySurrogate(SPACE, ["params"], "digits", **SETTINGS).evaluate(["nonsense"])
