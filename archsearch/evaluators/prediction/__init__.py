"""Prediction tasks of images: a class, a set of labels, or numbers. Read `task.py` first."""
