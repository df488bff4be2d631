from __future__ import annotations

from pathlib import Path

from archsearch.platform.report import pictures
from archsearch.platform.report.growth_figures import growth_figures
from archsearch.searchers import ProgressiveSearch
from archsearch.searchers.conformance import Loop
from archsearch.spaces.nasbench101.space import NASBench101


def test_how_many_of_each_size_are_drawn(tmp_path: Path) -> None:
    searcher = ProgressiveSearch(NASBench101(), num_candidates=20, initial=12, batch_size=4)
    Loop(searcher, lambda architecture: 0.5).run(batches=3).drain()
    [(name, figure, text)] = growth_figures(searcher.details)
    pictures.save(figure, tmp_path / name)
    assert (tmp_path / f"{name}.png").stat().st_size > 5000
    assert "6 of size 1, 6 of size 2" in text
    assert [bar.get_width() for bar in figure.axes[1].patches] == [0, 6, 6]


def test_other_searchers_have_none() -> None:
    assert list(growth_figures({})) == []
