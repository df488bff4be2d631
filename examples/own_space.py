"""A custom search space, defined by operators, a graph rule and a network; strings, keys, mutation and costs are derived.

python examples/own_space.py
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from archsearch import platform
from archsearch.spaces import Architecture, Builder, Cell, GeneSpace, Graph
from archsearch.spaces.operators import GlobalAveragePool, Linear, MaxPool, Operator, Sum, conv_bn_relu, separable_conv_bn

INPUT, *BLOCKS, OUTPUT = range(6)
SKIPS = [(source, block) for block in BLOCKS for source in range(block - 1)]


class Feedforward(GeneSpace):
    """Four blocks in sequence, each with an operator, whose input is the previous block plus optional skips from earlier ones."""

    name = "feedforward"
    operators = ("conv1x1", "conv3x3", "sep5x5", "maxpool3x3")
    choices: ClassVar = dict.fromkeys((f"block{block}" for block in BLOCKS), operators) | dict.fromkeys(map(str, SKIPS), (0, 1))
    scale_defaults: ClassVar = {"channels": 16}

    def cells(self, genes: Mapping[str, Any]) -> tuple[Cell, ...]:
        edges = [(node, node + 1) for node in range(OUTPUT)] + [skip for skip in SKIPS if genes[str(skip)]]
        return (Cell(OUTPUT + 1, tuple(edges), ("input", *(genes[f"block{block}"] for block in BLOCKS), "output")),)

    def genes(self, graphs: Sequence[Graph]) -> Mapping[str, Any]:
        blocks = {f"block{block}": graphs[0].operators[block] for block in BLOCKS}
        return blocks | {str(skip): int(graphs[0].adjacency[skip]) for skip in SKIPS}

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        (graph,), channels = self.graphs(architecture), scale["channels"]
        x = build.add("stem", conv_bn_relu(build.in_channels, channels, 3), build.input)
        for part in ("large", "small"):  # the same blocks at full size and, with separate weights, at half size
            slots = [x]
            for block in BLOCKS:
                total = build.add(f"{part}_sum{block}", Sum(), *(slots[u] for u in range(block) if graph.adjacency[u, block]))
                slots.append(build.add(f"{part}_block{block}", operator(graph.operators[block], channels), total))
            x = build.add(f"{part}_half", MaxPool(2, 2), slots[-1])
        return build.add("classifier", Linear(channels, num_classes), build.add("pool", GlobalAveragePool(), x))


def operator(name: str, channels: int) -> Operator:
    if name == "sep5x5":
        return separable_conv_bn(channels, channels, 5)
    return MaxPool(3) if name == "maxpool3x3" else conv_bn_relu(channels, channels, int(name[-1]))


def main(storage: str = "runs", searcher: str = "evolution", candidates: int = 10, epochs: int = 4) -> None:
    result = platform.run_search(
        space=Feedforward(),
        searcher=searcher,
        evaluator="train:digits",
        num_candidates=candidates,
        storage=storage,
        evaluator_options={"epochs": epochs},
    )
    for found in result.top(3):
        print(f"{found.score:.4f}  {found.cost.params:,} parameters  {found}")


if __name__ == "__main__":
    main()
