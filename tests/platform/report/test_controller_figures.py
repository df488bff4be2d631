from __future__ import annotations

from pathlib import Path

import numpy as np

from archsearch.platform.report import pictures
from archsearch.platform.report.controller_figures import controller_figures
from archsearch.platform.report.latent_figures import latent_figures
from archsearch.platform.report.supernet_figures import supernet_figures
from archsearch.searchers import ControllerSearch
from archsearch.searchers.conformance import Loop
from archsearch.spaces.nasbench201 import NASBench201


def test_reward_and_entropy_of_a_search_are_drawn(tmp_path: Path) -> None:
    searcher = ControllerSearch(NASBench201(), num_candidates=12, batch_size=4, update_size=4, model={"hidden": 4})
    Loop(searcher, lambda architecture: str(architecture).count("3x3") / 6).run()
    [(name, figure, text)] = controller_figures(searcher.details)
    pictures.save(figure, tmp_path / name)
    assert (tmp_path / f"{name}.png").stat().st_size > 5000
    assert "entropy is" in text
    upper, lower = figure.axes
    assert upper.lines[0].get_xdata().tolist() == lower.lines[0].get_xdata().tolist() == [4.0, 8.0, 12.0]
    assert np.all(lower.lines[0].get_ydata() > 0.0)


def test_other_searchers_have_none() -> None:
    assert list(controller_figures({})) == []


def test_other_methods_draw_nothing_of_it() -> None:
    searcher = ControllerSearch(NASBench201(), num_candidates=8, batch_size=4, update_size=4, model={"hidden": 4})
    Loop(searcher, lambda architecture: str(architecture).count("3x3") / 6).run()
    assert list(latent_figures(searcher.details)) == list(supernet_figures(searcher.details)) == []
