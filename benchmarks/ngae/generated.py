"""Architectures of NAS-Bench-201 that NGAE generates, beside what other generators are reported to do.

    python -m benchmarks.ngae.generated              # three seeds, some three minutes on one core

The model learns some of the 15,625 cells, without accuracies. 1,000 points are drawn from a normal distribution and decoded once
each, every decision drawn: with mean and deviation of the encoded cells in each dimension, as in the protocol of D-VAE, or with
their covariance, as the search draws its starts. Valid is a cell of the space: the decoder cannot leave it, since it chooses only
where the rules of the space leave a choice. Unique is the share of different texts: of 1,000 cells drawn uniformly, 96.87 % are
expected to differ. Novel is the share of texts that were not learned, which depends on how many were. The protocols of the others
are not published in every detail; going by their novelty they learned about half of the space.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import NGAE
from archsearch.evaluators.ngae.quality import generation, reconstruction
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.frame import Rows, Script, table

# Valid, unique, novel (%), seconds each.
PUBLISHED = {
    "PNAG": "100 | 99.70 | 59.34 | .006",
    "DiffusionNAG": "98.97 | 98.70 | 49.20 | 8",
    "POMONAG": "99.97 | 34.14 | 37.41 |",
}
LEARNED = {1000: 20, 7812: 5}  # cells, and epochs
POINTS = 1000
WAYS = {
    "deviations": "NGAE here, by deviations",
    "covariance": "NGAE here, by covariance",
    "uniform": "cells drawn uniformly, no model",
}


def measure(seed: int, learned: int) -> dict[str, Any]:
    """Fit one model; return the figures of each way to draw."""
    space, rng = NASBench201(), np.random.default_rng(seed)
    cells = [space.from_genotype(genotype) for genotype in space.all_genotypes()]
    order = rng.permutation(len(cells))
    known, others = ([cells[at] for at in part] for part in (order[:learned], order[learned:]))
    started = time.process_time()
    model = NGAE(space, seed, epochs=LEARNED[learned]).fit(known)
    found: dict[str, Any] = {"fit": time.process_time() - started, "reconstructed": reconstruction(model, others[:POINTS])}
    made = generation(model, known, POINTS, decodes=1, seed=seed)
    found["deviations"] = [made.valid, made.unique, made.novel]
    points = model.sample_latents(POINTS, seed)
    started = time.process_time()
    decoded = model.decode(points, sample=True, seed=seed)
    found["seconds"] = (time.process_time() - started) / POINTS
    found["covariance"] = shares(decoded, known)
    found["uniform"] = shares([cells[at] for at in rng.integers(len(cells), size=POINTS)], known)
    return found


def shares(made: list[Architecture], known: list[Architecture]) -> list[float]:
    """Return the shares of valid, unique and novel cells."""
    old, texts = set(map(str, known)), [str(each) for each in made]
    return [len(texts) / POINTS, len(set(texts)) / len(texts), float(np.mean([text not in old for text in texts]))]


def report(rows: Rows) -> None:
    """Print the table: means over seeds."""
    lines: list[list[object]] = [[f"{name}: published", *map(str.strip, each.split("|"))] for name, each in PUBLISHED.items()]
    for learned in LEARNED:
        found = rows.select(learned=learned)
        for way, words in WAYS.items() if found else ():
            valid, unique, novel = 100 * np.mean([row[way] for row in found], axis=0)
            seconds = "" if way == "uniform" else f"{np.mean([row['seconds'] for row in found]):.5f}"
            label = f"{words}, {learned:,} learned, {len(found)} seeds"
            lines.append([label, f"{valid:.2f}", f"{unique:.2f}", f"{novel:.2f}", seconds])
    table(["", "valid %", "unique %", "novel %", "s each"], lines, "NAS-Bench-201, 1,000 generated")


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.parse()
    torch.set_num_threads(1)

    def run(rows: Rows) -> None:
        for seed in script.seeds:
            for learned in LEARNED:
                rows.get(lambda seed=seed, learned=learned: measure(seed, learned), seed=seed, learned=learned)

    script.run(run, report)


if __name__ == "__main__":
    main()
