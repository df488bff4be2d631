"""Benchmark scripts, by area; run from the repository root as `python -m benchmarks.AREA.SCRIPT`."""
