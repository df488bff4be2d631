"""Reads the official NAS-Bench-101 file into a table. Read `reader.py` first."""

from archsearch.evaluators.tables.nasbench101.reader import read_nasbench101

__all__ = ["read_nasbench101"]
