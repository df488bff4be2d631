"""Compilation of networks by `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.errors import ConfigurationError, first_line


def compiled(network: nn.Module) -> Callable[[Tensor], Any]:
    """Return the network's forward function, compiled at the first call with each shape; it uses the network's own parameters.

    Raises:
        ConfigurationError: At the first call, if this machine cannot compile, for example because it has no C++ compiler.
    """
    compilation = torch.compile(network)

    def forward(images: Tensor) -> Any:
        from torch._dynamo.exc import TorchDynamoException  # seconds, and only for those who compile
        from torch._inductor.exc import InductorError

        try:
            return compilation(images)
        except (TorchDynamoException, InductorError) as error:
            reason = first_line(error)
            raise ConfigurationError(
                f"compile: expected a machine where torch.compile works; got {reason!r}. Install a C++ compiler, or set it to "
                "False."
            ) from error

    return forward
