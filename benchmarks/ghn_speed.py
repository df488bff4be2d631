"""How fast a graph hypernetwork generates and scores networks, batched, one by one, and node by node.

    python benchmarks/ghn_speed.py                       # the size for digits, one thread, about two minutes
    python benchmarks/ghn_speed.py --paper --batch 32    # 18 blocks of 17 nodes, 32 channels; some GB of memory
    python benchmarks/ghn_speed.py --device cuda         # on a GPU

The candidates are blocks of 17 nodes (two inputs and 15 operators) with 5 forward-backward propagations, as published. `plain` is
the slow twin of the tests: it updates one node of one candidate at a time, and calls the hypernetwork once for each parameter.
Times are the least of a few tries, of CPU seconds of the process on a CPU, so that other work on the machine counts little.
Published: .08 s a candidate for weights and a batch of images, 14 s for all 5,000 validation images (one GPU of 2018).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.ghn.candidates import generated, tensors_for
from archsearch.evaluators.ghn.graph_tensors import GraphTensors, Request
from archsearch.evaluators.ghn.model import GraphHyperNetwork, views
from archsearch.evaluators.ghn.modules import MODULE_PATTERNS, Layout, lay_out
from archsearch.evaluators.ghn.scoring import EvaluationSpec, score
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.vocabulary import survey
from archsearch.spaces.cells import Cells

SIZES = {"digits": {"blocks": 3, "channels": 8}, "paper": {"blocks": 18, "channels": 32}}
TRIES = 3


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
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    taken = []
    for _ in range(tries):
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(clock() - started)
    return min(taken)


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


def generation(world: World, batch: int, singles: int, plain: ModuleType) -> None:
    """Print candidates a second for propagation and generation."""
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
    print(f"\n### Propagation and generation, {batch} candidates of 17 nodes, {world.scale}\n")
    print("| way | candidates a second | ms a candidate | times the plain twin |\n| --- | --- | --- | --- |")
    for name, each in ((f"batched, {batch}", batched), ("one by one", single), ("plain twin", slow)):
        print(f"| {name} | {1 / each:,.1f} | {1e3 * each:.2f} | {slow / each:,.1f} |")
    print("\n| part of the batched way | ms a candidate |\n| --- | --- |")
    for name, each in parts.items():
        print(f"| {name} | {1e3 * each / batch:.2f} |")
    inner = parts["graph network"] + parts["hypernetwork"] + parts["views of the buffer"]
    print(f"\nThe graph network's share of propagation and generation: {100 * parts['graph network'] / inner:.0f} %", flush=True)


def plan_of(world: World, architecture: Any) -> Any:
    return world.space.plan(architecture, 10, world.shape[0], **world.scale)


def evaluation(world: World, batch: int, images: int) -> None:
    """Print seconds a candidate for scoring networks on validation images, beside those of making their weights."""
    layouts = [world.layout(world.space, architecture) for architecture in world.architectures[:batch]]
    weights = generated(world.model, layouts)
    batches = image_batches(world, images)
    mixed, device = world.device.type == "cuda", world.device

    def run() -> list[Tensor]:
        pairs = zip(layouts, weights.candidates, strict=True)
        return [score(layout.plan, parameters, batches, mixed) for layout, parameters in pairs]

    per = seconds(run, device, 2) / len(layouts)
    whole = seconds(lambda: (generated(world.model, layouts), run()), device, 2) / len(layouts)
    number = sum(map(len, batches))
    print(f"\n### Scoring on {number} images, {world.scale}\n")
    print(f"Networks' own passes {1e3 * per:.1f} ms a candidate; with their weights made {1e3 * whole:.1f} ms, ", end="")
    print(f"{whole / per:.2f} times as long: {1 / whole:,.1f} candidates a second.", flush=True)


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
    path = Path(__file__).parents[1] / "tests" / "evaluators" / "ghn" / "plain.py"
    spec = importlib.util.spec_from_file_location("ghn_plain", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paper", action="store_true", help="the published size instead of that for digits")
    parser.add_argument("--batch", type=int, default=256, help="candidates at once (default: 256)")
    parser.add_argument("--singles", type=int, default=4, help="candidates of the slow ways (default: 4)")
    parser.add_argument("--scored", type=int, default=16, help="candidates that are scored (default: 16)")
    parser.add_argument("--images", type=int, default=0, help="images that score; 0 takes the digits' 449, or 500 of noise")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size = "paper" if arguments.paper else "digits"
    world = World(size, max(arguments.batch, arguments.singles, arguments.scored), torch.device(arguments.device))
    generation(world, arguments.batch, arguments.singles, load_plain())
    evaluation(world, arguments.scored, arguments.images or (500 if arguments.paper else 0))


if __name__ == "__main__":
    main()
