"""Benchmark tables: how they are read from their sources, checked, written and installed."""
