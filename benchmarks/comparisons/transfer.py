"""Cells that were found cheaply against random cells and networks designed by hand, at equal MACs and equally trained.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.transfer             # some forty minutes on one core, in pieces
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.transfer --macs 4e7 --epochs 200 --device cuda

The folder holds cifar10_train.parquet and cifar10_test.parquet. Three cells of NAS-Bench-201 of each kind are trained on these
images, once each: the best that evolution finds by 300 look-ups of the table digits201, that is cells found on another and
smaller problem; the first three of 300 random cells by a graph hypernetwork trained on these images; random ones.
ResNet-20 and torchvision's MobileNetV2, whose stem has stride 1 because the images are small, are trained with three seeds. All
networks are as wide as the budget allows. Settings of the training are those of the platform's ranking for natural images.

Last, the mobile network of the first cell found on digits: built for 224 x 224 pixels and 1,000 classes under 600 million MACs;
one epoch of the recipe `imagenet-mobile` runs on a folder of enlarged images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import mobilenet_v2

from archsearch import platform
from archsearch.evaluators import GHN, datasets
from archsearch.evaluators.baselines import resnet_plan
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.recipe import Recipe, default_recipe
from archsearch.evaluators.training.scoring import exit_scores
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network
from archsearch.spaces.network_size import MOBILE_MACS, largest_channels
from archsearch.spaces.strided_stem import StridedStem
from benchmarks import frame
from benchmarks.frame import Row, Rows, Script, average, difference
from benchmarks.ghn.correlation import trained

SEEDS = 3
SPACE = NASBench201()
CELLS = ("found on digits", "found on CIFAR-10 by a GHN", "random cells")
DESIGNED = ("ResNet-20", "MobileNetV2")
SHAPE, CLASSES = (3, 32, 32), 10


def found_on_digits(folder: Path) -> list[str]:
    """Return the best cell of three searches by evolution in the table digits201, one a seed."""
    texts = []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory(dir=folder) as storage:
            result = platform.run_search(
                SPACE, "evolution", "table:digits201", 300, seed, storage=storage, progress=False, tracking="off"
            )
        texts.append(str(result.best.architecture))
    ray.shutdown()
    return texts


def found_by_ghn(arguments: argparse.Namespace) -> list[str]:
    """Return the first three of 300 random cells by a hypernetwork trained on the images."""
    ghn = GHN(SPACE, arguments.dataset, 0, scale={"channels": 8, "cells_per_stage": 1}, device=arguments.device)
    trained("ghn 0", ghn, arguments.steps, arguments.out.with_suffix(""))
    outcomes = [outcome for outcome in ghn.evaluate(random_cells(300, 1)) if outcome.ok]
    ranked = sorted(outcomes, key=lambda outcome: outcome.metrics["valid_loss"])
    return [str(outcome.architecture) for outcome in ranked[:SEEDS]]


def random_cells(count: int, seed: int) -> list[Architecture]:
    """Return distinct random cells."""
    rng, found = np.random.default_rng([seed, 2018]), dict[str, Architecture]()
    while len(found) < count:
        cell = SPACE.sample(rng)
        found.setdefault(SPACE.key(cell), cell)
    return list(found.values())


def chosen(arguments: argparse.Namespace, rows: Rows) -> dict[str, list[str]] | None:
    """Return the cells of each kind; they are found once and kept in the file."""

    def found() -> dict[str, Any]:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        groups = found_on_digits(arguments.out.parent), found_by_ghn(arguments), [str(each) for each in random_cells(SEEDS, 0)]
        return {"cells": dict(zip(CELLS, groups, strict=True))}

    row = rows.get(found, kind="cells")
    return row["cells"] if row else None


def cell_network(cell: Architecture, macs: float, generator: torch.Generator) -> Network:
    """Return the network of a cell, two cells a stage, as wide as the budget allows."""
    channels = largest_channels(SPACE, cell, macs, SHAPE, CLASSES, cells_per_stage=2)
    return SPACE.build(cell, CLASSES, SHAPE[0], generator, channels=channels, cells_per_stage=2)


def resnet20(macs: float, generator: torch.Generator) -> Network:
    """Return the residual network of 20 layers (K. He et al., CVPR 2016, section 4.2), as wide as the budget allows."""
    plans = (resnet_plan(CLASSES, SHAPE[0], blocks=3, channels=channels, exit_every=9) for channels in range(1, 257))
    best = None
    for plan in plans:
        network = Network(plan, torch.Generator().manual_seed(0))
        if counted_macs(network) >= macs:
            break
        best = plan
    assert best is not None, f"macs: no ResNet-20 is below {macs:g}."
    return Network(best, generator)


def mobilenet(macs: float, seed: int) -> nn.Module:
    """Return torchvision's MobileNetV2 for small images, as wide as the budget allows."""

    def made(width: float) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = mobilenet_v2(num_classes=CLASSES, width_mult=width, dropout=0.0)
        network.features[0][0].stride = (1, 1)
        return network

    widths = [width / 40 for width in range(1, 81)]
    return made(max(width for width in widths if counted_macs(made(width)) < macs))


