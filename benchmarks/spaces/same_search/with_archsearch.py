"""The search in archsearch: equal networks are trained once, in processes, with a report, and go on after a crash."""

import torch

from archsearch import platform
from archsearch.spaces import ModuleSpace
from benchmarks.spaces.same_search.problem import ACTIVATIONS, CANDIDATES, EPOCHS, RATES, WIDTHS, perceptron, training


def build(choose):
    def layer(number):
        return choose.one("width", WIDTHS), choose.one("act", ACTIVATIONS), choose.one("dropout", RATES)

    return perceptron(choose.repeat("depth", 1, 3, layer))


def train(model, context):
    for epoch, score in enumerate(training(model), start=1):
        context.report(epoch, score)
    return score


def main(candidates=CANDIDATES, **settings):
    space = ModuleSpace(build, torch.zeros(1, 10), name="diabetes")
    options = {"steps": EPOCHS}
    result = platform.run_search(space, "optuna", train, candidates, scheduler="asha", evaluator_options=options, **settings)
    print(result.best.architecture, result.best.score)
    return space.module(space.parse(str(result.best.architecture)))
