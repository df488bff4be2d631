"""Predictors that rank architectures without training them: GATES and its baselines."""
