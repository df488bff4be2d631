"""Models and trainings on a GPU against the same ones on the CPU, and their speeds, in one table and at most ten minutes.

    python -m benchmarks.gpu                     # on the first GPU
    python -m benchmarks.gpu --device cpu --tiny  # each part at a tiny size, in less than a minute

It needs PyTorch and the package alone: no Ray, no files. Correctness is the largest difference between the device and the CPU,
with the bound that it should stay below; bounds allow for the order of sums, TF32 in convolutions and bfloat16 where it is used.
Speeds are counted within a share of the time, so that a slow device measures fewer candidates and not longer.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from torch import Tensor, nn

from archsearch import spaces
from archsearch.evaluators import GHN, NGAE, Predictor, Recipe
from archsearch.evaluators.datasets import ImageDataset, Resident, Splits, resident
from archsearch.evaluators.ghn.candidates import generated
from archsearch.evaluators.ghn.scoring import EvaluationSpec, score
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.training.loop import Training
from archsearch.evaluators.training.recipe import CIFAR
from archsearch.spaces import Architecture, SearchSpace
from benchmarks.frame import table
from benchmarks.ghn.speed import World

SECONDS = 600.0
"""The longest that all parts together may take."""


@dataclass(frozen=True)
class Size:
    """How much is computed.

    Args:
        images: Images of the noise that networks are trained on.
        scored: Validation images that score a candidate.
        candidates: Candidates of the hypernetwork.
        cells: Cells that a predictor learns from; 381,262 are nine tenths of NAS-Bench-101.
        architectures: Architectures that an auto-encoder learns from.
        batch: Images in a batch of the recipe for CIFAR.
        paper: Whether networks have the published sizes.
    """

    images: int = 2000
    scored: int = 5000
    candidates: int = 1000
    cells: int = 381_262
    architectures: int = 2000
    batch: int = 96
    paper: bool = True


TINY = Size(images=48, scored=32, candidates=4, cells=300, architectures=40, batch=8, paper=False)
ROW = tuple[str, str, str, str]


def main(arguments: list[str] | None = None) -> int:
    """Run all parts and print the table; the status is 1 if a difference is beyond its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="device (default: a GPU, if any)"
    )
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes")
    parsed = parser.parse_args(arguments)
    device, size, started = torch.device(parsed.device), TINY if parsed.tiny else Size(), time.perf_counter()
    rows, wrong = list[ROW](), 0
    for title, part in {**CORRECTNESS, **SPEEDS}.items():
        left = SECONDS - (time.perf_counter() - started)
        if left < SECONDS / 20:
            rows.append((title, "left out", "", "the ten minutes are over"))
            continue
        try:
            for name, found, bound, verdict in part(device, size, min(1.0 if parsed.tiny else 60.0, left / 4)):
                rows.append((f"{title}: {name}", found, bound, verdict))
                wrong += verdict == "WRONG"
        except Exception as error:  # one part that fails must not cost the others
            rows.append((title, "failed", "", f"{type(error).__name__}: {str(error).splitlines()[0]}"))
            wrong += 1
        print(f"{title}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    table(["part", "found", "bound", "verdict"], rows, f"{named}, PyTorch {torch.__version__}")
    print(f"\n{time.perf_counter() - started:.0f} s; {'all within their bounds' if not wrong else f'{wrong} WRONG or failed'}")
    return int(wrong > 0)


def judged(name: str, difference: float, bound: float) -> ROW:
    """Return the row of a difference that should stay below a bound."""
    return name, f"{difference:.2e}", f"{bound:.0e}", "ok" if difference <= bound else "WRONG"


def noise(size: Size, side: int = 32) -> Splits:
    """Return images of noise whose brightness tells the class, 3 channels and 10 classes."""
    generator = torch.Generator().manual_seed(0)

    def part(name: str, images: int) -> ImageDataset:
        labels = torch.arange(images) % 10
        pixels = torch.randint(0, 156, (images, 3, side, side), generator=generator) + 10 * labels[:, None, None, None]
        return ImageDataset(f"noise/{name}", pixels.to(torch.uint8), labels, tuple("0123456789"))

    return Splits(part("train", size.images), part("validation", size.scored), part("test", size.scored))


def sampled(space: SearchSpace, number: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def relative(first: Tensor, second: Tensor) -> float:
    """Return the largest difference as a fraction of the largest value."""
    first, second = first.detach().double().cpu(), second.detach().double().cpu()
    return float((first - second).abs().max() / second.abs().max().clamp_min(1e-12))


def ghn_agrees(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """Weights and scores of one trained hypernetwork on both devices."""
    space, few = spaces.get("nasbench201"), Size(images=200, scored=min(200, size.scored))
    scale = {"channels": 4, "cells_per_stage": 1}
    here = GHN(space, noise(few), scale=scale, device="cpu", threads=1).fit(8, report=lambda progress: None)
    there = GHN(space, noise(few), scale=scale, device=str(device), threads=1).load(here.state())
    cells = sampled(space, 8)
    weights = [relative(there.generate(cell)[name], value) for cell in cells for name, value in here.generate(cell).items()]
    yield judged("generated weights", max(weights), 1e-3)
    losses = [[each.metrics["valid_loss"] for each in model.evaluate(cells)] for model in (there, here)]
    yield judged("loss of generated networks (bfloat16 on a GPU)", relative(*map(torch.tensor, losses)), 3e-2)


def gates_agrees(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """Two fits of one predictor on both devices, which part by rounding: both should rank alike."""
    space = spaces.get("nasbench201")
    cells, others = sampled(space, 60), sampled(space, 60, seed=1)
    scores = [-abs(space.cost(cell, (3, 32, 32), 10).params - 4e5) for cell in cells]
    ranked = [
        Predictor(space, device=str(each), epochs=20).fit(cells, scores).predict(others) for each in (device, torch.device("cpu"))
    ]
    yield judged("1 - Kendall's tau of the predictions", 1.0 - float(kendall_tau(*ranked)), 0.1)


def ngae_agrees(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """One auto-encoder's encodings, predictions and ascent on both devices, after a fit on each."""
    space = spaces.get("enas")
    cells = sampled(space, 40)
    scores = np.linspace(0.5, 0.9, len(cells))
    fits = [NGAE(space, width=16, epochs=2, device=str(each)).fit(cells, scores) for each in (device, torch.device("cpu"))]
    losses = [torch.tensor(fit.history[-1][:4]).nan_to_num() for fit in fits]  # without the seconds
    yield judged("losses of the last epoch", relative(*losses), 5e-2)
    moved = NGAE(space, width=16, epochs=2, device=str(device)).load(fits[1].state())
    yield judged("encodings", relative(*(torch.from_numpy(fit.encode(cells)) for fit in (moved, fits[1]))), 1e-3)
    yield judged("predictions", float(np.abs(moved.predict(cells) - fits[1].predict(cells)).max()), 1e-3)
    ends = [fit.ascend(5, starts=20, steps=5) for fit in (moved, fits[1])]
    shared = {str(each) for each in ends[0].architectures} & {str(each) for each in ends[1].architectures}
    yield judged("share of other proposals", 1.0 - len(shared) / max(1, len(ends[1].architectures)), 0.5)


def network_of(size: Size, seed: int = 1) -> nn.Module:
    """Return a network of NAS-Bench-201, of the published size or a tiny one."""
    space = spaces.get("nasbench201")
    cell = space.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|")
    scale = {"channels": 16, "cells_per_stage": 5} if size.paper else {"channels": 4, "cells_per_stage": 1}
    return space.build(cell, 10, 3, torch.Generator().manual_seed(seed), **scale)


def step_agrees(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """One training step in bfloat16 on the device against one in float32 on the CPU: loss, and direction of the change."""
    splits = noise(Size(images=min(64, size.images), scored=8))
    found = []
    for place, mixed in ((device, True), (torch.device("cpu"), False)):
        network, part = network_of(TINY).to(place), resident(splits.train, *splits.train.statistics(), place)
        before = [parameter.detach().clone() for parameter in network.parameters()]
        recipe = Recipe(epochs=1, batch_size=len(part), learning_rate=0.1, crop=2, flip=True, cutout=4)
        training = Training(network, recipe, [torch.Generator().manual_seed(2)], mixed_precision=mixed)
        loss = training.run_epoch(part.images, part.labels)
        change = [(after.detach() - old).flatten() for after, old in zip(network.parameters(), before, strict=True)]
        found.append((torch.tensor(loss), torch.cat(change).double().cpu()))
    yield judged("loss in bfloat16", relative(found[0][0], found[1][0]), 2e-2)
    cosine = float(torch.cosine_similarity(found[0][1], found[1][1], dim=0))
    yield judged("1 - cosine of the changes of the weights", 1.0 - cosine, 2e-2)


def clock(device: torch.device) -> float:
    """Return the time when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def counted(work: Callable[[], int], device: torch.device, seconds: float, most: float = np.inf) -> tuple[int, float]:
    """Call `work` until the time is over or it has returned `most` in all; return that sum and the seconds.

    A first call, in which kernels are chosen, does not count.
    """
    work()
    started, number = clock(device), 0
    while not number or (number < most and clock(device) - started < seconds):
        number += work()
    return number, clock(device) - started


def ghn_speed(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """Milliseconds a candidate of the published size: its weights, and its score on the validation images."""
    world = World("paper" if size.paper else "digits", min(size.candidates, 64), device)
    layouts = [world.layout(world.space, architecture) for architecture in world.architectures]

    def generate() -> int:
        generated(world.model, layouts)
        return len(layouts)

    number, took = counted(generate, device, seconds / 3)
    yield f"weights, {len(layouts)} at once", f"{1e3 * took / number:.2f} ms a candidate", "", f"{number:,} made"
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((size.scored, *world.shape), generator=generator).to(device)
    labels = torch.randint(10, (size.scored,), generator=generator).to(device)
    batches = EvaluationSpec(size.scored, 500).batches(Resident(images, labels))
    pairs = cycle(zip(layouts, generated(world.model, layouts).candidates, strict=True))

    def scored() -> int:
        layout, parameters = next(pairs)
        score(layout.plan, parameters, batches, device.type == "cuda")
        return 1

    done, took = counted(scored, device, seconds, size.candidates)
    yield f"{size.scored:,} images scored", f"{1e3 * took / done:.1f} ms a candidate", "", f"{done:,} of {size.candidates:,}"


def gates_speed(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """Seconds of an epoch on nine tenths of NAS-Bench-101, and scores a second."""
    space = spaces.get("nasbench101")
    distinct = space.encode(sampled(space, min(2000, size.cells)))
    rows = np.arange(size.cells) % len(distinct)
    predictor, graphs = Predictor(space, device=str(device)), distinct[rows]
    few = distinct[np.arange(min(256, len(distinct)))]
    predictor.fit(few, np.arange(len(few)), epochs=1)  # the first kernels are not timed
    scores = np.random.default_rng(0).random(size.cells)
    learned = min(size.cells, 40_000)  # an epoch is counted by a part of it where all of it would take too long
    started = clock(device)
    predictor.fit(graphs[np.arange(learned)], scores[:learned], epochs=1)
    took = clock(device) - started
    share = "measured" if learned == size.cells else f"from {learned:,} cells"
    yield f"an epoch on {size.cells:,} cells", f"{took * size.cells / learned:.1f} s", "", share
    prepared = predictor.prepare(graphs[np.arange(learned)])

    def predict() -> int:
        return len(predictor.predict(prepared))

    number, took = counted(predict, device, min(seconds, 10.0))
    yield "scores", f"{number / took:,.0f} a second", "", f"{number:,} scores"


def ngae_speed(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """Seconds of an epoch of the auto-encoder."""
    space = spaces.get("enas")
    cells = space.encode(sampled(space, size.architectures))
    took: list[float] = []
    NGAE(space, device=str(device)).fit(
        cells, np.linspace(0.5, 0.9, len(cells)), epochs=3, on_epoch=lambda number, losses: took.append(clock(device))
    )
    yield f"an epoch on {size.architectures:,} cells", f"{took[-1] - took[-2]:.2f} s", "", "the third epoch"


def training_speed(device: torch.device, size: Size, seconds: float) -> Iterator[ROW]:
    """Images a second of the recipe for CIFAR, against the steps of its network alone, on one batch that stays on the device."""
    splits = noise(size)
    part = resident(splits.train, *splits.train.statistics(), device)
    recipe = CIFAR.with_changes(batch_size=min(size.batch, size.images), drop_path=0.0, auxiliary=0.0, channels_last=True)
    mixed = device.type == "cuda"
    training = Training(network_of(size).to(device), recipe, [torch.Generator().manual_seed(0)], mixed_precision=mixed)

    def epoch() -> int:
        training.run_epoch(part.images, part.labels)
        return training.throughput.images

    number, took = counted(epoch, device, seconds / 2)
    network = network_of(size).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4, fused=True)
    batch = part.images[: recipe.batch_size].contiguous(memory_format=torch.channels_last)
    labels = part.labels[: recipe.batch_size]

    def step() -> int:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            logits = network(batch)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        return len(batch)

    most, alone = counted(step, device, seconds / 2)
    yield (
        "recipe cifar",
        f"{number / took:,.0f} images/s",
        "",
        f"{100 * (number / took) / (most / alone):.0f} % of the steps alone",
    )
    yield "steps alone", f"{most / alone:,.0f} images/s", "", f"batches of {recipe.batch_size}"
    yield "share of the time waiting for images", f"{100 * training.throughput.waiting:.1f} %", "", ""


Part = Callable[[torch.device, Size, float], Iterator[ROW]]

CORRECTNESS: dict[str, Part] = {
    "GHN": ghn_agrees,
    "GATES": gates_agrees,
    "NGAE": ngae_agrees,
    "training step": step_agrees,
}
SPEEDS: dict[str, Part] = {
    "GHN speed": ghn_speed,
    "GATES speed": gates_speed,
    "NGAE speed": ngae_speed,
    "training speed": training_speed,
}


if __name__ == "__main__":
    sys.exit(main())