def counted_macs(network: nn.Module) -> float:
    """Return the MACs of one image, counted while it passes."""
    network.eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *SHAPE))
    return counter.get_total_flops() / 2


def made_networks(cells: dict[str, list[str]], macs: float) -> dict[tuple[str, int, str], Any]:
    """Return what makes each network, by group, seed and text form."""
    networks: dict[tuple[str, int, str], Any] = {}
    for group, texts in cells.items():
        for seed, text in enumerate(texts):
            generator = torch.Generator().manual_seed(seed)
            networks[group, seed, text] = partial(cell_network, SPACE.parse(text), macs, generator)
    for seed in range(SEEDS):
        networks["ResNet-20", seed, ""] = partial(resnet20, macs, torch.Generator().manual_seed(seed))
        networks["MobileNetV2", seed, ""] = partial(mobilenet, macs, seed)
    # One seed of all groups after the other, so that a program that is stopped leaves complete comparisons.
    return dict(sorted(networks.items(), key=lambda entry: entry[0][1]))


def compute(arguments: argparse.Namespace, rows: Rows) -> None:
    """Train what is not in the file yet."""
    cells = chosen(arguments, rows)
    if cells is None:
        return
    splits = datasets.load(arguments.dataset)
    recipe = default_recipe(arguments.dataset).with_changes(epochs=arguments.epochs)
    fixed = {"kind": "training", "macs_allowed": arguments.macs, "epochs": arguments.epochs}
    for (group, seed, text), make in made_networks(cells, arguments.macs).items():
        rows.get(
            lambda make=make, seed=seed, text=text: {
                "architecture": text,
                **measured(make(), splits, recipe, seed, arguments.device),
            },
            **fixed,
            group=group,
            seed=seed,
        )
    rows.get(lambda: mobile(SPACE.parse(cells[CELLS[0]][0])), kind="mobile")


def measured(network: nn.Module, splits: Splits, recipe: Recipe, seed: int, device: str) -> dict[str, float]:
    """Train a network and return its figures."""
    started = time.perf_counter()
    place = device_named(device)
    macs, params = counted_macs(network), sum(parameter.numel() for parameter in network.parameters())
    mean, std = splits.train.statistics()
    images, *others = (datasets.resident(part, mean, std, place) for part in splits)
    network = network.to(place)
    order = torch.Generator().manual_seed(1000 + seed)
    train(network, images.images, images.labels, recipe, [order], mixed_precision=place.type == "cuda")
    scores = [float(exit_scores(network, part.images, part.labels)[-1].accuracy) for part in others]
    accuracies = {"valid_accuracy": scores[0], "test_accuracy": scores[1]}
    return {"macs": macs, "params": float(params), "seconds": time.perf_counter() - started, **accuracies}


