"""MLflow: one run for each search, its metrics, artifacts and registered models. Read `tracker.py` first."""
