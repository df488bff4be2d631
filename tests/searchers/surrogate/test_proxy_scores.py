from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.errors import ConfigurationError
from archsearch.evaluators import GHN
from archsearch.evaluators.proxies import ProxyEvaluator
from archsearch.evaluators.saved_state import read_state, write_state
from archsearch.searchers.pretrained_ghn import STATE, PretrainedGHN
from archsearch.searchers.surrogate.proxy_scores import ProxyScores
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
IMAGES: dict[str, Any] = {"dataset": "digits", "batch_size": 8, "scale": {"channels": 2, "cells_per_stage": 1}}
CELLS = [SPACE.from_genotype(genotype) for genotype in ([3, 0, 1, 0, 0, 1], [3] * 6, [2, 1, 3, 4, 0, 2])]
NAMES = ("params", "synflow")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the scores that were computed, one for each architecture."""
    seen: list[str] = []
    compute = ProxyEvaluator.scores

    def scores(evaluator: ProxyEvaluator, architecture: Any) -> dict[str, float]:
        seen.append(evaluator.score_name)
        return compute(evaluator, architecture)

    monkeypatch.setattr(ProxyEvaluator, "scores", scores)
    return seen


def test_scores_are_those_of_the_evaluator() -> None:
    evaluator = ProxyEvaluator(SPACE, NAMES, seed=3, **IMAGES)
    cells = [SPACE.representative(cell) for cell in CELLS]
    expected = [[evaluator.scores(cell)[name] for name in NAMES] for cell in cells]
    assert ProxyScores(SPACE, NAMES, IMAGES, 3).of(CELLS).tolist() == expected


def test_each_is_computed_once_and_ones_with_the_same_key_share_it(computed: list[str]) -> None:
    scores = ProxyScores(SPACE, NAMES, IMAGES)
    first = scores.of(CELLS[:2])
    assert len(computed) == 4
    again = scores.of([CELLS[1], SPACE.parse(str(CELLS[0])), CELLS[2]])
    assert len(computed) == 6
    assert np.array_equal(again[:2], first[::-1])


def test_the_ledger_gives_them_to_others_and_to_other_selections(tmp_path: Path, computed: list[str]) -> None:
    first = ProxyScores(SPACE, NAMES, IMAGES, 0, str(tmp_path)).of(CELLS)
    assert len(computed) == 6
    again = ProxyScores(SPACE, ("synflow", "nwot"), IMAGES, 0, str(tmp_path)).of(CELLS)
    assert computed[6:] == ["nwot"] * 3
    assert np.array_equal(again[:, 0], first[:, 1])


def test_the_ledger_is_read_once(tmp_path: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ProxyScores(SPACE, ("synflow",), IMAGES, 0, str(tmp_path)).of(CELLS[:1])
    reads: list[str] = []
    read = Ledger.read

    def counted(ledger: Ledger, *arguments: Any) -> Any:
        reads.append(ledger.folder)
        return read(ledger, *arguments)

    monkeypatch.setattr(Ledger, "read", counted)
    scores = ProxyScores(SPACE, ("synflow",), IMAGES, 0, str(tmp_path))
    for end in (1, 2, 3):
        scores.of(CELLS[:end])
    assert len(reads) == 1 and len(computed) == 3
    assert len(read(Ledger(tmp_path, SPACE, ProxyEvaluator(SPACE, ["synflow"], **IMAGES).fingerprint())).evaluations()) == 3


def test_another_seed_has_scores_of_its_own(tmp_path: Path, computed: list[str]) -> None:
    for seed in (0, 1):
        ProxyScores(SPACE, ("synflow",), IMAGES, seed, str(tmp_path)).of(CELLS)
    assert len(computed) == 6


def test_one_that_is_not_defined_is_missing() -> None:
    nothing = SPACE.from_genotype([0] * 6)  # no path from the input to the output: no rectified unit sees an image
    found = ProxyScores(SPACE, ("params", "jacov"), IMAGES).of([nothing, CELLS[1]])
    assert np.isfinite(found[1]).all()
    assert np.isfinite(found[0, 0])
    assert np.isnan(found[0, 1])


def test_all_spellings_of_a_key_have_the_same_score() -> None:
    texts = (
        "|skip_connect~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        "|nor_conv_1x1~0|+|avg_pool_3x3~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    )
    spellings = [SPACE.parse(text) for text in texts]
    assert SPACE.key(spellings[0]) == SPACE.key(spellings[1])
    assert np.array_equal(*(ProxyScores(SPACE, ("synflow",), IMAGES).of([each]) for each in spellings))


def test_no_architectures_have_no_scores() -> None:
    assert ProxyScores(SPACE, NAMES, IMAGES).of([]).shape == (0, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hypernetwork of two steps, as `archsearch ghn train` leaves it but for its card."""
    path = tmp_path_factory.mktemp("hypernetwork")
    PretrainedGHN("nasbench201", "digits", 2, arguments={"scale": IMAGES["scale"]}).write(path)
    write_state(path / STATE, GHN(SPACE, "digits", scale=IMAGES["scale"], device="cpu").fit(2).state())
    return path


def test_figures_of_a_hypernetwork_are_those_of_the_evaluator_and_larger_is_better(folder: Path) -> None:
    ghn = GHN(SPACE, "digits", scale=IMAGES["scale"], evaluation_images=400).load(read_state(folder / STATE))
    found = ProxyScores(SPACE, ("params", "centred", "loss", "score"), IMAGES, hypernetwork=str(folder)).of(CELLS)
    for row, cell in zip(found, CELLS, strict=True):
        [made] = ghn.evaluate([cell])
        assert row[1:].tolist() == [-made.metrics["centred_loss"], -made.metrics["valid_loss"], made.score]
        assert row[0] == ProxyEvaluator(SPACE, ["params"], **IMAGES).scores(cell)["params"]


def test_figures_do_not_depend_on_what_is_asked_together_and_are_paid_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = ProxyScores(SPACE, ("loss",), IMAGES, 0, str(tmp_path), str(folder))
    together = scores.of(CELLS)
    singly = [ProxyScores(SPACE, ("loss",), IMAGES, hypernetwork=str(folder)).of([cell])[0, 0] for cell in CELLS]
    assert together[:, 0].tolist() == singly
    calls: list[int] = []
    monkeypatch.setattr(GHN, "evaluate", lambda ghn, architectures: calls.append(len(architectures)))
    again = ProxyScores(SPACE, ("score", "loss"), IMAGES, 1, str(tmp_path), str(folder)).of(CELLS)
    assert not calls and again[:, 1].tolist() == singly


def test_a_hypernetwork_that_cannot_be_used_shows_before_the_first_score(folder: Path, tmp_path: Path) -> None:
    three = {**IMAGES, "image_size": 4}
    with pytest.raises(ConfigurationError, match=r"hypernetwork: that in .* cannot be used for nasbench201 and digits"):
        ProxyScores(SPACE, ("loss",), three, hypernetwork=str(folder)).check()
    PretrainedGHN("nasbench201", "digits", 2, arguments={"scale": IMAGES["scale"]}).write(tmp_path)
    (tmp_path / STATE).write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ProxyScores(SPACE, ("loss",), IMAGES, hypernetwork=str(tmp_path)).check()
