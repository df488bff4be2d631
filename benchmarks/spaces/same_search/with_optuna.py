"""The search in Optuna alone: candidates share one process, in threads, and equal networks may be trained again."""

import optuna

from benchmarks.spaces.same_search.problem import ACTIVATIONS, CANDIDATES, RATES, WIDTHS, perceptron, training


def layers(trial):
    ask, numbers = trial.suggest_categorical, range(trial.suggest_int("depth", 1, 3))
    return [(ask(f"width{i}", WIDTHS), ask(f"act{i}", ACTIVATIONS), ask(f"dropout{i}", RATES)) for i in numbers]


def objective(trial):
    for epoch, score in enumerate(training(perceptron(layers(trial))), start=1):
        trial.report(score, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return score


def main(candidates=CANDIDATES):
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, n_trials=candidates, n_jobs=2)
    print(study.best_params, study.best_value)
    return perceptron(layers(optuna.trial.FixedTrial(study.best_params)))
