"""Speed of a graph hypernetwork in generating and scoring networks: batched, one by one, and node by node.

    python -m benchmarks.ghn.speed                       # the size for digits, one thread, about two minutes
    python -m benchmarks.ghn.speed --paper --batch 32    # 18 blocks of 17 nodes, 32 channels; some GB of memory
    python -m benchmarks.ghn.speed --device cuda         # on a GPU
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.speed --kinds step --before 60e3668    # a training step, four minutes

The candidates are blocks of 17 nodes (two inputs and 15 operators) with 5 forward-backward propagations, as published. `plain` is
the slow twin of the tests: it updates one node of one candidate at a time, and calls the hypernetwork once for each parameter.
Times are the least of a few tries, of CPU seconds of the process on a CPU, so that other work on the machine counts little.
A step is one of training: 64 images of CIFAR-10, averaged to 16 x 16 pixels, NAS-Bench-201, 8 channels and one cell a stage.
Processes with the package of the revision `--before` and with this one take turns, so that other work on the machine meets both.
Published: .08 s a candidate for weights and a batch of images, 14 s for all 5,000 validation images (one GPU of 2018).
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archsearch.evaluators import GHN
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.ghn.candidates import generated, tensors_for
from archsearch.evaluators.ghn.graph_tensors import GraphTensors, Request
from archsearch.evaluators.ghn.model import GraphHyperNetwork, views
from archsearch.evaluators.ghn.modules import MODULE_PATTERNS, Layout, lay_out
from archsearch.evaluators.ghn.scoring import EvaluationSpec, score, training_loss
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.training import drawn_architectures, drawn_images, take_step
from archsearch.evaluators.ghn.vocabulary import survey
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks import frame
from benchmarks.frame import Rows, Script, least_seconds, table

SIZES = {"digits": {"blocks": 3, "channels": 8}, "paper": {"blocks": 18, "channels": 32}}
TRIES = 3
PARTS = ("images and graph", "generation", "network forward", "backward and optimizer")
BLOCKS, BLOCK = 6, 20  # of training steps


class World:
    """A hypernetwork and candidates.

    Args:
        size: Name of one of `SIZES`.
        number: Candidates.
        device: Where they are.
    """

    def __init__(self, size: str, number: int, device: torch.device) -> None:
        self.space, self.device, self.scale = Cells(17), device, SIZES[size]
        self.shape = (1, 8, 8) if size == "digits" else (3, 32, 32)
        settings = Settings(propagations=5, tile=self.scale["channels"])
        vocabulary = survey(Cells(7), lambda architecture: self.layout(Cells(7), architecture), settings.sliced_kernels)
        self.model = GraphHyperNetwork(vocabulary, settings, torch.Generator().manual_seed(0)).to(device)
        rng = np.random.default_rng(0)
        self.architectures = [self.space.sample(rng) for _ in range(number)]

    def layout(self, space: Cells, architecture: Any) -> Layout:
        return lay_out(space.plan(architecture, 10, self.shape[0], **self.scale), self.shape, MODULE_PATTERNS["cells"])


def seconds(work: Callable[[], Any], device: torch.device, tries: int = TRIES) -> float:
    """Return the least time of a few tries: of the CPU, or of the clock where a GPU works."""

    def clock() -> float:
        if device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    return least_seconds(work, tries, clock)


def plain_weights(model: GraphHyperNetwork, layout: Layout, plain: ModuleType) -> list[Tensor]:
    """Return the weights of a network made node by node, and one parameter at a time."""
    states = torch.cat(plain.states(model, layout))
    tensors = tensors_for(model, [layout])
    made = []
    for request in tensors.requests:
        for row in request.rows:
            alone = GraphTensors(1, tensors.modules, (Request(request.branch, request.shape, row[None]),), ((),))
            made.append(model.hypernetwork(states, alone))
    return made


def generation(world: World, batch: int, singles: int, plain: ModuleType) -> dict[str, Any]:
    """Return milliseconds a candidate for propagation and generation in three ways, and those of the parts of the batched way."""
    layouts = [world.layout(world.space, architecture) for architecture in world.architectures]
    model, device = world.model, world.device
    tensors = tensors_for(model, layouts[:batch])
    with torch.no_grad():
        states, flat = model.states(tensors), model(tensors)
        parts = {
            "networks as plans": seconds(lambda: [plan_of(world, each) for each in world.architectures[:batch]], device, 1),
            "plans as graphs": seconds(
                lambda: [world.layout(world.space, each) for each in world.architectures[:batch]], device, 1
            ),
            "graphs as tensors": seconds(lambda: tensors_for(model, layouts[:batch]), device),
            "graph network": seconds(lambda: model.states(tensors), device),
            "hypernetwork": seconds(lambda: model.hypernetwork(states, tensors), device),
            "views of the buffer": seconds(lambda: views(flat, tensors), device),
        }
    parts["plans as graphs"] -= parts["networks as plans"]
    batched = seconds(lambda: generated(model, layouts[:batch]), device) / batch
    single = seconds(lambda: [generated(model, [layout]) for layout in layouts[:singles]], device) / singles
    with torch.no_grad():
        slow = seconds(lambda: [plain_weights(model, layout, plain) for layout in layouts[:singles]], device, 1) / singles
    ways = {f"batched, {batch}": batched, "one by one": single, "plain twin": slow}
    return {
        "ways": {name: 1e3 * each for name, each in ways.items()},
        "parts": {name: 1e3 * each / batch for name, each in parts.items()},
    }


def step_seconds() -> list[dict[str, float]]:
    """Return the milliseconds of CPU time of a training step and of its parts, in several blocks of the same steps."""
    torch.set_num_threads(1)
    images = f"parquet:{frame.data('cifar10_train.parquet') / 'cifar10_train.parquet'}"
    ghn = GHN(NASBench201(), images, device="cpu", scale={"channels": 8, "cells_per_stage": 1}, image_size=16).fit(10)
    learned, settings = ghn._learned, ghn.ghn_settings
    assert learned is not None
    found = []
    for _ in range(BLOCKS):
        spent = dict.fromkeys(PARTS, 0.0)
        for step in range(BLOCK):
            times = [time.process_time()]
            [architecture] = drawn_architectures(ghn.training_space, 1, 0, step)
            layout = ghn._layout(ghn.training_space, architecture)
            batch, tensors = drawn_images(ghn.training_images(), settings, 0, step), tensors_for(learned.model, [layout])
            times.append(time.process_time())
            flat = learned.model(tensors)
            times.append(time.process_time())
            loss = training_loss(layout.plan, layout.parameters(views(flat, tensors).candidates[0]), batch)
            times.append(time.process_time())
            take_step(learned.model, learned.optimizer, loss, 1e-3, settings.clip)
            times.append(time.process_time())
            for part, start, end in zip(PARTS, times, times[1:], strict=False):
                spent[part] += 1e3 * (end - start) / BLOCK
        found.append({**spent, "step": sum(spent.values())})
    return found


def steps(before: str, number: int) -> dict[str, Any]:
    """Return the blocks of processes with the package of a revision, `before`, and with this one, `after`, in turns."""
    root = Path(__file__).parents[2]
    found: dict[str, Any] = {"before_ms": [], "after_ms": []}
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder)
        archive = subprocess.run(["git", "archive", before, "archsearch"], cwd=root, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x"], cwd=old, input=archive, check=True)
        shutil.copytree(root / "benchmarks", old / "benchmarks", ignore=shutil.ignore_patterns("results", "__pycache__"))
        code = "import json; from benchmarks.ghn.speed import step_seconds; print(json.dumps(step_seconds()))"
        for _ in range(number):
            for name, place in (("before_ms", old), ("after_ms", root)):
                # -c puts the working folder first among those that are searched, before PYTHONPATH.
                done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, check=True, text=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"{name} {min(block['step'] for block in found[name][-1]):.1f}", flush=True)
    return found


def report_steps(rows: Rows) -> None:
    """Print milliseconds of a step before and after: the least of all blocks, and the ratio of neighbouring processes."""
    for row in rows.select(part="step"):
        lines = []
        for part in (*PARTS, "step"):
            pairs = [[min(block[part] for block in run) for run in row[name]] for name in ("before_ms", "after_ms")]
            ratios = [new / old for old, new in zip(*pairs, strict=True)]
            shown = f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            lines.append([part, *(f"{min(each):.1f}" for each in pairs), shown])
        title = f"A training step of 64 images of 16 x 16 pixels, CPU ms, {len(row['before_ms'])} pairs of processes"
        table(["part", f"before ({row['before']})", "now", "ratio, median (least to largest)"], lines, title)


def plan_of(world: World, architecture: Any) -> Any:
    return world.space.plan(architecture, 10, world.shape[0], **world.scale)


def evaluation(world: World, batch: int, images: int) -> dict[str, float]:
    """Return milliseconds a candidate for scoring networks on validation images, without and with making their weights."""
    layouts = [world.layout(world.space, architecture) for architecture in world.architectures[:batch]]
    weights = generated(world.model, layouts)
    batches = image_batches(world, images)
    mixed, device = world.device.type == "cuda", world.device

    def run() -> list[Tensor]:
        pairs = zip(layouts, weights.candidates, strict=True)
        return [score(layout.plan, parameters, batches, mixed) for layout, parameters in pairs]

    per = seconds(run, device, 2) / len(layouts)
    whole = seconds(lambda: (generated(world.model, layouts), run()), device, 2) / len(layouts)
    return {"images": sum(map(len, batches)), "passes": 1e3 * per, "with_weights": 1e3 * whole}


def report(rows: Rows) -> None:
    """Print the tables."""
    report_steps(rows)
    for row in rows.select(part="generation"):
        slow = row["ways"]["plain twin"]
        lines = [[name, f"{1e3 / each:,.1f}", f"{each:.2f}", f"{slow / each:,.1f}"] for name, each in row["ways"].items()]
        title = f"Propagation and generation, candidates of 17 nodes, size {row['size']}, {row['device']}"
        table(["way", "candidates a second", "ms a candidate", "times the plain twin (aim: 50)"], lines, title)
        table(["part of the batched way", "ms a candidate"], [[name, f"{each:.2f}"] for name, each in row["parts"].items()])
        inner = sum(row["parts"][name] for name in ("graph network", "hypernetwork", "views of the buffer"))
        share = 100 * row["parts"]["graph network"] / inner
        print(f"\nThe graph network's share of propagation and generation: {share:.0f} %", flush=True)
    lines = [
        [
            row["size"],
            row["images"],
            f"{row['passes']:.1f}",
            f"{row['with_weights']:.1f}",
            f"{row['with_weights'] / row['passes']:.2f}",
        ]
        for row in rows.select(part="scoring")
    ]
    table(["scoring, size", "images", "ms a candidate: passes", "with weights made", "ratio (aim: 2)"], lines)


def image_batches(world: World, images: int) -> Sequence[Any]:
    from archsearch.evaluators.datasets.resident import Resident

    if world.shape == (1, 8, 8):
        return EvaluationSpec(images).batches(ImageTask("digits").resident(world.device)[1])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((images, *world.shape), generator=generator).to(world.device)
    labels = torch.randint(10, (images,), generator=generator).to(world.device)
    return EvaluationSpec(images, 500).batches(Resident(noise, labels))


def load_plain() -> ModuleType:
    """Return the slow twin that the tests use."""
    path = Path(__file__).parents[2] / "tests" / "evaluators" / "ghn" / "plain.py"
    spec = importlib.util.spec_from_file_location("ghn_plain", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--kinds", nargs="+", default=["networks"], choices=["networks", "step"], help="what is timed")
    script.argument("--before", default="60e3668", help="revision whose training step is compared")
    script.argument("--pairs", type=int, default=6, help="pairs of processes for the step (default: 6)")
    script.argument("--paper", action="store_true", help="the published size instead of that for digits")
    script.argument("--batch", type=int, default=256, help="candidates at once (default: 256)")
    script.argument("--singles", type=int, default=4, help="candidates of the slow ways (default: 4)")
    script.argument("--scored", type=int, default=16, help="candidates that are scored (default: 16)")
    script.argument("--images", type=int, default=0, help="images that score; 0 takes the digits' 449, or 500 of noise")
    script.argument("--device", default="cpu")
    arguments = script.parse()
    torch.set_num_threads(1)
    size = "paper" if arguments.paper else "digits"
    batch, singles, scored = arguments.batch, arguments.singles, arguments.scored

    @cache
    def world() -> World:
        return World(size, max(batch, singles, scored), torch.device(arguments.device))

    def measure(rows: Rows) -> None:
        if "step" in arguments.kinds:
            before, pairs = arguments.before, arguments.pairs
            rows.get(lambda: steps(before, pairs), part="step", before=before, pairs=pairs)
        if "networks" not in arguments.kinds:
            return
        fixed = {"size": size, "device": arguments.device}
        rows.get(
            lambda: generation(world(), batch, singles, load_plain()), part="generation", **fixed, batch=batch, singles=singles
        )
        images = arguments.images or (500 if arguments.paper else 0)
        rows.get(lambda: evaluation(world(), scored, images), part="scoring", **fixed, scored=scored, asked=images)

    script.run(measure, report)


if __name__ == "__main__":
    main()
