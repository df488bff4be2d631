"""The frame of searchers that fit a surrogate in a model pool and propose from it. Read `searcher.py` first."""
