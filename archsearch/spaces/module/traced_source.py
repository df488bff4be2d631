"""A traced network as a Python file: its layers by their paths, and the calls of its forward pass."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import fx, nn
from torch.fx.graph import PythonCode

from archsearch.errors import ConfigurationError, message_in_one_line
from archsearch.spaces.module.source import python_file

_PLACE = """\
def _place(network: nn.Module, path: str, part: nn.Module | torch.Tensor) -> None:
    *outer, name = path.split(".")
    for each in outer:
        if each not in network._modules:
            network.add_module(each, nn.Module())
        network = network.get_submodule(each)
    if isinstance(part, nn.Module):
        network.add_module(name, part)
    elif isinstance(part, nn.Parameter):
        network.register_parameter(name, part)
    else:
        network.register_buffer(name, part)
"""
_NO_MORE_USED = re.compile(r";  .*= None$", re.MULTILINE)
_KNOWN = {"inf", "nan", "NoneType", "torch", "device", "fx_pytree", "pytree"}
"""What the code of `torch.fx` may name; anything else is a function of another package."""
_ADVICE = "Use model.pt2."


def traced_source(network: nn.Module, title: str, extra: str = "") -> str:
    """Return a file that builds a network from layers of torch, under the paths and with the calls that `torch.fx` finds.

    Weights keep their names, so that the file of weights of the network fits.

    Args:
        network: The network; it is traced without inputs.
        title: Docstring of the file.
        extra: Source to stand at the end, such as constants.

    Raises:
        ConfigurationError: The network cannot be traced so, has layers whose source is not known, calls functions that are not
            torch's, or computes something else in training than its layers do.
    """
    training = network.training
    try:
        codes = [_code(network.train(mode)) for mode in (False, True)]
    except Exception as error:  # the network's own code runs
        why = message_in_one_line(error, 200)
        raise ConfigurationError(f"model: its forward pass cannot be written as source ({why}). {_ADVICE}") from error
    finally:
        network.train(training)
    evaluated, code = codes
    if evaluated.src != code.src:
        raise ConfigurationError(f"model: its forward pass tells training and evaluation apart itself. {_ADVICE}")
    if foreign := sorted(set(code.globals) - _KNOWN):
        raise ConfigurationError(f"model: its forward pass calls {', '.join(foreign)}, which are not torch's. {_ADVICE}")
    forward = _NO_MORE_USED.sub("", code.src.strip())
    imports = "import math\n" if {"inf", "nan"} & set(re.findall(r"\b(?:inf|nan)\b", forward)) else ""
    forward = re.sub(r"\b(inf|nan)\b", r"math.\1", forward)
    called = dict(_layers(network))
    layers = [f"{path!r}: {_constructor(path, layer)}," for path, layer in called.items()]
    loose = [f"{path!r}: {_empty(tensor)}," for path, tensor in _loose(network, called)]
    text = "\n".join(
        [
            "class Network(nn.Module):",
            '    """The network with new weights."""',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            "        parts: dict[str, nn.Module | torch.Tensor] = {",
            *(f"            {line}" for line in [*layers, *loose]),
            "        }",
            "        for path, part in parts.items():",
            "            _place(self, path, part)",
            "",
            *(f"    {line}" if line else "" for line in forward.splitlines()),
        ]
    )
    return python_file(title, [imports, _PLACE, text], extra)


def _code(network: nn.Module) -> PythonCode:
    """Return the forward pass, without types."""
    graph = fx.symbolic_trace(network).graph
    for node in graph.nodes:
        node.type = None
    return graph.python_code("self")


def _layers(network: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    """Yield the layers that are called as a whole, with their paths; those within them are left out."""
    tracer, leaves = fx.Tracer(), list[str]()
    for path, module in network.named_modules():
        if path and not any(path.startswith(f"{leaf}.") for leaf in leaves) and tracer.is_leaf_module(module, path):
            leaves.append(path)
            yield path, module


def _loose(network: nn.Module, called: Iterable[str]) -> Iterable[tuple[str, torch.Tensor]]:
    """Yield parameters and buffers that belong to none of the layers of `called`, with their paths."""
    held = tuple(f"{path}." for path in called)
    for path, tensor in network.state_dict(keep_vars=True).items():
        if not path.startswith(held):
            yield path, tensor


def _constructor(path: str, layer: nn.Module) -> str:
    text, kind = repr(layer), type(layer).__name__
    if "\n" in text or getattr(nn, kind, None) is not type(layer):
        raise ConfigurationError(f"model: the layer {path} of the type {kind} cannot be written as source. {_ADVICE}")
    return f"nn.{text}"


def _empty(tensor: torch.Tensor) -> str:
    made = f"torch.zeros({tuple(tensor.shape)}, dtype={tensor.dtype})"
    return f"nn.Parameter({made})" if isinstance(tensor, nn.Parameter) else made
