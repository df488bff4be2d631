"""A custom evaluator: the score is the validation accuracy on the digits, minus a penalty for parameters.

python examples/own_evaluator.py
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from archsearch import platform
from archsearch.evaluators import Evaluation, Evaluator, TrainingEvaluator
from archsearch.spaces import Architecture, SearchSpace, get


class ThriftyEvaluator(Evaluator):
    """Validation accuracy minus `price` per million parameters."""

    def __init__(self, space: SearchSpace, price: float, epochs: int) -> None:
        super().__init__(space)
        self.price = price
        self.training = TrainingEvaluator(space, "digits", epochs=epochs)

    @property
    def task(self) -> str:
        return "thrifty-digits"

    def settings(self) -> Mapping[str, Any]:
        return {"price": self.price, "training": self.training.settings()}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self.priced(evaluation) for evaluation in self.training.evaluate(architectures)]

    def priced(self, evaluation: Evaluation) -> Evaluation:
        if not evaluation.ok:
            return evaluation
        score = evaluation.score - self.price * evaluation.metrics["params"] / 1e6
        return dataclasses.replace(evaluation, score=score)


def main(storage: str = "runs", candidates: int = 8, epochs: int = 5) -> None:
    evaluator = ThriftyEvaluator(get("nasbench201"), price=1.0, epochs=epochs)
    result = platform.run_search("nasbench201", "evolution", evaluator, num_candidates=candidates, storage=storage)
    print(result.best, f"score {result.best.score:.4f}", f"accuracy {result.best.metrics['valid_accuracy']:.4f}")


if __name__ == "__main__":
    main()
