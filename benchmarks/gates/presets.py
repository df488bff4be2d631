"""Evaluations that the presets of the `gates` searcher need to find the best cells: ours, the paper's and the authors'.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.presets --benches nasbench201 --seeds 5

Budget, loop and tables are those of `benchmarks.gates.search`. Each preset is given nothing but its name; the one of the authors
scales its numbers of candidates to the budget. `paper, random` is the paper's other inner search, and `paper, as for ENAS` takes
three quarters of the budget at random and then one stage, as it does in the space of ENAS (600 and 200 candidates). The rows that
take one thing of ours at a time into the paper's search show what decides: fits from new weights, and all cells ranked in each
stage.
"""

from __future__ import annotations

from benchmarks.gates.search import Methods, main

PAPER = {"preset": "paper"}
METHODS: Methods = {
    "default": ("gates", {}),
    "gates": ("gates", {"preset": "gates"}),
    "paper": ("gates", PAPER),
    "authors": ("gates", {"preset": "authors"}),
    "paper, random": ("gates", {**PAPER, "inner": {"kind": "random", "ratio": 50}}),
    "paper, as for ENAS": ("gates", {**PAPER, "initial": 75, "stage_size": 25, "inner": {"kind": "random", "ratio": 50}}),
    "paper, new weights": ("gates", {**PAPER, "warm": False}),
    "paper, all cells ranked": ("gates", {**PAPER, "enumerable": 20_000}),
    "paper, first 10": ("gates", {**PAPER, "initial": 10}),
}


if __name__ == "__main__":
    main(__file__, __doc__, METHODS)
