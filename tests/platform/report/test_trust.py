from __future__ import annotations

import pytest

from archsearch.platform.report.trust import TRUST, trust_curve, trust_figure, trust_sentence


def test_the_curve_has_the_candidates_at_which_the_surrogate_was_tried() -> None:
    assert trust_curve([(1, {}), (5, {TRUST: 0.2, "other": 3.0}), (9, {TRUST: -0.1})]) == [(5, 0.2), (9, -0.1)]


@pytest.mark.parametrize(
    ("tau", "words"), [(0.8, "a good ranking"), (0.2, "a little better than chance"), (-0.4, "no better than chance; with")]
)
def test_words_say_what_the_last_correlation_means(tau: float, words: str) -> None:
    sentence = trust_sentence([(5, {TRUST: 0.3}), (9, {TRUST: tau})])
    assert words in sentence
    assert (
        f"is {tau:.2f}: of two candidates, the surrogate ranked the better one higher in about {round(50 + 50 * tau)} % of cases"
        in sentence
    )
    assert trust_sentence([(5, {})]) == ""


def test_parts_of_a_ranking_are_told_best_first() -> None:
    sentence = trust_sentence([(9, {TRUST: 0.5, "surrogate/tau_loss": 0.21, "surrogate/tau_params": 0.4})])
    assert sentence.endswith(" Alone, the parts of the ranking have params 0.40, loss 0.21.")


@pytest.mark.parametrize("taus", [[0.3], [0.3, -0.9]])
def test_the_figure_shows_all_of_the_curve(taus: list[float]) -> None:
    (axes,) = trust_figure([(5 * number, {TRUST: tau}) for number, tau in enumerate(taus, 1)]).axes
    assert list(axes.lines[1].get_ydata()) == taus
    assert axes.get_ylim()[0] < min(taus)
