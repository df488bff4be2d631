"""SMAC by its ask-and-tell interface: the facade for hyperparameters (a random forest with log expected improvement)."""

from pathlib import Path

from ConfigSpace import Categorical, ConfigurationSpace
from conversation import score_of, settings
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory.dataclasses import TrialValue

given = settings()
space = ConfigurationSpace(seed=given["seed"])
space.add([Categorical(name, values) for name, values in given["choices"].items()])
scenario = Scenario(
    space, deterministic=True, n_trials=given["evaluations"], seed=given["seed"], output_directory=Path("smac"), n_workers=1
)
facade = HyperparameterOptimizationFacade(scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=40)
while True:
    trial = facade.ask()
    # The facade takes the logarithm of the cost, which must be positive: the error rate in percent.
    facade.tell(trial, TrialValue(cost=100.0 - score_of(dict(trial.config))), save=False)
