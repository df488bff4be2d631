"""The network of a NAS-Bench-201 cell (section 2.1 and figure 1 of the paper, arXiv 2001.00326)."""

from __future__ import annotations

from collections.abc import Mapping

from archsearch.spaces.builder import Builder
from archsearch.spaces.operators import (
    AveragePool,
    GlobalAveragePool,
    Identity,
    Linear,
    Operator,
    Sum,
    Zero,
    bn_relu,
    conv_bn,
    pooled_shortcut,
    relu_conv_bn,
)

Edge = tuple[int, int]


def skeleton(
    build: Builder,
    operators: Mapping[Edge, str],
    num_classes: int,
    *,
    channels: int,
    cells_per_stage: int,
    replicas: int,
) -> int:
    """Add stem, three stages of cells with residual reductions between them, and classifier; return the slot of the logits.

    Args:
        build: Receives the operators.
        operators: Operator name of each edge of the cell.
        num_classes: Number of classes.
        channels: Channels of the first stage; the second and third have twice and four times as many.
        cells_per_stage: Number of cells in each stage.
        replicas: Number of independent networks side by side in the channels.
    """
    width = channels
    x = build.add("stem", conv_bn(build.in_channels, width, 3, replicas=replicas), build.input)
    for stage in range(3):
        if stage:
            x = _reduction(build, f"reduction{stage}", x, width, replicas)
            width *= 2
        for cell in range(cells_per_stage):
            x = _cell(build, f"stage{stage}_cell{cell}", x, operators, width, replicas)
    x = build.add("last", bn_relu(width, replicas), x)
    x = build.add("pool", GlobalAveragePool(), x)
    return build.add("classifier", Linear(width, num_classes, replicas), x)


def _edge_operator(name: str, channels: int, replicas: int) -> Operator:
    if name == "nor_conv_1x1":
        return relu_conv_bn(channels, channels, 1, replicas=replicas)
    if name == "nor_conv_3x3":
        return relu_conv_bn(channels, channels, 3, replicas=replicas)
    return {"none": Zero(), "skip_connect": Identity(), "avg_pool_3x3": AveragePool(3)}[name]


def _cell(build: Builder, name: str, x: int, operators: Mapping[Edge, str], channels: int, replicas: int) -> int:
    nodes = {0: x}
    for node in (1, 2, 3):
        edges = [(source, operator) for (source, target), operator in operators.items() if target == node and operator != "none"]
        # A node without inputs is zero; for other nodes, zeros are left out of the sum.
        terms = [
            build.add(f"{name}_edge{source}{node}", _edge_operator(operator, channels, replicas), nodes[source])
            for source, operator in edges or [(0, "none")]
        ]
        nodes[node] = terms[0] if len(terms) == 1 else build.add(f"{name}_node{node}", Sum(), *terms)
    return nodes[3]


def _reduction(build: Builder, name: str, x: int, channels: int, replicas: int) -> int:
    """Add the residual block of stride 2 that doubles the channels."""
    y = build.add(f"{name}_conv_a", relu_conv_bn(channels, 2 * channels, 3, 2, replicas), x)
    y = build.add(f"{name}_conv_b", relu_conv_bn(2 * channels, 2 * channels, 3, 1, replicas), y)
    shortcut = build.add(f"{name}_shortcut", pooled_shortcut(channels, 2 * channels, replicas), x)
    return build.add(f"{name}_sum", Sum(), shortcut, y)
