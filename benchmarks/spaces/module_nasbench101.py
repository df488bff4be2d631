"""NAS-Bench-101 as a module space: the network of the benchmark in plain PyTorch, with choices of edges and operators."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose

OUT = 6
EDGES = [(source, target) for target in range(1, OUT + 1) for source in range(target)]
KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1, "maxpool3x3": 0}


def conv_bn_relu(channels: int, out: int, kernel: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU())


def pruned(edges: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the edges on a path from input to output, the first nine of them, or one from input to output if there is none."""
    before = set()
    while before != edges:
        before = edges
        starts, ends = {source for source, _ in edges} | {OUT}, {target for _, target in edges} | {0}
        edges = set(sorted(edge for edge in edges if edge[0] in ends and edge[1] in starts)[:9])
    return edges or {(0, OUT)}


class Cell(nn.Module):
    def __init__(self, choose: Choose, edges: set[tuple[int, int]], channels: int, out: int) -> None:
        super().__init__()
        self.edges, self.feeding = edges, sorted(source for source, target in edges if target == OUT and source)
        share, more = divmod(out, len(self.feeding) or 1)
        width = {source: share + (rank < more) for rank, source in enumerate(self.feeding)} | {0: channels, OUT: out}
        for vertex in range(OUT - 1, 0, -1):
            width.setdefault(vertex, max((width[target] for source, target in edges if source == vertex), default=1))
        used = {source for source, _ in edges}
        self.width, self.operators, self.projections = width, nn.ModuleDict(), nn.ModuleDict()
        for vertex in range(1, OUT):
            conv = {name: lambda k=kernel, w=width[vertex]: conv_bn_relu(w, w, k) for name, kernel in KERNELS.items() if kernel}
            operator = choose.layer(f"operator{vertex}", conv | {"maxpool3x3": lambda: nn.MaxPool2d(3, 1, 1)}, shared=True)
            if vertex in used:
                self.operators[str(vertex)] = operator
        self.projections.update({str(target): conv_bn_relu(channels, width[target], 1) for source, target in edges if not source})

    def forward(self, x: Tensor) -> Tensor:
        values = {}
        for target in sorted({target for _, target in self.edges}):
            reads = [source for source in sorted(values) if (source, target) in self.edges]
            entry = [self.projections[str(target)](x)] if (0, target) in self.edges else []
            if target == OUT:
                joined = [torch.cat([values[source] for source in reads], 1)] if reads else []
                return sum([*joined, *entry][1:], [*joined, *entry][0])
            terms = [*entry, *(values[source][:, : self.width[target]] for source in reads)]
            values[target] = self.operators[str(target)](sum(terms[1:], terms[0]))
        raise AssertionError("a pruned cell has an edge to its output")


def module101(choose: Choose, num_classes: int = 10, in_channels: int = 3, channels: int = 128, cells: int = 3) -> nn.Module:
    edges = pruned({edge for edge in EDGES if choose.one("edge_{}_{}".format(*edge), [0, 1])})
    layers = [conv_bn_relu(in_channels, channels, 3)]
    for stack in range(3):
        out = channels << stack
        layers += [nn.MaxPool2d(2)] if stack else []
        layers += [Cell(choose, edges, max(channels, out // 2) if cell == 0 else out, out) for cell in range(cells)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels << 2, num_classes))


space = ModuleSpace(module101, torch.zeros(1, 3, 32, 32))
