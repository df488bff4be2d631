"""The graph of what a module computes, found by running it once on the meta device.

Layers of `torch.nn` and functions of torch become nodes; the user's own modules are followed into. Shapes are known, so control
flow that depends on shapes is followed too; what depends on values cannot be traced.

A layer with the same settings and input shapes as one seen before is not run again: its output shapes and its
multiply-accumulates are remembered for the process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import message_in_one_line
from archsearch.spaces.module.building import Built
from archsearch.spaces.module.choose import Mark
from archsearch.spaces.module.layer_templates import Template, template_of

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
_UNSETTLED = {"training", "inplace", "forward"}
_MAKING = {
    *(
        "empty",
        "zeros",
        "ones",
        "rand",
        "randn",
        "full",
        "randint",
        "randperm",
        "eye",
        "empty_strided",
        "arange",
        "linspace",
        "tensor",
    ),
    *("as_tensor", "logspace", "tril_indices", "triu_indices", "scalar_tensor"),
}
_RESHAPING_IN_PLACE = {"resize_", "squeeze_", "unsqueeze_", "t_", "transpose_", "set_", "resize_as_", "swapaxes_", "swapdims_"}
_VIEWS = {
    *(
        "view",
        "reshape",
        "__getitem__",
        "transpose",
        "permute",
        "narrow",
        "chunk",
        "split",
        "unbind",
        "squeeze",
        "unsqueeze",
        "expand",
    ),
    *(
        "flatten",
        "T",
        "mT",
        "H",
        "select",
        "detach",
        "view_as",
        "expand_as",
        "unfold",
        "movedim",
        "swapaxes",
        "unflatten",
        "real",
        "imag",
    ),
    *("contiguous", "to", "diagonal", "tensor_split", "hsplit", "vsplit", "t", "data", "reshape_as"),
}
_WRITTEN = {int, float, str, bool, type(None), torch.dtype, torch.Size, slice, complex, type(Ellipsis)}
_COUNTED = {
    *(
        "linear",
        "matmul",
        "__matmul__",
        "__rmatmul__",
        "bmm",
        "mm",
        "baddbmm",
        "addmm",
        "einsum",
        "scaled_dot_product_attention",
        "addbmm",
    ),
    *(
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "mv",
        "dot",
        "tensordot",
        "bilinear",
    ),
    "multi_head_attention_forward",
}


class Untraceable(Exception):
    """The module cannot be followed on the meta device; the message says why."""


@dataclass(slots=True)
class Node:
    """One step of a traced module.

    Args:
        kind: `input`, `layer`, `function`, `weight` (a parameter or buffer that a function reads) or `output`.
        name: Type of the layer, or name of the function.
        settings: Everything else that tells what it computes, as text; in the arguments of a function `@0` stands for its first
            input.
        inputs: Numbers of the nodes that it reads, in the order of its arguments.
        shapes: Shapes of its outputs.
        weights: The parameters and buffers of a layer, by number; layers with a common number share weights.
        params: Number of parameters of a layer.
        macs: Multiply-accumulates for the inputs as given.
        path: Path of the layer, or of the module that calls the function.
        group: The call of a module made by a choice within which it is, by number; -1 for none.
    """

    kind: str
    name: str
    settings: str
    inputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...] = ()
    weights: tuple[int, ...] = ()
    params: int = 0
    macs: int = 0
    path: str = ""
    group: int = -1


@dataclass
class Trace:
    """What a module computes.

    Args:
        nodes: The steps in order; each reads earlier ones. The last is the output.
        groups: For each call of a module that a choice made, the mark of the choice.
        params: Number of trainable parameters of the module.
    """

    nodes: list[Node] = field(default_factory=list)
    groups: list[Mark] = field(default_factory=list)
    params: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates for the inputs as given."""
        return sum(node.macs for node in self.nodes)


