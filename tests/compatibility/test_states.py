"""States saved by version 0.1 of the package, in `states`, still load and give the same figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.evaluators import GHN, NGAE, OneShot, Predictor
from archsearch.evaluators.saved_state import read_state

FOLDER = Path(__file__).parent / "states"
SCALE = {"channels": 2, "cells_per_stage": 1}


def made(name: str) -> Any:
    space = spaces.get("enas" if name == "ngae" else "nasbench201")
    if name == "ngae":
        return NGAE(space)
    if name == "predictor":
        return Predictor(space)
    if name == "ghn":
        return GHN(space, "digits", scale=SCALE, hidden=4, width=4, tile=2, evaluation_images=50)
    return OneShot(space, "digits", scale=SCALE, batch_size=16)


@pytest.mark.parametrize("name", ["ghn", "ngae", "one_shot", "predictor"])
def test_a_state_of_an_earlier_version_gives_the_same_figures(name: str) -> None:
    expected = json.loads((FOLDER / "expected.json").read_text())[name]
    model = made(name).load(read_state(FOLDER / f"{name}.pt"))
    architectures = [model.space.parse(text) for text in expected["architectures"]]
    if name in ("ngae", "predictor"):
        figures = model.predict(architectures)
    else:
        figures = np.array([evaluation.score for evaluation in model.evaluate(architectures)])
    # A predictor has since then read the representative of each architecture, not the spelling that it is given.
    tolerance = {"ngae": 1e-4, "predictor": 0.01}.get(name, 0.025)
    assert figures == pytest.approx(expected["figures"], abs=tolerance)
