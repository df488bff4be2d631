"""Initial weights given for a training, such as those of a hypernetwork."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor, nn

from archsearch.errors import ConfigurationError


def begin_with(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into a network by parameter name; all other parameters stay as they are.

    Raises:
        ConfigurationError: The network has no parameter of a name, or it has another shape.
    """
    remedy = "Give those of this architecture, at the same scale."
    known = network.state_dict()
    for name, value in weights.items():
        if name not in known:
            raise ConfigurationError(f"initial_weights: expected names of the network's parameters; got {name!r}. {remedy}")
        if value.shape != known[name].shape:
            shapes = f"{tuple(known[name].shape)}; got {tuple(value.shape)}"
            raise ConfigurationError(f"initial_weights: expected {name} with the shape {shapes}. {remedy}")
    network.load_state_dict({**known, **weights})


def identity(weights: Mapping[str, Tensor] | None) -> dict[str, str]:
    """Return the entry for the identity of a training that starts with these weights; an empty one for none."""
    if not weights:
        return {}
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].detach().cpu().contiguous().numpy().tobytes())
    return {"initial_weights": digest.hexdigest()}
