"""Several searches with the same budgets, compared. Read `running.py` first."""
