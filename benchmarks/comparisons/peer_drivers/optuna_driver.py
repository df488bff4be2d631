"""Optuna as its documentation shows it: a study, and a sampler with its defaults."""

import optuna
from conversation import score_of, settings

given = settings()
optuna.logging.set_verbosity(optuna.logging.WARNING)
sampler = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}[given["method"]](seed=given["seed"])
study = optuna.create_study(direction="maximize", sampler=sampler)
while True:
    trial = study.ask()
    study.tell(trial, score_of({name: trial.suggest_categorical(name, values) for name, values in given["choices"].items()}))
