"""Latency of networks and of their exits, measured on their device."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from archsearch.errors import check_whole_number
from archsearch.evaluators.anytime.budgets import MILLISECONDS
from archsearch.evaluators.anytime.curve import AnytimeCurve
from archsearch.evaluators.devices import cpu_threads
from archsearch.spaces.network import Network
from archsearch.spaces.operators import Shape

BATCHES = (1, 64)
"""Batch sizes whose latency evaluations report."""

LATENCIES = tuple(f"latency_ms_batch{size}" for size in BATCHES)
"""Metrics: the median latency of these batches, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The time of one forward pass of a batch, over several runs.

    Args:
        median: Milliseconds of the whole batch.
        low: First quartile, in milliseconds.
        high: Third quartile, in milliseconds.
        batch_size: Images in the batch.
        device: Device that it was measured on, such as `cpu` or `cuda:0`.
        threads: CPU threads.
    """

    median: float
    low: float
    high: float
    batch_size: int
    device: str
    threads: int


def measured_latency(
    network: nn.Module, input_shape: Shape, batch_size: int = 1, *, runs: int = 30, warm_up: int = 5, threads: int | None = None
) -> Latency:
    """Return the latency of a network with all its exits, on its device, in evaluation mode, without gradients.

    Args:
        network: Maps `[batch, channels, height, width]` to anything. It is not changed.
        input_shape: `(channels, height, width)` of an image.
        batch_size: Images in a batch.
        runs: Number of timed passes.
        warm_up: Number of passes before, which are not timed.
        threads: CPU threads; None leaves them as they are.

    Raises:
        ConfigurationError: A number is below 1, or `warm_up` below 0.
    """
    return _latencies([network], input_shape, batch_size, runs, warm_up, threads)[0]


def exit_latencies(
    network: Network, input_shape: Shape, batch_size: int = 1, *, runs: int = 30, warm_up: int = 5, threads: int | None = None
) -> tuple[Latency, ...]:
    """Return the latency up to each exit of a network, in order: of a pass that computes it and those before it only.

    The exits are timed in turn, so that other work on the machine slows all of them.

    Args:
        network: A network with one or several exits.
        input_shape: As for `measured_latency`.
        batch_size: As for `measured_latency`.
        runs: As for `measured_latency`, for each exit.
        warm_up: As for `measured_latency`, for each exit.
        threads: As for `measured_latency`.

    Raises:
        ConfigurationError: A number is below 1, or `warm_up` below 0.
    """
    cut = [_until(network, count) for count in range(1, len(network.plan.outputs) + 1)]
    return tuple(_latencies(cut, input_shape, batch_size, runs, warm_up, threads))


def latency_curve(latencies: Sequence[Latency], accuracies: Sequence[float], chance: float = 0.0) -> AnytimeCurve:
    """Return the accuracy of exits against median milliseconds.

    A later exit does no less work; if its median is below that of an earlier one, that is noise, and the earlier one's is taken.

    Args:
        latencies: `[exits]`, of `exit_latencies`.
        accuracies: `[exits]`, fractions.
        chance: Accuracy of guessing, a fraction.

    Raises:
        ConfigurationError: The lengths differ, or an accuracy is no fraction.
    """
    medians = np.maximum.accumulate(np.array([latency.median for latency in latencies], dtype=np.float64))
    return AnytimeCurve.of_exits(medians, accuracies, chance, MILLISECONDS)


def latency_figures(network: Network, input_shape: Shape) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
    """Return latencies as metrics and curves of an evaluation, for each of `BATCHES`.

    Args:
        network: A network on the device to measure on.
        input_shape: `(channels, height, width)` of an image.

    Returns:
        Metrics such as `latency_ms_batch1` (median milliseconds of the whole network, with quartiles `_low` and `_high`), and for
        several exits curves such as `exit_latency_ms_batch1`.
    """
    metrics: dict[str, float] = {}
    curves: dict[str, tuple[float, ...]] = {}
    for name, size in zip(LATENCIES, BATCHES, strict=True):
        exits = exit_latencies(network, input_shape, size)
        metrics |= {name: exits[-1].median, f"{name}_low": exits[-1].low, f"{name}_high": exits[-1].high}
        if len(exits) > 1:
            curves[f"exit_{name}"] = tuple(each.median for each in exits)
    return metrics, curves


def _latencies(
    networks: Sequence[nn.Module], input_shape: Shape, batch_size: int, runs: int, warm_up: int, threads: int | None
) -> list[Latency]:
    least = {"batch_size": (batch_size, 1), "runs": (runs, 1), "warm_up": (warm_up, 0), "threads": (threads or 1, 1)}
    for argument, (value, low) in least.items():
        check_whole_number(argument, value, low)
    tensor = next(networks[0].parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch_size, *input_shape, generator=generator).to(tensor.device, tensor.dtype)
    with _evaluating(networks, threads), torch.inference_mode():
        for network in networks:
            for _ in range(warm_up):
                network(images)
        times = np.array([[_milliseconds(network, images) for network in networks] for _ in range(runs)])
        used = torch.get_num_threads()
    quartiles = np.quantile(times, (0.25, 0.5, 0.75), axis=0).T.tolist()
    return [Latency(median, low, high, batch_size, str(tensor.device), used) for low, median, high in quartiles]


def _milliseconds(network: nn.Module, images: Tensor) -> float:
    _wait(images.device)
    started = time.perf_counter()
    network(images)
    _wait(images.device)
    return 1000.0 * (time.perf_counter() - started)


def _wait(device: torch.device) -> None:
    """Wait for a GPU, whose kernels run on after a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _until(network: Network, count: int) -> Network:
    """Return the network with its first exits only; weights are shared."""
    cut = copy.copy(network)
    cut.plan = replace(network.plan, outputs=network.plan.outputs[:count])
    return cut


@contextmanager
def _evaluating(networks: Sequence[nn.Module], threads: int | None) -> Iterator[None]:
    """Put networks into evaluation mode and set the number of threads within the block; restore both at its end."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for network in networks:
        network.eval()
    try:
        with cpu_threads(threads or torch.get_num_threads()):
            yield
    finally:
        for module, training in modes:
            module.training = training
