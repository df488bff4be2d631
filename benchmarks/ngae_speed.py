"""How fast NGAE learns, encodes, decodes and climbs, on one thread.

    ARCHSEARCH_DATA=FOLDER python benchmarks/ngae_speed.py

The folder holds enas6.parquet. CPU seconds; the authors' figures were measured before on another machine, so only orders of
magnitude compare.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np
import torch
from ngae_table1 import load

from archsearch.evaluators import NGAE
from archsearch.evaluators.ngae.ascent import ascend
from archsearch.evaluators.ngae.generation import generate
from archsearch.evaluators.ngae.quality import reconstruction
from archsearch.evaluators.ngae.training import Epoch
from archsearch.spaces.enas import ENAS

GRAPHS, REPEATS, WANTED = 1000, 3, 0.999


def best_of(action: Callable[[], object]) -> float:
    """Return the least CPU seconds of some repeats."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        action()
        seconds.append(time.process_time() - started)
    return min(seconds)


def until_it_reconstructs() -> None:
    """Print the CPU seconds until 99.9 % of the test rows are reconstructed (likelier decisions)."""
    train, test = load("train"), load("test")
    model = NGAE(ENAS(6), epochs=10)
    reached: list[str] = []

    def check(epoch: int, shown: Epoch) -> None:
        right = reconstruction(model, test.architectures[:1000])
        print(f"epoch {epoch}: {shown.seconds:.0f} s, {100 * right:.2f} % of 1,000 test rows reconstructed", flush=True)
        if right >= WANTED and not reached:
            reached.append(f"{shown.seconds:.0f} s ({epoch} epochs)")
        if epoch == 4:
            raise StopIteration

    with contextlib.suppress(StopIteration):
        model.fit(train.architectures, train.accuracy, train.complexity, on_epoch=check)
    print(f"\nuntil 99.9 %: {reached[0] if reached else 'not reached'}; a dense prototype 320 s, the authors' programs 28 hours")


def figures(preset: str) -> tuple[float, float, float, float]:
    """Return seconds of an epoch, graphs encoded and decoded a second, and seconds of 1,000 ascents of 100 steps."""
    train = load("train")
    space = ENAS(6)
    model = NGAE(space, preset=preset, epochs=1)
    part = 640
    learned = train.architectures[:part], train.accuracy[:part], train.complexity[:part]
    model.fit(*learned, epochs=1)  # what is made at the first use is not measured
    started = time.process_time()
    model.fit(*learned, warm=True, epochs=1)
    epoch = (time.process_time() - started) * len(train.architectures) / part
    batch = space.encode(train.architectures[:GRAPHS])
    encode = best_of(lambda: model.encode(batch))
    learned_space = model.latent_space
    core, region, rules = learned_space.model, learned_space.data_region(), learned_space.grammar
    latents = region.sample(GRAPHS, torch.Generator().manual_seed(0))
    decode = best_of(lambda: generate(core.decoder, rules, latents))
    climb = best_of(lambda: ascend(core, region, latents, weight=0.3, steps=100))
    return epoch, GRAPHS / encode, GRAPHS / decode, climb


def main() -> None:
    torch.set_num_threads(1)
    np.set_printoptions(precision=3)
    print(
        "| | s an epoch of 17,118 | encoded a second | decoded | 1,000 ascents of 100 steps, s |\n| --- | --- | --- | --- | --- |"
    )
    print(
        "| authors (H = 501) | 336 | 754 | 228 | |\n| dense prototype, H = 501 | 94 to 114 | 1,672 | 1,018 | 0.59 |", flush=True
    )
    for preset in ("paper", "default"):
        epoch, encoded, decoded, climb = figures(preset)
        print(f"| here, `{preset}` | {epoch:.1f} | {encoded:,.0f} | {decoded:,.0f} | {climb:.2f} |", flush=True)
    until_it_reconstructs()


if __name__ == "__main__":
    main()
