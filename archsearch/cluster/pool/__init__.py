"""Actors that keep surrogate models resident, and the dispatcher that shares calls among them. Read `model_pool.py` first."""
