"""Layers without weights, copied from an earlier layer with the same arguments.

A space is traced for thousands of architectures, each of which makes its layers anew. The constructors of `torch.nn` take 50 to
150 microseconds a layer, most of it for initialising weights that do not exist on the meta device. While `build` runs on that
device, the constructors of the usual layers are replaced: the first layer with certain arguments is made as always, and further
ones are copies of it with parameters of their own. Other threads get the usual constructors.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CLASSES: tuple[type[nn.Module], ...] = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear, nn.Embedding),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm, nn.ReLU, nn.GELU, nn.SiLU, nn.Identity),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, nn.Flatten),
)
_PLAIN = {int, float, str, bool, type(None), torch.dtype, torch.device}
_MOST_TEMPLATES = 10_000


@dataclass(slots=True, eq=False)
class Template:
    """What a new layer has.

    Args:
        plain: Attributes that are no containers.
        containers: Names of the others, with functions that make them anew.
        parameters: Name, value and whether it is trained, of each parameter.
        buffers: Name and value of each buffer.
        settings: Place for what a trace writes of such layers.
    """

    plain: dict[str, Any]
    containers: tuple[tuple[str, Callable[[], Any]], ...]
    parameters: tuple[tuple[str, Tensor | None, bool], ...]
    buffers: tuple[tuple[str, Tensor | None], ...]
    settings: Any = None

    def __deepcopy__(self, memo: object) -> Template:
        return self

    def fits(self, layer: nn.Module) -> bool:
        """Return whether nothing was changed in a layer since it was copied from this template."""
        held = layer.__dict__
        if len(held) - ("forward" in held) != len(self.plain) + len(self.containers) + 1:
            return False
        for name, value in self.plain.items():
            if held.get(name, held) is not value:
                return False
        if held["_forward_hooks"] or held["_forward_pre_hooks"] or held["_modules"]:
            return False
        parameters, buffers = held["_parameters"], held["_buffers"]
        if len(parameters) != len(self.parameters) or len(buffers) != len(self.buffers):
            return False
        for name, value, trained in self.parameters:
            own = parameters.get(name)
            if own is not value and (own is None or value is None or own.shape != value.shape or own.requires_grad != trained):
                return False
        for name, buffer in self.buffers:
            own = buffers.get(name)
            if own is not buffer and (own is None or buffer is None or own.shape != buffer.shape):
                return False
        return True


def template_of(layer: nn.Module) -> Template | None:
    """Return the template that a layer was copied from, if nothing was changed in it since."""
    template: Template | None = layer.__dict__.get(_LINK)
    return template if template is not None and template.fits(layer) else None


_LINK = "_copied_from"


class _Active(threading.local):
    depth = 0


_active = _Active()
_lock = threading.Lock()
_users = 0
_templates: dict[Any, Template | None] = {}
_constructors = {kind: kind.__init__ for kind in _CLASSES}
_own = {kind: "__init__" in kind.__dict__ for kind in _CLASSES}


@contextmanager
def from_templates() -> Iterator[None]:
    """Make the usual layers of `torch.nn` as copies in this thread; for layers on the meta device only."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            for kind, replacement in _REPLACEMENTS.items():
                kind.__init__ = replacement  # type: ignore[method-assign]
    _active.depth += 1
    try:
        yield
    finally:
        _active.depth -= 1
        with _lock:
            _users -= 1
            if _users == 0:
                for kind in _CLASSES:
                    if _own[kind]:
                        kind.__init__ = _constructors[kind]  # type: ignore[method-assign]
                    else:
                        del kind.__init__  # inherited


def _replacement(kind: type[nn.Module]) -> Callable[..., None]:
    constructor = _constructors[kind]

    @functools.wraps(constructor)
    def initialise(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if not _active.depth or type(self) is not kind:
            constructor(self, *args, **kwargs)
            return
        known = kind, repr(args), repr(kwargs), torch.get_default_dtype()  # as text: 1, 1.0 and True are equal
        template = _templates.get(known)
        if template:
            _copy(template, self)
            return
        constructor(self, *args, **kwargs)
        if (
            template is None
            and known not in _templates
            and len(_templates) < _MOST_TEMPLATES
            and all(map(_is_plain, (*args, *kwargs.values())))
        ):
            _templates[known] = _template(self)

    return initialise


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if type(value) is tuple else type(value) in _PLAIN


def _template(layer: nn.Module) -> Template | None:
    """Return what a new layer has, or None if it cannot be copied."""
    plain: dict[str, Any] = {}
    containers: list[tuple[str, Callable[[], Any]]] = []
    for name, value in vars(layer).items():
        if name in ("_parameters", "_buffers"):
            containers.append((name, type(value)))
        elif isinstance(value, dict | set):
            if value and name != "_non_persistent_buffers_set":
                return None
            containers.append((name, functools.partial(type(value), value) if value else type(value)))
        elif isinstance(value, list):
            containers.append((name, functools.partial(list, value)))
        elif isinstance(value, Tensor | nn.Module):
            return None
        else:
            plain[name] = value
    tensors = [*layer._parameters.values(), *layer._buffers.values()]
    if any(tensor is not None and not tensor.is_meta and tensor.dim() for tensor in tensors):
        return None
    parameters = [(n, None if p is None else p.detach(), p is not None and p.requires_grad) for n, p in layer._parameters.items()]
    return Template(plain, tuple(containers), tuple(parameters), tuple(layer._buffers.items()))


def _copy(template: Template, layer: nn.Module) -> None:
    held = layer.__dict__
    held.update(template.plain)
    held[_LINK] = template
    for name, make in template.containers:
        held[name] = make()
    parameters, buffers = held["_parameters"], held["_buffers"]
    for name, tensor, trained in template.parameters:
        parameters[name] = None if tensor is None else Tensor._make_subclass(nn.Parameter, tensor, trained)
    for name, buffer in template.buffers:
        buffers[name] = None if buffer is None else Tensor._make_subclass(Tensor, buffer) if buffer.is_meta else buffer.clone()


_REPLACEMENTS = {kind: _replacement(kind) for kind in _CLASSES}
