"""TPE asked for all choices of a module space at once, against TPE asked only for those that an architecture has.

    python -m benchmarks.spaces.conditional --seeds 12

The space is that of examples/diabetes.py: one to three layers, each with a width, an activation and a dropout rate of its own, so
that up to six of ten choices do not exist for an architecture. Each architecture is trained once, and its R2 on held-out patients
is kept in a file beside that of the rows. A search is counted in evaluations until it meets a score that three of a hundred
random architectures reach; it gets its outcomes one by one. Random search stands beside both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch import searchers
from archsearch.evaluators import FunctionEvaluator
from archsearch.searchers import ArchitectureSearcher, OptunaSearcher
from archsearch.spaces import ModuleSpace
from benchmarks.frame import Rows, Script, quartiles, table

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import diabetes

SPACE = ModuleSpace(diabetes.build, torch.zeros(1, 10), name="diabetes")
BUDGET, DRAWN, SHARE, STEPS = 50, 100, 0.03, 9
FORMS = {
    "all choices": partial(OptunaSearcher, encoding="categories"),
    "conditional": partial(OptunaSearcher, encoding="conditional"),
    "random": searchers.RandomSearch,
}


class Scores:
    """The score of each architecture, trained when it is first needed.

    Args:
        path: File of the scores so far.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._evaluator = path, FunctionEvaluator(SPACE, diabetes.train, steps=STEPS, score_name="r2")
        lines = path.read_text().splitlines() if path.exists() else []
        self._known: dict[str, float] = dict(map(json.loads, lines))

    def __getitem__(self, text: str) -> float:
        key = SPACE.key(SPACE.parse(text))
        if key not in self._known:
            [found] = self._evaluator.evaluate([SPACE.parse(text)])
            self._known[key] = found.score
            with self._path.open("a") as file:
                file.write(json.dumps([key, found.score]) + "\n")
        return self._known[key]

    def target(self) -> float:
        """Return the score that three in a hundred random architectures reach."""
        rng = np.random.default_rng(0)
        return float(np.quantile([self[str(SPACE.sample(rng))] for _ in range(DRAWN)], 1 - SHARE))


def evaluated(searcher: ArchitectureSearcher, scores: Scores) -> Iterator[float]:
    """Yield the scores of a search, one evaluation after the other."""
    trial = 0
    while isinstance(suggestion := searcher.suggest(str(trial)), dict):
        found = [scores[text] for text in suggestion["candidates"]]
        yield from found
        outcome = {"scores": found, "seconds": [0.0] * len(found), "errors": [None] * len(found)}
        searcher.on_trial_complete(trial_id=str(trial), result=outcome)
        trial += 1


def search(form: str, seed: int, scores: Scores, target: float) -> dict[str, Any]:
    """Return the evaluations until the target, or None, and the best score after 20, 35 and 50."""
    found = list(evaluated(FORMS[form](SPACE, seed, num_candidates=BUDGET, batch_size=1), scores))
    first = next((number for number, score in enumerate(found, start=1) if score >= target), None)
    return {"until": first, "target": target, "best": {str(n): max(found[:n]) for n in (20, 35, BUDGET)}}


def main() -> None:
    script = Script(__file__, __doc__, seeds=12)
    arguments = script.parse()
    torch.set_num_threads(1)
    held: list[tuple[Scores, float]] = []

    def measure(rows: Rows) -> None:
        if not held:
            scores = Scores(arguments.out.with_suffix(".scores.jsonl"))
            held.append((scores, scores.target()))
        for seed in script.seeds:
            for form in FORMS:
                rows.get(lambda form=form, seed=seed: search(form, seed, *held[0]), form=form, seed=seed)

    script.run(measure, report)


def report(rows: Rows) -> None:
    """Print evaluations until the target, and mean best scores."""
    lines = []
    for form in FORMS:
        found = rows.select(form=form)
        until = quartiles([row["until"] or np.inf for row in found], most=BUDGET)
        means = [f"{np.mean([row['best'][str(n)] for row in found]):.4f}" for n in (20, 35, BUDGET)]
        lines.append([form, len(found), until, *means])
    table(["TPE", "seeds", "evaluations to the target", *(f"best at {n}" for n in (20, 35, BUDGET))], lines)


if __name__ == "__main__":
    main()
