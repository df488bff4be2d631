"""The search in Ray Tune alone, with its wrapper of Optuna: equal networks may be trained again."""

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.spaces.same_search.problem import ACTIVATIONS, CANDIDATES, EPOCHS, RATES, WIDTHS, perceptron, training


def space(trial):
    for number in range(trial.suggest_int("depth", 1, 3)):
        trial.suggest_categorical(f"width{number}", WIDTHS)
        trial.suggest_categorical(f"act{number}", ACTIVATIONS)
        trial.suggest_categorical(f"dropout{number}", RATES)


def layers(config):
    return [(config[f"width{i}"], config[f"act{i}"], config[f"dropout{i}"]) for i in range(config["depth"])]


def train(config):
    for score in training(perceptron(layers(config))):
        tune.report({"score": score})


def main(candidates=CANDIDATES, folder=None):
    scheduler, search = ASHAScheduler(max_t=EPOCHS, reduction_factor=3), OptunaSearch(space, metric="score", mode="max")
    how = tune.TuneConfig(metric="score", mode="max", num_samples=candidates, search_alg=search, scheduler=scheduler)
    results = tune.Tuner(train, tune_config=how, run_config=tune.RunConfig(storage_path=folder)).fit()
    best = results.get_best_result("score", "max", scope="all")
    print(best.config, best.metrics["score"])
    return perceptron(layers(best.config))