@dataclass(frozen=True, slots=True)
class _Output:
    """Place of a tensor in an output: its shape and type."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class _Named:
    """An output of a type with named fields, such as `torch.max` gives."""

    kind: type
    items: tuple[Any, ...]


_Known = tuple[Any, int]
_known: dict[Any, _Known] = {}
"""Output and multiply-accumulates of layers and functions by settings and input shapes."""
_MOST_KNOWN = 100_000


def on_meta(inputs: Any) -> Any:
    """Return nested inputs with each tensor on the meta device."""
    if isinstance(inputs, Tensor):
        return inputs.to("meta")
    if isinstance(inputs, Mapping):
        return {name: on_meta(value) for name, value in inputs.items()}
    if isinstance(inputs, list | tuple):
        return type(inputs)(map(on_meta, inputs))
    return inputs


def called(module: nn.Module, inputs: Any) -> Any:
    """Return a module's output; a tuple is its positional arguments, a dict its arguments by name, all else the one argument."""
    if isinstance(inputs, dict):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def trace(built: Built, inputs: Any) -> Trace:
    """Return the graph of a module on the meta device, in training mode.

    Args:
        built: The module, and the marks of its choices.
        inputs: Its inputs, as `called` takes them, on the meta device.

    Raises:
        Untraceable: The module raises an error, depends on values, or does what cannot be followed.
    """
    recorder = _Recorder(built)
    recorder.add_inputs(inputs)
    try:
        with recorder, torch.no_grad():
            outputs = called(built.module if recorder.all_train else built.module.train(), inputs)
        recorder.add_output(outputs)
    except Untraceable:
        raise
    except Exception as error:
        raise Untraceable(f"{type(error).__name__}: {message_in_one_line(error, 300)}") from error
    finally:
        recorder.release()
    return recorder.trace


