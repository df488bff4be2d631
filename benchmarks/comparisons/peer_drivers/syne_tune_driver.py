"""Syne Tune by its ask-and-tell interface: BORE, TPE, and regularized evolution with its default and with smaller sizes."""

import random

import numpy as np
from conversation import score_of, settings
from syne_tune.config_space import choice
from syne_tune.optimizer.baselines import BORE, REA, TPE
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler

given = settings()
random.seed(given["seed"])  # regularized evolution draws its first population from the global generators
np.random.seed(given["seed"])
make, options = {
    "bore": (BORE, {}),
    "tpe": (TPE, {}),
    "rea 100/10": (REA, {}),
    "rea 20/10": (REA, {"population_size": 20, "sample_size": 10}),
}[given["method"]]
space = {name: choice(values) for name, values in given["choices"].items()}
scheduler = AskTellScheduler(make(space, metric="score", do_minimize=False, random_seed=given["seed"], **options))
while True:
    trial = scheduler.ask()
    scheduler.tell(trial, {"score": score_of(trial.config)})
