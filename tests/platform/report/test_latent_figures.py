from __future__ import annotations

from pathlib import Path

import numpy as np

from archsearch.evaluators import TabularEvaluator
from archsearch.platform.report import pictures
from archsearch.platform.report.latent_figures import latent_figures
from archsearch.searchers import goals_for
from archsearch.searchers.ngae import NGAESurrogate


def test_pictures_of_a_stage(tmp_path: Path) -> None:
    table = TabularEvaluator.embedded("digits201")
    rng = np.random.default_rng(0)
    texts = [str(table.space.sample(rng)) for _ in range(12)]
    surrogate = NGAESurrogate(table.space, 0, unlabelled=20, epochs=1, warm_epochs=3)
    goals = goals_for(table)
    rows = {"architectures": texts, "values": rng.random((12, 1))}
    surrogate.fit(rows, seed=0, column=0, goals=goals, complexity="macs")
    made = surrogate.propose(5, seed=0, exclude=[], best=texts[:3], goals=goals, weights=(0.0,), budget=None, starts=30, steps=4)
    names = []
    for name, figure, text in latent_figures(made["details"]):
        pictures.save(figure, tmp_path / name)
        names.append(name)
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
        assert text
    assert names == ["training", "latent_space", "predicted_rank", "ascent"]


def test_other_searchers_have_none() -> None:
    assert list(latent_figures({})) == []
