"""Training the best architecture from new weights to the end. Read `retraining.py` first."""
