from __future__ import annotations

from pathlib import Path

from archsearch.platform.report import pictures
from archsearch.platform.report.supernet_figures import supernet_figures

WEIGHTS = {
    "steps": [1, 11, 20],
    "weights": [[0.5, 0.5, 1.0, 0.2, 0.3, 0.5], [0.6, 0.4, 1.0, 0.3, 0.3, 0.4], [0.7, 0.3, 1.0, 0.6, 0.2, 0.2]],
    "genes": ["edge_0_1", "fixed", "edge_0_2"],
    "alternatives": [["skip_connect", "none"], ["conv"], ["skip_connect", "none", "conv"]],
}
CONTROLLER = {"steps": [5, 10], "reward": [0.2, 0.4], "baseline": [0.2, 0.22], "entropy": [9.6, 9.1]}


POPULATION = {
    "steps": [50, 100],
    "best": [0.5, 0.7],
    "mean": [0.3, 0.6],
    "kept": [None, 0.65],
    "improved": [None, 0.6],
    "random": [0.3, 0.4],
}


def test_pictures_of_the_methods(tmp_path: Path) -> None:
    [(name, figure, text)] = supernet_figures({"operator_weights": WEIGHTS})
    assert name == "operator_weights" and text
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["edge_0_1", "edge_0_2"], "a gene without a choice is not drawn"
    assert [line.get_ydata()[-1] for line in figure.axes[1].lines] == [0.6, 0.2, 0.2]
    pictures.save(figure, tmp_path / name)
    assert b"<svg" in (tmp_path / "operator_weights.svg").read_bytes()
    [(name, figure, _)] = supernet_figures({"path_controller": CONTROLLER})
    assert [line.get_ydata()[-1] for axes in figure.axes for line in axes.lines] == [0.4, 0.22, 9.1]
    [(name, figure, _)] = supernet_figures({"scored_population": POPULATION})
    assert name == "scored_population"
    assert [line.get_ydata()[-1] for line in figure.axes[0].lines] == [0.7, 0.6, 0.65, 0.6, 0.4]
    pictures.save(figure, tmp_path / name)


def test_other_searchers_and_trainings_without_points_have_none() -> None:
    empty = {"steps": [], "weights": [], "genes": [], "alternatives": []}
    assert list(supernet_figures({})) == list(supernet_figures({"operator_weights": empty})) == []
