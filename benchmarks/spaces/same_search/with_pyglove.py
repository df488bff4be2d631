"""The search in PyGlove 0.4.5: one process, by evolution; it has no asynchronous halving, so rungs stop the lower two thirds."""

import pyglove as pg

from benchmarks.spaces.same_search.problem import ACTIVATIONS, CANDIDATES, RATES, WIDTHS, perceptron, training

RUNGS = [(1, 0.33, 3), (3, 0.33, 3), (9, 0.33, 3)]


def layer():
    return pg.Dict(width=pg.oneof(WIDTHS), act=pg.oneof(ACTIVATIONS), dropout=pg.oneof(RATES))


def network(example):
    return perceptron((each.width, each.act, each.dropout) for each in example.layers)


def evaluate(example, feedback):
    for epoch, score in enumerate(training(network(example)), start=1):
        feedback.add_measurement(score, step=epoch)
        if feedback.should_stop_early():
            return feedback.skip()
    return feedback.done()


def main(candidates=CANDIDATES):
    space = pg.Dict(layers=pg.oneof([[layer() for _ in range(depth)] for depth in (1, 2, 3)]))
    algorithm = pg.evolution.regularized_evolution(population_size=20, tournament_size=5)
    policy = pg.early_stopping.early_stop_by_rank(RUNGS)()
    for example, feedback in pg.sample(space, algorithm, candidates, policy, name="diabetes"):
        evaluate(example, feedback)
    best = pg.poll_result("diabetes").best_trial
    example = pg.template(space).decode(best.dna)
    print(example, best.final_measurement.reward)
    return network(example)
