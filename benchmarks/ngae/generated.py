"""Architectures of NAS-Bench-201 that NGAE generates, beside what other generators are reported to do.

    python -m benchmarks.ngae.generated              # three seeds, some three minutes on one core

The model learns some of the 15,625 cells, without accuracies. 1,000 points are drawn from the normal distribution with mean and
deviation of the encoded cells and decoded once each, every decision drawn or the likelier one taken. Valid is a cell of the
space: the decoder cannot leave it, since it chooses only where the rules of the space leave a choice. Unique is the share of
different texts, novel the share of texts that were not learned, which depends on how many were. The protocols of the others are
not published in every detail; going by their novelty they learned about half of the space.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import NGAE
from archsearch.evaluators.ngae.quality import generation, reconstruction
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


def measure(seed: int, learned: int) -> dict[str, Any]:
    """Fit one model; return the figures of both ways to decode."""
    space, rng = NASBench201(), np.random.default_rng(seed)
    cells = [space.from_genotype(genotype) for genotype in space.all_genotypes()]
    order = rng.permutation(len(cells))
    known, others = ([cells[at] for at in part] for part in (order[:learned], order[learned:]))
    started = time.process_time()
    model = NGAE(space, seed, epochs=LEARNED[learned]).fit(known)
    found: dict[str, Any] = {"fit": time.process_time() - started, "reconstructed": reconstruction(model, others[:POINTS])}
    points = model.sample_latents(POINTS, seed)
    for way, sample in (("drawn", True), ("likelier", False)):
        made = generation(model, known, POINTS, decodes=1, seed=seed, sample=sample)
        started = time.process_time()
        model.decode(points, sample=sample)
        found[way] = [made.valid, made.unique, made.novel, (time.process_time() - started) / POINTS]
    return found


def report(rows: Rows) -> None:
    """Print the table: means over seeds."""
    lines: list[list[object]] = [[f"{name}: published", *map(str.strip, each.split("|"))] for name, each in PUBLISHED.items()]
    for learned in LEARNED:
        found = rows.select(learned=learned)
        for way in ("drawn", "likelier") if found else ():
            valid, unique, novel, seconds = np.mean([row[way] for row in found], axis=0)
            label = f"NGAE here, {learned:,} learned, decisions {way}, {len(found)} seeds"
            lines.append([label, f"{100 * valid:.2f}", f"{100 * unique:.2f}", f"{100 * novel:.2f}", f"{seconds:.5f}"])
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
