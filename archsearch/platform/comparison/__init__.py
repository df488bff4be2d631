"""Comparison of searchers: several searches each, with equal budgets. Read `running.py` first."""
