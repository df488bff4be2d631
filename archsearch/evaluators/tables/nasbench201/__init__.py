"""Reads the official NAS-Bench-201 and NATS-Bench files into a table. Read `reader.py` first."""

from archsearch.evaluators.tables.nasbench201.reader import read_nasbench201

__all__ = ["read_nasbench201"]
