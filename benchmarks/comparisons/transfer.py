"""Cells that were found cheaply against random cells and networks designed by hand, at equal MACs and trained alike.

    ARCHSEARCH_DATA=FOLDER python benchmarks/transfer.py             # some forty minutes on one core, in pieces
    ARCHSEARCH_DATA=FOLDER python benchmarks/transfer.py --print     # the tables of what is there so far
    ARCHSEARCH_DATA=FOLDER python benchmarks/transfer.py --macs 4e7 --epochs 200 --device cuda

The folder holds cifar10_train.parquet and cifar10_test.parquet. Three cells of NAS-Bench-201 of each kind are trained on these
images, once each: the best that evolution finds by 300 look-ups of the table digits201, that is cells found on another and
smaller problem; the first three of 300 random cells by a graph hypernetwork trained on these images; random ones.
ResNet-20 and torchvision's MobileNetV2, whose stem has stride 1 because the images are small, are trained with three seeds. All
networks are as wide as the budget allows. Settings of the training are those of the platform's ranking for natural images. Each
training is a line of a file and is not made again.

Last, the mobile network of the first cell found on digits: built for 224 x 224 pixels and 1,000 classes under 600 million MACs;
one epoch of the recipe `imagenet-mobile` runs on a folder of enlarged images.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ghn_correlation import trained
from PIL import Image
from rows import read, write
from scipy.stats import ttest_ind
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import mobilenet_v2

from archsearch import platform
from archsearch.evaluators import GHN, datasets
from archsearch.evaluators.baselines import resnet_plan
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.metrics import mean_interval
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.recipe import Recipe, default_recipe
from archsearch.evaluators.training.scoring import exit_scores
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network
from archsearch.spaces.network_size import MOBILE_MACS, largest_channels
from archsearch.spaces.strided_stem import StridedStem

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
    trained("ghn 0", ghn, arguments.steps, arguments.results.with_suffix(""))
    outcomes = [outcome for outcome in ghn.evaluate(random_cells(300, 1)) if outcome.ok]
    ranked = sorted(outcomes, key=lambda outcome: outcome.metrics["valid_loss"])
    return [str(outcome.architecture) for outcome in ranked[:SEEDS]]


def random_cells(count: int, seed: int) -> list[Architecture]:
    """Return different random cells."""
    rng, found = np.random.default_rng([seed, 2018]), dict[str, Architecture]()
    while len(found) < count:
        cell = SPACE.sample(rng)
        found.setdefault(SPACE.key(cell), cell)
    return list(found.values())


def chosen(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Return the cells of each kind; they are found once and kept in the file."""
    for row in read(arguments.results):
        if row["kind"] == "cells":
            return row["cells"]
    groups = (found_on_digits(arguments.results.parent), found_by_ghn(arguments), [str(each) for each in random_cells(SEEDS, 0)])
    cells = dict(zip(CELLS, groups, strict=True))
    write(arguments.results, {"kind": "cells", "cells": cells})
    return cells


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


def made_networks(arguments: argparse.Namespace) -> dict[tuple[str, int, str], Any]:
    """Return what makes each network, by group, seed and text form."""
    networks: dict[tuple[str, int, str], Any] = {}
    for group, texts in chosen(arguments).items():
        for seed, text in enumerate(texts):
            generator = torch.Generator().manual_seed(seed)
            networks[group, seed, text] = partial(cell_network, SPACE.parse(text), arguments.macs, generator)
    for seed in range(SEEDS):
        networks["ResNet-20", seed, ""] = partial(resnet20, arguments.macs, torch.Generator().manual_seed(seed))
        networks["MobileNetV2", seed, ""] = partial(mobilenet, arguments.macs, seed)
    # One seed of all groups after the other, so that a program that is stopped leaves whole comparisons.
    return dict(sorted(networks.items(), key=lambda entry: entry[0][1]))


