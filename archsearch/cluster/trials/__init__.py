"""Ray Tune trials that evaluate batches of candidates, and what happens when one dies. Read `trial.py` first."""