def parts_of(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return what `named_modules` gives, in a third of the time."""
    found: list[tuple[str, nn.Module]] = []
    seen: set[int] = set()
    pending = [("", module)]
    while pending:
        path, part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        found.append((path, part))
        inner = part._modules
        if inner:
            start = f"{path}." if path else ""
            pending.extend([(start + name, each) for name, each in reversed(inner.items()) if each is not None])
    return found


class _Recorder(TorchFunctionMode):
    def __init__(self, built: Built) -> None:
        super().__init__()
        self.trace = Trace()
        self._paused = False
        self._paths: list[str] = [""]
        self._groups: list[int] = [-1]
        self._alive: list[Tensor] = []  # so that no number of `id` is used twice
        self._node: dict[int, int] = {}
        self._root: dict[int, int] = {}
        self._views: set[int] = set()
        self._weights: dict[int, int] = {}  # parameters and buffers by `id`, numbered
        self._templates: dict[int, Template | None] = {}
        marks: dict[int, Mark] = {}
        for module, mark in built.marks:  # the innermost first
            marks.setdefault(id(module), mark)
        counted: set[int] = set()
        self._parts = parts_of(built.module)
        self.all_train = all(module.training for _, module in self._parts)
        for path, module in self._parts:
            self._weigh(module, counted)
            self._follow(path, module, marks.get(id(module)))
        self._layers: dict[int, tuple[str, tuple[int, ...], int]] = {}

    def release(self) -> None:
        """Let go of the module, so that its memory is free at once: what `_follow` added refers to it in a circle."""
        for _, part in self._parts:
            part.__dict__.pop("forward", None)

    def _weigh(self, module: nn.Module, counted: set[int]) -> None:
        """Number the tensors that a module holds, and count its trainable parameters."""
        weights = self._weights
        for tensors in (module._parameters, module._buffers):
            for tensor in tensors.values():
                if tensor is None:
                    continue
                number = id(tensor)
                if number not in weights:
                    weights[number] = len(weights)
                if number not in counted and tensor.requires_grad:
                    counted.add(number)
                    self.trace.params += tensor.numel()
        template = self._templates[id(module)] = template_of(module)
        if template is None:
            for value in module.__dict__.values():
                if isinstance(value, Tensor):
                    weights.setdefault(id(value), len(weights))

    def _follow(self, path: str, module: nn.Module, mark: Mark | None) -> None:
        original = module.forward
        if type(module).__module__.startswith("torch.nn.") and not isinstance(module, _CONTAINERS):

            def forward(*args: Any, **kwargs: Any) -> Any:
                if self._paused:
                    return original(*args, **kwargs)
                with torch._C.DisableTorchFunction():
                    return self._within(path, mark, self._layer, module, original, args, kwargs)

        else:

            def forward(*args: Any, **kwargs: Any) -> Any:
                if self._paused:
                    return original(*args, **kwargs)
                return self._within(path, mark, original, *args, **kwargs)

        module.__dict__["forward"] = forward

    def _within(self, path: str, mark: Mark | None, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._paths.append(path)
        if mark is None:
            self._groups.append(self._groups[-1])
        else:
            self._groups.append(len(self.trace.groups))
            self.trace.groups.append(mark)
        try:
            return call(*args, **kwargs)
        finally:
            self._paths.pop()
            self._groups.pop()

    # Nodes

    def _add(self, kind: str, name: str, settings: str, inputs: tuple[int, ...], **details: Any) -> int:
        self.trace.nodes.append(Node(kind, name, settings, inputs, path=self._paths[-1], group=self._groups[-1], **details))
        return len(self.trace.nodes) - 1

    def add_inputs(self, inputs: Any) -> None:
        found: list[Tensor] = []
        form = _described(inputs, found)
        for place, tensor in enumerate(found):
            shape = (tuple(tensor.shape),)
            self._set(
                tensor, self._add("input", f"input {place}", f"{form} {tensor.dtype}" if place == 0 else "", (), shapes=shape)
            )

    def add_output(self, outputs: Any) -> None:
        found: list[Tensor] = []
        form = _described(outputs, found)
        self._add("output", "output", form, tuple(map(self._number, found)), shapes=tuple(tuple(each.shape) for each in found))

    def _set(self, tensor: Tensor, number: int) -> None:
        if id(tensor) not in self._node:
            self._alive.append(tensor)
        self._node[id(tensor)] = number

    def _number(self, tensor: Tensor) -> int:
        """Return the node that a tensor comes from."""
        number = self._node.get(id(tensor))
        if number is None:
            if id(tensor) not in self._weights:
                raise Untraceable(
                    "it uses a tensor that is neither an input, nor a parameter or buffer, nor made by a function of torch"
                )
            kind = "parameter" if isinstance(tensor, nn.Parameter) else "buffer"
            number = self._add(
                *("weight", kind, f"{tuple(tensor.shape)} {tensor.dtype}", ()),
                weights=(self._weights[id(tensor)],),
                shapes=(tuple(tensor.shape),),
                params=tensor.numel() if tensor.requires_grad else 0,
            )
            self._set(tensor, number)
        return number

    # Layers

    def _layer(self, module: nn.Module, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        settings, weights, params = self._settings(module)
        found: list[Tensor] = []
        form = _described((args, kwargs) if kwargs else args, found)
        name = type(module).__name__
        numbers = tuple(map(self._number, found))
        known = (settings, form, *[(tuple(tensor.shape), tensor.dtype) for tensor in found])
        outputs, macs = self._remembered(known, original, args, kwargs, module)
        number = self._add("layer", name, f"{settings}{form}", numbers, weights=weights, params=params, macs=macs)
        if getattr(module, "inplace", False) is True and found:
            self._set(found[0], number)
        return self._made(outputs, number)

    def _settings(self, module: nn.Module) -> tuple[str, tuple[int, ...], int]:
        """Return what a layer computes as text, its weights, and the number of its parameters."""
        if (known := self._layers.get(id(module))) is not None:
            return known
        template = self._templates[id(module)]
        if template is not None and template.settings is not None:
            text, params = template.settings
            own = (*module._parameters.items(), *module._buffers.items())
            found = tuple([self._weights[id(each)] for name, each in own if each is not None and name != "num_batches_tracked"])
            self._layers[id(module)] = text, found, params
            return text, found, params
        parts, weights, params = [], [], 0
        for part in module.modules():
            plain = [f"{name}={_plain(value)}" for name, value in part.__dict__.items() if _is_setting(name, value)]
            shapes = []
            for name, tensor in (*part._parameters.items(), *part._buffers.items()):
                if tensor is None:
                    shapes.append(f"{name}:None")
                    continue
                shapes.append(f"{name}:{tuple(tensor.shape)}{'' if tensor.requires_grad else ' fixed'}")
                if name != "num_batches_tracked":
                    weights.append(self._weights[id(tensor)])
                params += tensor.numel() if tensor.requires_grad else 0
            hooks = len(part._forward_hooks) + len(part._forward_pre_hooks)
            parts.append(
                f"{type(part).__module__}.{type(part).__qualname__}({','.join(plain)};{','.join(shapes)}{';hooks' * hooks})"
            )
        self._layers[id(module)] = "/".join(parts), tuple(weights), params
        if template is not None:
            template.settings = "/".join(parts), params
        return self._layers[id(module)]

    # Functions

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = dict(kwargs or {})
        if self._paused:
            return func(*args, **given)
        name = _name(func)
        if name in _MAKING:
            given["device"] = "meta"
        found: list[Tensor] = []
        form = _described((tuple(args), given) if given else tuple(args), found)
        in_place = (name.endswith("_") and not name.startswith("__")) or (
            name.startswith("__i") and name not in ("__invert__", "__index__")
        )
        if name == "__setitem__" or (in_place and found):
            return self._changed(name, form, found, func, args, given)
        known = (name, form, *[(tuple(tensor.shape), tensor.dtype) for tensor in found])
        outputs, macs = self._remembered(known, func, args, given, None)
        if not _has_output(outputs):
            return outputs
        numbers = tuple(map(self._number, found))
        number = self._add("function", name.strip("_"), form, numbers, macs=macs)
        if given.get("inplace") is True and found:
            self._set(found[0], number)
        return self._made(outputs, number, found if name in _VIEWS else ())

    def _changed(self, name: str, form: str, found: list[Tensor], func: Any, args: Any, given: Any) -> Any:
        """Record a function that changes its first argument."""
        target = found[0]
        if name in _RESHAPING_IN_PLACE or "out" in given or target is not args[0]:
            raise Untraceable(f"{name} changes a tensor in a way that is not followed")
        if self._root.get(id(target), id(target)) in self._views:
            raise Untraceable(f"{name} changes a tensor that has views")
        numbers = tuple(map(self._number, found))
        number = self._add("function", name.strip("_"), form, numbers, shapes=(tuple(target.shape),))
        self._set(target, number)
        return None if name == "__setitem__" else target

    def _remembered(self, known: Any, call: Callable[..., Any], args: Any, kwargs: Any, module: nn.Module | None) -> _Known:
        found = _known.get(known)
        if found is None:
            self._paused = True
            try:
                found = self._measured(known, call, args, kwargs, module)
            finally:
                self._paused = False
            if len(_known) < _MOST_KNOWN:
                _known[known] = found
        return found

    def _measured(self, known: Any, call: Callable[..., Any], args: Any, kwargs: Any, module: nn.Module | None) -> _Known:
        if module is None and known[0] not in _COUNTED:
            return _outputs(call(*args, **kwargs)), 0
        with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm: addmm_flops}) as counter:
            try:
                made = call(*args, **kwargs)
            except ValueError:  # batch normalisation of one value for each channel has no statistics to train with
                if module is None:
                    raise
                made = _evaluated(module, call, args, kwargs)
        return _outputs(made), int(counter.get_total_flops()) // 2

    def _made(self, outputs: Any, number: int, views_of: Sequence[Tensor] = ()) -> Any:
        """Return new tensors for the outputs of a node."""
        places: list[_Output] = []
        _collect(outputs, places)
        self.trace.nodes[number].shapes = tuple(place.shape for place in places)
        if len(places) == 1 and isinstance(outputs, _Output):
            made: Any = _new(outputs)
            self._register(made, number, views_of)
            return made
        counter = iter(range(len(places)))

        def one(place: _Output) -> Tensor:
            at = next(counter)
            tensor = _new(place)
            self._register(tensor, self._add("function", "output", str(at), (number,), shapes=(place.shape,)), views_of)
            return tensor

        return _rebuilt(outputs, one)

    def _register(self, tensor: Tensor, number: int, views_of: Sequence[Tensor]) -> None:
        self._set(tensor, number)
        for other in views_of[:1]:
            root = self._root.get(id(other), id(other))
            self._root[id(tensor)] = root
            self._views.add(root)


@lru_cache(maxsize=10_000)
def _form_of(place: _Output) -> Tensor:
    return torch.empty(place.shape, dtype=place.dtype, device="meta")


def _new(place: _Output) -> Tensor:
    """Return a new tensor on the meta device, in half the time that `torch.empty` takes."""
    made: Tensor = Tensor._make_subclass(Tensor, _form_of(place))
    return made


def addmm_flops(bias: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    """Return the FLOPs of a linear layer with its bias, as `Cost.macs` counts them; one MAC is two FLOPs."""
    return 2 * int(left[0]) * int(right[1]) * (int(left[1]) + 1)


def _evaluated(module: nn.Module, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    module.eval()
    try:
        return call(*args, **kwargs)
    finally:
        module.train()


def _name(func: Any) -> str:
    name: str = getattr(func, "__name__", "") or type(func).__name__
    if name == "__get__":  # of a property, such as Tensor.T
        return str(getattr(func.__self__, "__name__", "property"))
    return name


def _is_setting(name: str, value: Any) -> bool:
    """Return whether an attribute of a layer tells what it computes; private ones follow from the others."""
    if name in _UNSETTLED or name[0] == "_":
        return False
    return isinstance(value, int | float | str | bool | tuple | list | torch.dtype) or hasattr(value, "__qualname__")


def _plain(value: Any) -> str:
    return str(getattr(value, "__qualname__", None) or repr(value))


def _described(value: Any, found: list[Tensor]) -> str:
    """Return a nested value as text, in which `@0`, `@1`, ... stand for its tensors, and append these to `found`."""
    kind = type(value)
    if kind in _WRITTEN:
        return repr(value)
    if kind is Tensor or isinstance(value, Tensor):
        found.append(value)
        return f"@{len(found) - 1}"
    if kind is tuple:
        return f"({','.join([_described(each, found) for each in value])})"
    if isinstance(value, tuple | list):
        return f"[{','.join([_described(each, found) for each in value])}]"
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{name}:{_described(each, found)}" for name, each in value.items()]) + "}"
    if isinstance(value, torch.device):
        return ""
    if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        return f"{kind.__name__}{_described(vars(value), found)}"
    return str(getattr(value, "__qualname__", kind.__name__))


def _outputs(value: Any) -> Any:
    """Return a nested output in which each tensor is replaced by its shape and type."""
    if isinstance(value, Tensor):
        return _Output(tuple(value.shape), value.dtype)
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        items = tuple(map(_outputs, value))
        return items if type(value) is tuple else list(items) if type(value) is list else _Named(type(value), items)
    if isinstance(value, Mapping):
        return {name: _outputs(each) for name, each in value.items()}
    if value is None or isinstance(value, int | float | str | bool | torch.dtype | torch.Size | torch.device | torch.layout):
        return value
    raise Untraceable(f"it gives an object of the type {type(value).__name__}")


def _collect(value: Any, places: list[_Output]) -> None:
    if isinstance(value, _Output):
        places.append(value)
    elif isinstance(value, _Named):
        _collect(value.items, places)
    elif isinstance(value, tuple | list):
        for each in value:
            _collect(each, places)
    elif isinstance(value, Mapping):
        for each in value.values():
            _collect(each, places)


def _has_output(value: Any) -> bool:
    places: list[_Output] = []
    _collect(value, places)
    return bool(places)


def _rebuilt(value: Any, make: Callable[[_Output], Tensor]) -> Any:
    if isinstance(value, _Output):
        return make(value)
    if isinstance(value, _Named):
        items = [_rebuilt(each, make) for each in value.items]
        return value.kind(*items) if hasattr(value.kind, "_fields") else value.kind(items)
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        return type(value)(_rebuilt(each, make) for each in value)
    if isinstance(value, Mapping):
        return {name: _rebuilt(each, make) for name, each in value.items()}
    return value


def batch_size(inputs: Any) -> int:
    """Return the first dimension of the first tensor in nested inputs, or 1 if it has none."""
    found: list[Tensor] = []
    _described(inputs, found)
    return found[0].shape[0] if found and found[0].dim() else 1


def numel(shapes: Sequence[tuple[int, ...]]) -> int:
    """Return the number of elements of tensors of these shapes."""
    return sum(math.prod(shape) for shape in shapes)
