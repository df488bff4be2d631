"""Final training of a found architecture from new weights, in one process or several. Read `retraining.py` first."""
