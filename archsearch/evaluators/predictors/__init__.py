"""Predictors that rank architectures without training them: GATES and what it was compared with."""
