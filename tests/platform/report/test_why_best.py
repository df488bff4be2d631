"""Scores by operator and gene, and ties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.platform.report.why_best import Scored, gene_table, operator_table, ties, ties_text

SPACE = spaces.get("nasbench201")
NAN = math.nan


@pytest.fixture
def summary(make_summary: Any) -> Any:
    """Sixty random cells; each 3x3 convolution on a path adds 5 points."""
    rng = np.random.default_rng(0)
    found = {SPACE.key(each): each for each in (SPACE.sample(rng) for _ in range(60))}
    texts = [str(each) for each in found.values()]
    scores = [0.5 + 0.05 * text.count("nor_conv_3x3") + 0.001 * rng.random() for text in texts]
    columns = {"architecture": texts, "key": list(found)}
    return make_summary(scores, columns=columns, score_images=100)


def test_the_operator_that_helps_comes_first(summary: Any) -> None:
    scored = Scored.of(summary, SPACE)
    assert scored is not None
    heading, first, *rest = operator_table(scored, SPACE, percent=True)
    assert heading[:2] == ["operator", "candidates"] and first[0] == "nor_conv_3x3" and first[-1] == "yes"
    low, _, high = first[5].partition(" to ")
    assert 0 < float(low) < float(first[4]) < float(high)
    assert all(float(row[4]) < float(first[4]) for row in rest)
    assert "none" not in [row[0] for row in rest], "an operator that writes zeros is on no path"


def test_the_values_of_a_gene_are_ordered_by_their_means(summary: Any) -> None:
    scored = Scored.of(summary, SPACE)
    assert scored is not None
    heading, *rows = gene_table(scored, SPACE, percent=True)
    assert heading == ["gene", "value", "candidates", "mean %", "95 % interval", "in the best"]
    genes = dict.fromkeys(row[0] for row in rows)
    assert set(genes) <= set(SPACE.choices)
    for gene in genes:
        of_gene = [row for row in rows if row[0] == gene]
        means = [float(row[3]) for row in of_gene]
        assert means == sorted(means, reverse=True) and of_gene[0][1] == "nor_conv_3x3"
        assert sum(row[5] == "yes" for row in of_gene) <= 1
        assert all(int(row[2]) >= 3 for row in of_gene)


def test_few_candidates_have_no_tables(make_summary: Any) -> None:
    scored = Scored.of(make_summary([0.5, 0.6]), SPACE)
    assert scored is not None and len(gene_table(scored, SPACE, True)) == len(operator_table(scored, SPACE, True)) == 1
    assert Scored.of(make_summary([NAN], ["lost"]), SPACE) is None
    assert Scored.of(make_summary([0.5], columns={"architecture": ["?"]}), SPACE) is None


def test_candidates_within_the_noise_tie_with_the_best(make_summary: Any) -> None:
    # 100 images: the error of 0.80 is 4.0 points, and that of a difference about 5.8; 1.96 of these are 11.3 points.
    summary = make_summary([0.60, 0.80, 0.70, 0.66], score_images=100)
    assert [row.score for row in ties(summary)] == [0.70]
    text = ties_text(summary)
    assert "from 100 validation images; the standard error is 4.00 points, and one image is 1 points" in text
    assert "1 other candidate ties with the best" in text
    assert "no other candidate ties" in ties_text(make_summary([0.6, 0.8], score_images=10_000))
    assert ties(make_summary([0.6, 0.8])) == [] and ties_text(make_summary([0.6, 0.8])) == ""
    assert ties_text(make_summary([6.0, 8.0], percent=False, score_images=100)) == ""