def mobile(cell: Architecture) -> dict[str, Any]:
    """Build the mobile network of a cell, and train it for an epoch on enlarged images of a few classes."""
    space = StridedStem(SPACE)
    size = {"cells_per_stage": 4}
    channels = largest_channels(space, cell, MOBILE_MACS, (3, 224, 224), 1000, **size)
    cost = space.cost(cell, (3, 224, 224), 1000, channels=channels, **size)
    with tempfile.TemporaryDirectory() as folder:
        image_folder(Path(folder))
        model = platform.retrain(
            space,
            cell,
            f"imagefolder:{folder}?size=224",
            recipe="imagenet-mobile",
            scale={"channels": channels, **size},
            epochs=1,
            batch_size=16,
            progress=False,
        )
    row = {
        "architecture": str(cell),
        "channels": channels,
        "macs": float(cost.macs),
        "params": float(cost.params),
    }
    return row | {name: model.metrics[name] for name in ("train_loss", "test_accuracy", "seconds")}


def image_folder(folder: Path) -> None:
    """Write 24 enlarged digits of each of four classes as images of 224 x 224 pixels."""
    digits = datasets.load("digits").train
    for label in range(4):
        (folder / str(label)).mkdir()
        for number in torch.nonzero(digits.labels == label).flatten()[:24].tolist():
            image = Image.fromarray(digits.images[number, 0].numpy()).convert("RGB").resize((224, 224))
            image.save(folder / str(label) / f"{number}.png")


def report(arguments: argparse.Namespace, rows: Rows) -> None:
    """Print the tables."""
    trained_rows = rows.select(kind="training", macs_allowed=arguments.macs, epochs=arguments.epochs)
    groups = {group: [row for row in trained_rows if row["group"] == group] for group in (*CELLS, *DESIGNED)}
    lines = [line(group, found, groups[CELLS[0]]) for group, found in groups.items() if found]
    columns = ["networks", "trainings", "test %", f"cells {CELLS[0]} less these, points", "validation %", "M MACs"]
    title = f"below {arguments.macs / 1e6:g} M MACs, {arguments.epochs} epochs"
    frame.table([*columns, "thousand parameters", "s each"], lines, title)
    for row in rows.select(kind="mobile"):
        print(
            f"\nMobile network of {row['architecture']}: {row['channels']} channels, {row['macs'] / 1e6:.1f} M MACs, "
            f"{row['params'] / 1e6:.2f} M parameters; one epoch on 4 classes in {row['seconds']:.0f} s, "
            f"loss {row['train_loss']:.3f}."
        )


def line(group: str, rows: list[Row], first: list[Row]) -> list[str]:
    """Return the line of a group of networks, with their distance to the first group."""
    tests, ours = ([100 * row["test_accuracy"] for row in each] for each in (rows, first))
    valid, macs, params, seconds = (
        np.mean([row[name] for row in rows]) for name in ("valid_accuracy", "macs", "params", "seconds")
    )
    less = difference(ours, tests) if group != CELLS[0] else ""
    costs = f"{macs / 1e6:.2f}", f"{params / 1e3:.0f}", f"{seconds:.0f}"
    return [group, str(len(rows)), average(tests), less, f"{100 * valid:.2f}", *costs]


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--macs", type=float, default=4e6, help="of one image, an upper limit (default: 4e6)")
    script.argument("--epochs", type=int, default=12, help="of the trainings (default: 12)")
    script.argument("--steps", type=int, default=1500, help="of the hypernetwork (default: 1500)")
    script.argument("--device", default="auto")
    arguments = script.parse()
    folder = frame.data("cifar10_train.parquet", "cifar10_test.parquet")
    arguments.dataset = f"parquet:{folder / 'cifar10_train.parquet'}"
    torch.set_num_threads(1)
    script.run(lambda rows: compute(arguments, rows), lambda rows: report(arguments, rows))


if __name__ == "__main__":
    main()
