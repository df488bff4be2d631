"""The NAS-Bench-101 search space: cells of at most seven vertices and nine edges. Read `space.py` first."""

from archsearch.spaces.nasbench101.space import SAMPLERS, NASBench101

__all__ = ["SAMPLERS", "NASBench101"]
