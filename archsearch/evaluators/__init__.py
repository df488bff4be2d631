"""Evaluators: scores of architectures by training, benchmark tables and hypernetworks, and metrics of rank agreement."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archsearch.evaluators import datasets, metrics
    from archsearch.evaluators.anytime.budgets import Budgets
    from archsearch.evaluators.anytime.curve import AnytimeCurve
    from archsearch.evaluators.anytime.model import AnytimeModel
    from archsearch.evaluators.curve_table import CurveTable
    from archsearch.evaluators.evaluation import Evaluation, is_report_only
    from archsearch.evaluators.evaluator import Evaluator
    from archsearch.evaluators.function.context import TrainingContext
    from archsearch.evaluators.function.evaluator import FunctionEvaluator
    from archsearch.evaluators.ghn.ghn import GHN
    from archsearch.evaluators.ghn.sgd_steps import SGDSteps
    from archsearch.evaluators.ngae.ngae import NGAE
    from archsearch.evaluators.pareto import hypervolume, pareto_front
    from archsearch.evaluators.predictors.predictor import Predictor
    from archsearch.evaluators.registry import from_text
    from archsearch.evaluators.stepwise import EvaluationSteps, StepwiseEvaluator
    from archsearch.evaluators.supernet.one_shot import OneShot
    from archsearch.evaluators.tabular import TabularEvaluator, embedded_tables, installed_tables
    from archsearch.evaluators.training.evaluator import TrainingEvaluator
    from archsearch.evaluators.training.recipe import Recipe

_MODULES = {
    "AnytimeCurve": "anytime.curve",
    "AnytimeModel": "anytime.model",
    "Budgets": "anytime.budgets",
    "CurveTable": "curve_table",
    "Evaluation": "evaluation",
    "EvaluationSteps": "stepwise",
    "Evaluator": "evaluator",
    "FunctionEvaluator": "function.evaluator",
    "GHN": "ghn.ghn",
    "NGAE": "ngae.ngae",
    "OneShot": "supernet.one_shot",
    "Predictor": "predictors.predictor",
    "Recipe": "training.recipe",
    "SGDSteps": "ghn.sgd_steps",
    "StepwiseEvaluator": "stepwise",
    "TabularEvaluator": "tabular",
    "TrainingContext": "function.context",
    "TrainingEvaluator": "training.evaluator",
    "embedded_tables": "tabular",
    "from_text": "registry",
    "hypervolume": "pareto",
    "installed_tables": "tabular",
    "is_report_only": "evaluation",
    "pareto_front": "pareto",
}

__all__ = [
    "GHN",
    "NGAE",
    "AnytimeCurve",
    "AnytimeModel",
    "Budgets",
    "CurveTable",
    "Evaluation",
    "EvaluationSteps",
    "Evaluator",
    "FunctionEvaluator",
    "OneShot",
    "Predictor",
    "Recipe",
    "SGDSteps",
    "StepwiseEvaluator",
    "TabularEvaluator",
    "TrainingContext",
    "TrainingEvaluator",
    "datasets",
    "embedded_tables",
    "from_text",
    "hypervolume",
    "installed_tables",
    "is_report_only",
    "metrics",
    "pareto_front",
]


def __getattr__(name: str) -> Any:
    # A worker that looks scores up in a table needs neither torch nor scipy: they are loaded when they are first used.
    if name in ("datasets", "metrics"):
        return importlib.import_module(f"archsearch.evaluators.{name}")
    if name in _MODULES:
        return getattr(importlib.import_module(f"archsearch.evaluators.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'archsearch.evaluators' has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is loaded when it is first used is completed by editors and notebooks too.
    return sorted({*globals(), *__all__})
