"""NAS-Bench-101 as a module space: the network of the benchmark in plain PyTorch, with choices of edges and operators."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose

EDGES = [(source, target) for target in range(1, 7) for source in range(target)]


def conv_bn_relu(channels: int, out: int, kernel: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU())


def pruned(edges: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the edges on a path from input to output, the first nine of them, or one from input to output if there is none."""
    for _ in range(9):
        starts, ends = {source for source, _ in edges} | {6}, {target for _, target in edges} | {0}
        edges = set(sorted(edge for edge in edges if edge[0] in ends and edge[1] in starts)[:9])
    return edges or {(0, 6)}


class Cell(nn.Module):
    def __init__(self, choose: Choose, edges: set[tuple[int, int]], channels: int, out: int) -> None:
        super().__init__()
        feeding = sorted(source for source, target in edges if target == 6 and source)
        width = {vertex: (out + len(feeding) - rank - 1) // len(feeding) for rank, vertex in enumerate(feeding)} | {6: out}
        for vertex in range(5, 0, -1):
            width.setdefault(vertex, max((width[target] for source, target in edges if source == vertex), default=1))
        self.edges, self.width, self.operators, self.projections = edges, width, nn.ModuleDict(), nn.ModuleDict()
        for vertex in range(1, 6):
            convs = {f"conv{k}x{k}-bn-relu": lambda k=k, w=width[vertex]: conv_bn_relu(w, w, k) for k in (3, 1)}
            operator = choose.layer(f"operator{vertex}", convs | {"maxpool3x3": lambda: nn.MaxPool2d(3, 1, 1)}, shared=True)
            self.operators.update({str(vertex): operator} if any(source == vertex for source, _ in edges) else {})
        self.projections.update({str(target): conv_bn_relu(channels, width[target], 1) for source, target in edges if not source})

    def forward(self, x: Tensor) -> Tensor:
        values: dict[int, Tensor] = {}
        for target in sorted({target for _, target in self.edges}):
            terms = [self.projections[str(target)](x)] if (0, target) in self.edges else []
            reads = [values[source] for source in sorted(values) if (source, target) in self.edges]
            terms += [torch.cat(reads, 1)] if target == 6 and reads else [value[:, : self.width[target]] for value in reads]
            values[target] = sum(terms[1:], terms[0]) if target == 6 else self.operators[str(target)](sum(terms[1:], terms[0]))
        return values[6]


def module101(choose: Choose, num_classes: int = 10, in_channels: int = 3, channels: int = 128, cells: int = 3) -> nn.Module:
    edges, layers = pruned({edge for edge in EDGES if choose.one("edge_{}_{}".format(*edge), [0, 1])}), []
    for stack in range(3):
        layers += [nn.MaxPool2d(2)] if stack else [conv_bn_relu(in_channels, channels, 3)]
        widths = [channels << max(0, stack - 1), *[channels << stack] * cells]
        layers += [Cell(choose, edges, before, channels << stack) for before in widths[:-1]]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels << 2, num_classes))


space = ModuleSpace(module101, torch.zeros(1, 3, 32, 32))
