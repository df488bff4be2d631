"""Latency as a cost that is known before a training: measured on the untrained network, or asked from a user's function."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from archsearch.errors import ConfigurationError, check_whole_number, message_in_one_line, wrong_kind
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.latency import measured_latency
from archsearch.evaluators.score_names import LATENCY
from archsearch.named_object import named_object
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network
from archsearch.spaces.operators import Shape

RUNS, WARM_UP = 30, 5
"""Timed passes of a measurement, and passes before that are not timed."""

LatencyFunction = Callable[[Network, Shape], float]
"""Function of an untrained network in evaluation mode, on the CPU, and the shape `(channels, height, width)` of an image; it
returns milliseconds."""


@dataclass(frozen=True)
class LatencyConditions:
    """How the latency of a network is found.

    Args:
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads.
        batch_size: Images in a batch.
        function: A function that returns the latency in milliseconds, or its name `module:function`; None measures on `device`.

    Raises:
        ConfigurationError: A value is out of range, or the function cannot be found.
    """

    device: str = "auto"
    threads: int = 1
    batch_size: int = 1
    function: LatencyFunction | str | None = None

    def __post_init__(self) -> None:
        check_whole_number("latency_batch", self.batch_size)
        check_whole_number("threads", self.threads)
        if self.function is not None:
            self._function()

    def facts(self) -> dict[str, Any]:
        """Return the conditions as plain data, with the hardware of this process's machine."""
        if self.function is not None:
            return {"function": self._name}
        device = device_named(self.device)
        hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
        measured = {"device": str(device), "hardware": hardware, "threads": self.threads, "batch_size": self.batch_size}
        return {**measured, "runs": RUNS, "warm_up": WARM_UP}

    def measure(self, space: SearchSpace, architecture: Architecture, cost_arguments: Mapping[str, Any]) -> dict[str, float]:
        """Return the latency of an untrained network, and its quartiles if it is measured here.

        Args:
            space: Space of the architecture.
            architecture: The architecture.
            cost_arguments: Those of `Evaluator.cost_arguments`: input shape, classes and size.

        Raises:
            ConfigurationError: The function raised an error, or returned no positive number.
        """
        size = dict(cost_arguments)
        shape: Shape = tuple(size.pop("input_shape"))
        network = space.build(architecture, size.pop("num_classes"), shape[0], torch.Generator().manual_seed(0), **size).eval()
        if self.function is None:
            device = device_named(self.device)
            found = measured_latency(network.to(device), shape, self.batch_size, runs=RUNS, warm_up=WARM_UP, threads=self.threads)
            return {LATENCY: found.median, f"{LATENCY}_low": found.low, f"{LATENCY}_high": found.high}
        try:
            value: Any = self._function()(network, shape)
        except Exception as error:  # a user's function may raise anything
            raise ConfigurationError(
                f"latency: the function {self._name} raised {type(error).__name__}: {message_in_one_line(error, 200)}."
            ) from error
        if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 < float(value) < math.inf:
            raise ConfigurationError(
                f"latency: expected milliseconds, a number above 0, from the function {self._name}; it returned {value!r}."
            )
        return {LATENCY: float(value)}

    @property
    def _name(self) -> str:
        if isinstance(self.function, str):
            return self.function
        kind = self.function if hasattr(self.function, "__qualname__") else type(self.function)
        return f"{kind.__module__}:{kind.__qualname__}"  # type: ignore[union-attr]

    def _function(self) -> LatencyFunction:
        given = self.function
        found: Any = named_object("latency", given, "a function of (network, input_shape)") if isinstance(given, str) else given
        if not callable(found) or isinstance(found, type):
            raise ConfigurationError(
                wrong_kind("latency", "true, a function of (network, input_shape) that returns milliseconds, or its name", found)
            )
        return found  # type: ignore[no-any-return]


def _processor() -> str:
    """Return the name of this machine's processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
