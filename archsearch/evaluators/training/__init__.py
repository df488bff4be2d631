"""Scores by training: the evaluator, the training loop, recipes and regularisation. Read `evaluator.py` first."""
