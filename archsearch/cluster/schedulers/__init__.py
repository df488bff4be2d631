"""Schedulers of trials: which candidates are trained to the end, and which are stopped or paused on the way.

`registry.py` has them by name, `promotion.py` our own, and `offline.py` runs any of Ray Tune's without Ray.
"""
