"""One run of `build`: on the meta device, without memory for weights, or with weights on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from archsearch.errors import ArchitectureError, ConfigurationError, message_in_one_line, wrong_kind
from archsearch.spaces.module.choose import Answer, Choice, Choose, Mark
from archsearch.spaces.module.layer_templates import from_templates

Build = Callable[..., nn.Module]

_INITIALISERS = {name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")}
_FILLING = {"uniform_", "normal_", "fill_", "zero_", "copy_", "clamp_", "erfinv_", "mul_", "add_", "div_", "sub_", "__setitem__"}
_MAKING = {"empty", "zeros", "ones", "rand", "randn", "full", "randint", "randperm", "eye", "empty_strided"}


@dataclass(frozen=True)
class Built:
    """What one run of `build` gave.

    Args:
        module: The module.
        asked: The choices that were asked, in order, each with the number of the alternative that was taken.
        marks: The modules that choices made, and how.
    """

    module: nn.Module
    asked: tuple[tuple[Choice, int], ...]
    marks: tuple[tuple[nn.Module, Mark], ...]


class _WithoutWeights(TorchFunctionMode):
    """New tensors are on the meta device and keep no values, so that initialising them is left out.

    Small tables of numbers, such as `torch.linspace` makes, keep their values: `build` may compute rates and sizes from them.
    """

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        name = getattr(func, "__name__", "")
        given = dict(kwargs or {})
        if name in _INITIALISERS or name in _FILLING:
            first = args[0] if args else given.get("tensor")
            if isinstance(first, torch.Tensor) and first.is_meta:
                return first
        elif name in _MAKING:
            given["device"] = "meta"
        return func(*args, **given)


def run(build: Build, answer: Answer, arguments: Mapping[str, int], *, weights: bool = False) -> Built:
    """Return the module that `build` makes for some answers.

    Args:
        build: Function of a `Choose`.
        answer: The answers.
        arguments: Further arguments of `build` by name.
        weights: Whether to make weights; otherwise the module is on the meta device.

    Raises:
        ConfigurationError: `build` returns no module, or asks wrongly.
        ArchitectureError: `build` raises another error; the message names the choices.
    """
    choose = Choose(answer)
    try:
        if weights:
            module = build(choose, **arguments)
        else:
            with _WithoutWeights(), torch.no_grad(), from_templates():
                module = build(choose, **arguments)
    except ConfigurationError:
        raise
    except Exception as error:
        if not weights and isinstance(error, RuntimeError | NotImplementedError):  # it needs the values of a tensor
            generator = torch.random.get_rng_state()
            try:
                return _without_memory(run(build, answer, arguments, weights=True))
            finally:
                torch.random.set_rng_state(generator)
        reason = f"{type(error).__name__}: {message_in_one_line(error, 300)}"
        raise ArchitectureError(f"build failed with {choices_text(choose.asked) or 'no choices'} ({reason}).") from error
    if not isinstance(module, nn.Module):
        raise ConfigurationError(wrong_kind("build", "a function that returns a torch.nn.Module", module))
    built = Built(module, tuple(choose.asked), tuple(choose.marks))
    return built if weights else _without_memory(built)


def choices_text(asked: Sequence[tuple[Choice, int]]) -> str:
    """Return answers as text: `width=16 op=conv`."""
    return " ".join(f"{choice.name}={choice.words[number]}" for choice, number in asked)


def _without_memory(built: Built) -> Built:
    """Move what has memory to the meta device, such as tables that were made from numbers; single numbers stay."""
    for part in built.module.modules():
        for tensors in (part._parameters, part._buffers):
            for tensor in tensors.values():
                if tensor is not None and not tensor.is_meta and tensor.dim():
                    built.module.to("meta")
                    return built
    return built
