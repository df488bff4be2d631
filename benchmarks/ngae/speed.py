"""Speed of NGAE in learning, encoding, decoding and climbing, on one thread.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.speed

The folder holds enas6.parquet. CPU seconds; the authors' figures were measured before on another machine, so only orders of
magnitude compare. Beside ours stands what the same core would reach if it did nothing but the matrix products of encoding and
decoding, at the rate of one product of their size.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from archsearch.evaluators import NGAE
from archsearch.evaluators.ngae.ascent import ascend
from archsearch.evaluators.ngae.generation import generate
from archsearch.evaluators.ngae.quality import reconstruction
from archsearch.evaluators.ngae.training import Epoch
from archsearch.spaces.enas import ENAS
from benchmarks.frame import Rows, Script, least_seconds, table
from benchmarks.ngae.table1 import load

GRAPHS, REPEATS, WANTED = 1000, 3, 0.999


def until_it_reconstructs() -> dict[str, Any]:
    """Return CPU seconds and epochs until 99.9 % of the test rows are reconstructed (likelier decisions); None: not reached."""
    train, test = load("train"), load("test")
    model = NGAE(ENAS(6), epochs=10)
    reached: dict[str, Any] = {"reached": None, "epochs": None}

    def check(epoch: int, shown: Epoch) -> None:
        right = reconstruction(model, test.architectures[:1000])
        print(f"epoch {epoch}: {shown.seconds:.0f} s, {100 * right:.2f} % of 1,000 test rows reconstructed", flush=True)
        if right >= WANTED and reached["epochs"] is None:
            reached.update(reached=shown.seconds, epochs=epoch)
        if epoch == 4:
            raise StopIteration

    with contextlib.suppress(StopIteration):
        model.fit(train.architectures, train.accuracy, train.complexity, on_epoch=check)
    return reached


def operations(work: Callable[[], object]) -> int:
    """Return the floating-point operations of the matrix products in a call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def product_rate(width: int) -> float:
    """Return the floating-point operations a second of a product of `GRAPHS` rows with a matrix of `width x 3 width`."""
    rows, matrix = torch.randn(GRAPHS, width), torch.randn(width, 3 * width)
    return 2.0 * GRAPHS * width * 3 * width / least_seconds(lambda: rows @ matrix, 10 * REPEATS)


def figures(preset: str) -> dict[str, float]:
    """Return seconds of an epoch, graphs encoded and decoded a second, and seconds of 1,000 ascents of 100 steps.

    `encoded_bound` and `decoded_bound` are what the matrix products alone allow.
    """
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
    encode = least_seconds(lambda: model.encode(batch), REPEATS)
    learned_space = model.latent_space
    core, region, rules = learned_space.model, learned_space.data_region(), learned_space.grammar
    latents = region.sample(GRAPHS, torch.Generator().manual_seed(0))
    decode = least_seconds(lambda: generate(core.decoder, rules, latents), REPEATS)
    climb = least_seconds(lambda: ascend(core.performance, core.complexity, region, latents, weight=0.3, steps=100), REPEATS)
    rate = product_rate(model.settings.width)
    bounds = {
        "encoded_bound": GRAPHS * rate / operations(lambda: model.encode(batch)),
        "decoded_bound": GRAPHS * rate / operations(lambda: generate(core.decoder, rules, latents)),
    }
    return {"epoch": epoch, "encoded": GRAPHS / encode, "decoded": GRAPHS / decode, "climb": climb, **bounds}


def report(rows: Rows) -> None:
    """Print the tables, with the figures of the authors' programs and of a prototype above ours."""
    lines: list[list[object]] = [
        ["authors (H = 501)", 336, 754, 228, None, None],
        ["dense prototype, H = 501", "94 to 114", "1,672", "1,018", 0.59, None],
    ]
    for row in rows.select(figure="speeds"):
        speeds = f"{row['epoch']:.1f}", f"{row['encoded']:,.0f}", f"{row['decoded']:,.0f}", f"{row['climb']:.2f}"
        bound = f"{row['encoded_bound']:,.0f}, {row['decoded_bound']:,.0f}" if "encoded_bound" in row else None
        lines.append([f"here, `{row['preset']}`", *speeds, bound])
    names = ["", "s an epoch of 17,118", "encoded a second", "decoded", "1,000 ascents of 100 steps, s"]
    table([*names, "encoded, decoded: most that matrix products allow"], lines)
    until = [
        ["here", "not reached" if row["epochs"] is None else f"{row['reached']:.0f} ({row['epochs']} epochs)"]
        for row in rows.select(figure="reconstruction")
    ]
    table(["", "CPU s until 99.9 % are reconstructed"], [["authors", "28 hours"], ["dense prototype", 320], *until])


def main() -> None:
    script = Script(__file__, __doc__)
    script.parse()
    torch.set_num_threads(1)

    def run(rows: Rows) -> None:
        for preset in ("paper", "default"):
            rows.get(lambda preset=preset: figures(preset), figure="speeds", preset=preset)
        rows.get(until_it_reconstructs, figure="reconstruction")

    script.run(run, report)


if __name__ == "__main__":
    main()
