from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.ngae.settings import Settings
from archsearch.evaluators.ngae.training import Epoch, _rows, train


def test_architectures_with_known_figures_make_up_half_of_an_epoch() -> None:
    targets = torch.full((10, 2), float("nan"))
    assert len(_rows(targets)) == 10
    targets[:2, 0] = 0.5
    rows = _rows(targets)
    assert sorted(set(rows.tolist())) == list(range(10))
    assert (rows < 2).sum() == 8


@pytest.mark.parametrize("one_cycle", [True, False])
def test_the_loss_falls(made: Callable[..., object], small: Settings, one_cycle: bool) -> None:
    settings = small.with_changes(batch_size=10, learning_rate=1e-2, one_cycle=one_cycle)
    model, grammar, graphs = made(spaces.get("enas"), settings, 30)  # type: ignore[misc]
    targets = torch.full((30, 2), float("nan"), dtype=torch.float64)
    seen: list[tuple[int, Epoch]] = []
    generator = torch.Generator().manual_seed(0)
    history = train(model, grammar, graphs, targets, 6, generator, lambda *each: seen.append(each))
    assert [number for number, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert [epoch for _, epoch in seen] == history
    assert history[-1].reconstruction < history[0].reconstruction
    assert not model.training