def compute(arguments: argparse.Namespace) -> None:
    """Train what is not in the file yet."""
    splits = datasets.load(arguments.dataset)
    recipe = default_recipe(arguments.dataset).with_changes(epochs=arguments.epochs)
    networks = made_networks(arguments)
    known = {(row["group"], row["seed"]) for row in trainings(arguments)}
    for (group, seed, text), make in networks.items():
        if (group, seed) not in known:
            figures = measured(make(), splits, recipe, seed, arguments.device)
            row = {"kind": "training", "macs_allowed": arguments.macs, "epochs": arguments.epochs, "group": group, "seed": seed}
            write(arguments.results, row | {"architecture": text} | figures)
            print(f"{group}, seed {seed}: test {100 * figures['test_accuracy']:.2f} %, {figures['seconds']:.0f} s", flush=True)
    if not any(row["kind"] == "mobile" for row in read(arguments.results)):
        write(arguments.results, mobile(SPACE.parse(chosen(arguments)[CELLS[0]][0])))


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
        "kind": "mobile",
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


def trainings(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of trainings with these settings."""
    rows = [row for row in read(arguments.results) if row["kind"] == "training"]
    return [row for row in rows if (row["macs_allowed"], row["epochs"]) == (arguments.macs, arguments.epochs)]


def report(arguments: argparse.Namespace) -> None:
    """Print the tables as Markdown."""
    rows = trainings(arguments)
    print(
        f"\n| below {arguments.macs / 1e6:g} M MACs, {arguments.epochs} epochs | trainings | test %, 95 % interval "
        "| cells found on digits less these, points | validation % | M MACs | thousand parameters | s each |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    first = [100 * row["test_accuracy"] for row in rows if row["group"] == CELLS[0]]
    for group in (*CELLS, *DESIGNED):
        found = [row for row in rows if row["group"] == group]
        if not found:
            continue
        tests = [100 * row["test_accuracy"] for row in found]
        shown, less = f"{np.mean(tests):.2f}", f"{np.mean(first) - np.mean(tests):+.2f}" if group != CELLS[0] else ""
        if min(len(first), len(tests)) > 1:
            mean, gap = mean_interval(tests), ttest_ind(first, tests, equal_var=False).confidence_interval()
            shown += f" ({mean.low:.2f} to {mean.high:.2f})"
            less += f" ({gap.low:+.2f} to {gap.high:+.2f})" if less else ""
        valid, macs, params, seconds = (
            np.mean([row[name] for row in found]) for name in ("valid_accuracy", "macs", "params", "seconds")
        )
        print(
            f"| {group} | {len(found)} | {shown} | {less} | {100 * valid:.2f} | {macs / 1e6:.2f} | {params / 1e3:.0f} "
            f"| {seconds:.0f} |"
        )
    for row in read(arguments.results):
        if row["kind"] == "mobile":
            print(
                f"\nMobile network of {row['architecture']}: {row['channels']} channels, {row['macs'] / 1e6:.1f} M MACs, "
                f"{row['params'] / 1e6:.2f} M parameters; one epoch on 4 classes in {row['seconds']:.0f} s, "
                f"loss {row['train_loss']:.3f}."
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--macs", type=float, default=4e6, help="of one image, an upper limit (default: 4e6)")
    parser.add_argument("--epochs", type=int, default=12, help="of the trainings (default: 12)")
    parser.add_argument("--steps", type=int, default=1500, help="of the hypernetwork (default: 1500)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=Path("runs/transfer.jsonl"), help="where the figures are kept")
    parser.add_argument("--print", action="store_true", help="only print the tables of what is there")
    arguments = parser.parse_args()
    if "ARCHSEARCH_DATA" not in os.environ:
        raise SystemExit("ARCHSEARCH_DATA: name the folder with cifar10_train.parquet and cifar10_test.parquet.")
    arguments.dataset = f"parquet:{Path(os.environ['ARCHSEARCH_DATA']) / 'cifar10_train.parquet'}"
    torch.set_num_threads(1)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    if not arguments.print:
        compute(arguments)
    report(arguments)


if __name__ == "__main__":
    main()
