from __future__ import annotations

import numpy as np
import pytest

from archsearch import spaces
from archsearch.evaluators.predictors.form import Form


@pytest.mark.parametrize(
    ("name", "cells", "width", "slots"), [("nasbench101", 1, 0, 0), ("nasbench201", 1, 4, 0), ("nasnet", 2, 6, 2)]
)
def test_the_form_of_a_space(name: str, cells: int, width: int, slots: int) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    form = Form.of(space.encode([space.sample(rng) for _ in range(20)]), space.num_inputs)
    assert (form.vocabulary, form.inputs, form.cells) == (space.vocabulary, space.num_inputs, cells)
    assert (form.width, form.slots) == (width, slots)
    assert form.vocabulary[:2] == ("input", "output")
