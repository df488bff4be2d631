"""Scoring of many candidates: weights generated in chunks, networks run one after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.devices import failure_text
from archsearch.evaluators.ghn.graph_tensors import GraphTensors, graph_tensors
from archsearch.evaluators.ghn.model import GraphHyperNetwork, Weights, views
from archsearch.evaluators.ghn.modules import Layout
from archsearch.evaluators.ghn.scoring import score
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.spaces.plan import Parameters

_LARGEST_CHUNK = 256
_LARGEST_BUFFER = 50_000_000  # parameters


@dataclass(frozen=True, slots=True)
class Scored:
    """The outcome of scoring one candidate.

    Args:
        exits: `(accuracy, loss)` of each exit; empty when it failed.
        generation: Seconds of generating its weights: an equal share of those of its chunk.
        execution: Seconds of running the network on the images.
        error: Why it failed, or None.
        centred: Loss of the last exit's centred logits, see `scoring.score`; NaN where the task is not classification.
    """

    exits: tuple[tuple[float, float], ...]
    generation: float
    execution: float
    error: str | None = None
    centred: float = math.nan


def chunks(layouts: Sequence[Layout]) -> Iterator[Sequence[Layout]]:
    """Yield candidates in order, in chunks whose parameters fit one buffer."""
    chunk: list[Layout] = []
    total = 0
    for layout in layouts:
        size = num_parameters(layout)
        if chunk and (len(chunk) == _LARGEST_CHUNK or total + size > _LARGEST_BUFFER):
            yield chunk
            chunk, total = [], 0
        chunk.append(layout)
        total += size
    if chunk:
        yield chunk


def num_parameters(layout: Layout) -> int:
    """Return the number of parameters that are generated for a network."""
    return sum(math.prod(want.shape) for owner in layout.owners.values() for want in owner.type.own)


def tensors_for(model: GraphHyperNetwork, layouts: Sequence[Layout]) -> GraphTensors:
    """Return networks as the tensors that a hypernetwork reads, on its device.

    Raises:
        ArchitectureError: A network has an operator that the hypernetwork was not made for.
    """
    settings = model.settings
    return graph_tensors(
        layouts,
        model.vocabulary,
        virtual_edges=settings.virtual_edges,
        sliced=settings.sliced_kernels,
        fixed=settings.affine == "fixed",
        device=model.kinds.device,
    )


@torch.no_grad()
def generated(model: GraphHyperNetwork, layouts: Sequence[Layout]) -> Weights:
    """Return the parameters that a hypernetwork makes for some networks, in one buffer.

    Raises:
        ArchitectureError: A network has an operator that the hypernetwork was not made for.
    """
    tensors = tensors_for(model, layouts)
    return views(model(tensors), tensors)


def scored(
    model: GraphHyperNetwork,
    layouts: Sequence[Layout],
    batches: Sequence[Resident],
    prediction: PredictionTask | None = None,
) -> Iterator[Scored]:
    """Yield the scores of networks with generated weights, in order; figures are copied from the device once a chunk."""
    device = model.kinds.device
    for chunk in chunks(layouts):
        started = _now(device)
        weights = generated(model, chunk)
        ready = _now(device)
        rows, seconds = [], []
        for layout, parameters in zip(chunk, weights.candidates, strict=True):
            begun = time.perf_counter()
            rows.append(_executed(layout, parameters, batches, prediction))
            seconds.append(time.perf_counter() - begun)
        figures = [row if isinstance(row, str) else row.tolist() for row in rows]
        # A GPU runs asynchronously: its time is divided among candidates in proportion to the time of their calls.
        stretch = (_now(device) - ready) / sum(seconds)
        generation = (ready - started) / len(chunk)
        for found, spent in zip(figures, seconds, strict=True):
            yield _judged(found, generation, spent * stretch)


def _executed(
    layout: Layout, parameters: Parameters, batches: Sequence[Resident], prediction: PredictionTask | None
) -> Tensor | str:
    """Return the figures of each exit, see `score`, or the message of the error that prevented them."""
    try:
        given = layout.parameters(parameters)
        return score(layout.plan, given, batches, batches[0].images.is_cuda, prediction, centred=True)
    except Exception as error:  # one candidate that fails must not fail the batch
        return failure_text(error)


def _judged(found: str | list[list[float]], generation: float, execution: float) -> Scored:
    if isinstance(found, str):
        return Scored((), generation, execution, found)
    exits = tuple((row[0], row[1]) for row in found)
    if not all(math.isfinite(figure) for exit_ in exits for figure in exit_):
        return Scored((), generation, execution, f"the generated weights give a loss of {exits[-1][1]}, which is not finite.")
    return Scored(exits, generation, execution, None, *found[-1][2:])


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
