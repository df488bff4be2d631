"""Anytime prediction: the accuracy-cost curve, budgets, and models that stop at an exit. Read `curve.py` first."""

from archsearch.evaluators.anytime.budgets import Budgets
from archsearch.evaluators.anytime.curve import AnytimeCurve

__all__ = ["AnytimeCurve", "Budgets"]
