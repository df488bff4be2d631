"""A function of the user that trains a model and returns its score, as an evaluator."""
