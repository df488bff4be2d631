"""The ledger: every evaluation once, in atomically written Parquet parts. Read `ledger.py` first."""

from archsearch.cluster.ledger.ledger import Ledger

__all__ = ["Ledger"]
