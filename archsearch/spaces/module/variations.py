"""Variations of a given network: other widths, fewer blocks, other kernels."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.errors import ConfigurationError, check_kind, message_in_one_line
from archsearch.spaces.module.building import Built
from archsearch.spaces.module.choose import Choose
from archsearch.spaces.module.tracing import Node, Trace, Untraceable, called, on_meta, trace

_SAME = re.compile(
    r"(ReLU6?|Hardswish|Hardsigmoid|SiLU|GELU|ELU|LeakyReLU|Sigmoid|Tanh|Mish|Identity|Dropout2?d?|.*Pool2d|Upsample)$"
)
_SAME_FUNCTIONS = {
    *("relu", "relu6", "hardswish", "hardsigmoid", "silu", "gelu", "elu", "leaky_relu", "sigmoid", "tanh", "mish", "dropout"),
    *("adaptive_avg_pool2d", "avg_pool2d", "max_pool2d", "interpolate", "contiguous", "clone"),
}
_JOINS = {"add", "iadd", "mul", "imul", "radd", "rmul"}
_MULTIPLE = 8


@dataclass(frozen=True)
class _Width:
    """Channels that are one number: those of the layers that write them, and of all that read them."""

    name: str
    channels: int
    writers: frozenset[str]
    readers: frozenset[str]
    norms: frozenset[str]


@dataclass(frozen=True)
class _Run:
    """Blocks in a row of a sequence that keep the shape of what they read: each may be left out."""

    name: str
    blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Taken:
    """What was chosen: the blocks left out, and by path of a layer the channels that it writes and reads, and its kernel."""

    dropped: list[str]
    written: dict[str, int]
    read: dict[str, int]
    kernels: dict[str, int]


class Variations:
    """Builds a network like a given one, with choices of width, depth and kernel.

    Widths are multiples of the channels that are free: not those of the input or the output, nor those of layers outside the
    part. Channels that are added to each other have one width. A depth is how many blocks stay of those in a row that are of one
    type and keep the shape of their input; the last ones are left out. Kernels are those of convolutions whose padding keeps the
    size.

    Unchanged layers keep their weights. A narrower layer keeps the weights of its first channels, a wider one has new weights in
    the others; a kernel keeps its middle, or has zeros around it.

    Args:
        model: The network; it is copied.
        example_inputs: Its inputs.
        part: Path of the submodule that varies, such as `features`; empty for all.
        widths: Factors of the channels.
        kernels: Sizes of kernels.
        depths: Whether blocks may be left out.

    Attributes:
        fixed: What does not vary, and why.

    Raises:
        ConfigurationError: An argument is wrong, the model cannot be traced or has auxiliary heads, or nothing can vary.
    """

    def __init__(
        self,
        model: nn.Module,
        example_inputs: Any,
        part: str = "",
        widths: Sequence[float] = (0.5, 0.75, 1.0),
        kernels: Sequence[int] = (3, 5, 7),
        depths: bool = True,
    ) -> None:
        check_kind("model", model, nn.Module, "a torch.nn.Module")
        _check_numbers("widths", widths, lambda value: value > 0, "positive factors")
        _check_numbers("kernels", kernels, lambda value: value > 0 and value % 2 == 1, "odd whole numbers")
        modules = dict(model.named_modules())
        if part and part not in modules:
            near = ", ".join(name for name, _ in model.named_children())
            raise ConfigurationError(f"part: expected the path of a submodule of the model, such as one of {near}; got {part!r}.")
        self.__name__ = type(model).__name__
        self._model = copy.deepcopy(model).cpu()
        self._skeleton = copy.deepcopy(model).to("meta")
        self._widths, self._kernels, self._part = tuple(widths), tuple(kernels), part
        try:
            traced = trace(Built(copy.deepcopy(self._skeleton), (), ()), on_meta(example_inputs))
        except Untraceable as error:
            raise ConfigurationError(
                f"model: expected one that can be traced on the example inputs; this cannot ({error})."
            ) from error
        _check_outputs(self._skeleton, example_inputs, len(traced.nodes[-1].shapes))
        channels = _Channels(self._skeleton, traced)
        self._runs = channels.runs(part) if depths else []
        self._groups = channels.widths(part) if len(self._widths) > 1 else []
        reached = {node.path for node in traced.nodes if node.kind == "layer"}
        used = {path: layer for path, layer in modules.items() if path in reached}
        self._convolutions = self._kernel_layers(used) if self._kernels else []
        self.fixed: tuple[str, ...] = tuple(channels.fixed)
        if not (self._runs or self._groups or self._convolutions):
            reasons = "; ".join(self.fixed)
            raise ConfigurationError(f"model: expected widths, blocks or kernels that can vary; there are none. {reasons}")

    @cached_property
    def digest(self) -> str:
        """Hash of the given network, with its weights, and of what varies: 16 hexadecimal digits."""
        digest = hashlib.blake2b(
            repr((self._widths, self._kernels, self._part, self._runs, str(self._model))).encode(), digest_size=8
        )
        for name, tensor in self._model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _kernel_layers(self, modules: dict[str, nn.Module]) -> list[str]:
        found = []
        for path, layer in modules.items():
            if isinstance(layer, nn.Conv2d) and _inside(path, self._part):
                size, same = layer.kernel_size[0], layer.dilation[0] * (layer.kernel_size[0] - 1) // 2
                if layer.kernel_size == (size, size) and size > 1 and size % 2 and layer.padding == (same, same):
                    found.append(path)
        return found

    def __call__(self, choose: Choose) -> nn.Module:
        """Return the network for some choices."""
        return self._network(self.ask(choose))

    def ask(self, choose: Choose) -> _Taken:
        """Ask for the choices alone, which takes a hundredth of the time: to find the choices, the networks are not needed."""
        dropped: list[str] = []
        for run in self._runs:
            kept = choose.one(run.name, range(len(run.blocks) + 1))
            dropped += run.blocks[kept:]

        def stays(path: str) -> bool:
            return not any(_inside(path, block) for block in dropped)

        written: dict[str, int] = {}
        read: dict[str, int] = {}
        for group in self._groups:
            if any(map(stays, group.writers)):
                channels = _rounded(group.channels, choose.one(group.name, self._widths))
                written.update(dict.fromkeys(filter(stays, group.writers), channels))
                read.update(dict.fromkeys(filter(stays, (*group.readers, *group.norms)), channels))
        kernels = {path: choose.one(f"kernel_{_plain(path)}", self._kernels) for path in self._convolutions if stays(path)}
        return _Taken(dropped, written, read, kernels)

    def _network(self, taken: _Taken) -> nn.Module:
        without_weights = torch.empty(1).is_meta
        network = copy.deepcopy(self._skeleton if without_weights else self._model)
        for block in taken.dropped:
            _replace(network, block, nn.Identity())
        for path in {**taken.written, **taken.read, **taken.kernels}:
            sizes = taken.written.get(path, 0), taken.read.get(path, 0), taken.kernels.get(path, 0)
            _replace(network, path, _changed(network.get_submodule(path), *sizes))
        return network


class _Channels:
    """Which channels of a traced network are one number."""

    def __init__(self, model: nn.Module, traced: Trace) -> None:
        self._modules = dict(model.named_modules())
        self._nodes = traced.nodes
        self._parent: list[int] = []
        self._held: set[int] = set()  # channels that cannot change
        self._of: list[int] = []  # for each node, the channels of its first output
        self._writers: list[tuple[int, str]] = []
        self._readers: list[tuple[int, str]] = []
        self._norms: list[tuple[int, str]] = []
        self._written: dict[str, int] = {}
        self.fixed: list[str] = []
        for number, node in enumerate(self._nodes):
            self._of.append(self._follow(number, node))

    def _new(self, held: bool = False) -> int:
        self._parent.append(len(self._parent))
        if held:
            self._held.add(len(self._parent) - 1)
        return len(self._parent) - 1

    def _root(self, channels: int) -> int:
        while self._parent[channels] != channels:
            channels = self._parent[channels]
        return channels

    def _join(self, left: int, right: int) -> int:
        left, right = self._root(left), self._root(right)
        self._parent[right] = left
        if right in self._held:
            self._held.add(left)
        return left

    def _hold(self, channels: Sequence[int]) -> int:
        self._held.update(map(self._root, channels))
        return self._new(held=True)

    def _follow(self, number: int, node: Node) -> int:
        """Return the channels of a node's output."""
        inputs = [self._of[each] for each in node.inputs]
        if node.kind == "layer" and len(inputs) == 1:
            return self._layer(node, self._modules[node.path], inputs[0])
        if node.kind == "function" and inputs:
            shapes = [self._nodes[each].shapes[:1] for each in node.inputs]
            if node.name in _JOINS and len({shape[0][1] if len(shape[0]) > 1 else 0 for shape in shapes if shape}) == 1:
                joined = inputs[0]
                for each in inputs[1:]:
                    joined = self._join(joined, each)
                return joined
            if node.name in _SAME_FUNCTIONS and len(inputs) == 1:
                return inputs[0]
            if node.name == "flatten" and shapes[0] and shapes[0][0][2:] in ((), (1, 1)):
                return inputs[0]
            self._tell(f"{node.path or 'the model'}: what {node.name} reads")
        return self._hold(inputs)

    def _layer(self, node: Node, layer: nn.Module, read: int) -> int:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
            features = self._nodes[node.inputs[0]].shapes[0]
            if isinstance(layer, nn.Linear) and len(features) != 2:
                self._tell(f"{node.path}: its inputs have more than two dimensions")
                return self._hold([read])
            if groups > 1 and not (groups == layer.in_channels == layer.out_channels):
                self._tell(f"{node.path}: a convolution in {groups} groups")
                return self._hold([read])
            if groups > 1:
                self._norms.append((read, node.path))
                return read
            known = self._written.get(node.path)
            written = self._written.setdefault(node.path, self._new())
            if known is None:
                self._readers.append((read, node.path))
                self._writers.append((written, node.path))
            return written
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            self._norms.append((read, node.path))
            return read
        if _SAME.match(type(layer).__name__):
            return read
        if isinstance(layer, nn.Flatten) and self._nodes[node.inputs[0]].shapes[0][2:] in ((), (1, 1)):
            return read
        self._tell(f"{node.path}: a layer of the type {type(layer).__name__}")
        return self._hold([read])

    def _tell(self, what: str) -> None:
        if what not in self.fixed:
            self.fixed.append(what)

    def runs(self, part: str) -> list[_Run]:
        """Return the rows of blocks that may be left out; what such a block writes has the channels of what it reads."""
        found = []
        for path, sequence in self._modules.items():
            if not isinstance(sequence, nn.Sequential) or not _inside(path, part):
                continue
            row: list[str] = []
            children = [None, *sequence, None]
            for place, name in enumerate([*(name for name, _ in sequence.named_children()), ""], start=1):
                block = f"{path}.{name}" if path else name
                if name and _repeats(children[place - 1 : place + 2]) and self._keeps_shape(block):
                    row.append(block)
                    continue
                if row:
                    found.append(_Run(f"depth_{_plain(row[0])}", tuple(row)))
                row = []
        blocks = [block for run in found for block in run.blocks]
        outer = [run for run in found if not any(run.blocks[0].startswith(f"{block}.") for block in blocks)]
        for run in outer:
            for block in run.blocks:
                entry, leaving = self._ends(block)
                self._join(self._of[entry], self._of[leaving])
        return outer

    def _keeps_shape(self, block: str) -> bool:
        if not any(parameter.requires_grad for parameter in self._modules[block].parameters()):
            return False
        if isinstance(self._modules[block], nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d):
            return False
        entry, leaving = self._ends(block)
        return entry >= 0 and self._nodes[entry].shapes == self._nodes[leaving].shapes

    def _ends(self, block: str) -> tuple[int, int]:
        """Return the only node that a block reads from outside and the only one that others read from it, or (-1, -1)."""
        inside = {
            number for number, node in enumerate(self._nodes) if _inside(node.path, block) and node.kind in ("layer", "function")
        }
        entries = {
            each
            for number in inside
            for each in self._nodes[number].inputs
            if each not in inside and self._nodes[each].kind != "weight"
        }
        leaving = {
            each for number, node in enumerate(self._nodes) if number not in inside for each in node.inputs if each in inside
        }
        return (entries.pop(), leaving.pop()) if len(entries) == len(leaving) == 1 else (-1, -1)

    def widths(self, part: str) -> list[_Width]:
        """Return the channels that may change."""
        found = []
        for root in dict.fromkeys(self._root(channels) for channels, _ in self._writers):
            writers = [path for channels, path in self._writers if self._root(channels) == root]
            readers = [path for channels, path in self._readers if self._root(channels) == root]
            norms = [path for channels, path in self._norms if self._root(channels) == root]
            if not all(_inside(path, part) for path in (*writers, *readers, *norms)):
                self._tell(f"{writers[0]}: its channels reach outside {part}")
            elif root in self._held:
                self._tell(f"{writers[0]}: its channels are those of the input or output, or reach a layer that cannot change")
            else:
                layer = self._modules[writers[0]]
                size = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
                assert isinstance(size, int)
                name = f"width_{_plain(writers[0])}"
                found.append(_Width(name, size, frozenset(writers), frozenset(readers), frozenset(norms)))
        return found


def _repeats(around: Sequence[nn.Module | None]) -> bool:
    """Return whether the middle one of three modules is a block like a neighbour: of several layers, or equal in size."""
    before, block, after = around
    assert block is not None
    layers = [part for part in block.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    sizes = [parameter.shape for parameter in block.parameters()]
    like = [each for each in (before, after) if type(each) is type(block) and each is not None]
    return any(len(layers) > 1 or [parameter.shape for parameter in each.parameters()] == sizes for each in like)


def _changed(layer: nn.Module, written: int, read: int, kernel: int) -> nn.Module:
    """Return a layer with other channels or another kernel; 0 keeps them. Weights are kept where they fit."""
    if isinstance(layer, nn.Conv2d):
        depthwise = layer.groups > 1
        into = read or layer.in_channels
        out = into if depthwise else written or layer.out_channels
        size = kernel or layer.kernel_size[0]
        same = tuple(each * (size - 1) // 2 for each in layer.dilation)
        made: nn.Module = nn.Conv2d(
            *(into, out),
            kernel_size=(size, size) if kernel else layer.kernel_size,  # type: ignore[arg-type]
            stride=layer.stride,  # type: ignore[arg-type]
            padding=same if kernel else layer.padding,  # type: ignore[arg-type]
            dilation=layer.dilation,  # type: ignore[arg-type]
            groups=into if depthwise else 1,
            bias=layer.bias is not None,
            padding_mode=layer.padding_mode,
        )
    elif isinstance(layer, nn.Linear):
        made = nn.Linear(read or layer.in_features, written or layer.out_features, bias=layer.bias is not None)
    else:
        assert isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d)
        made = type(layer)(read, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
    made.train(layer.training)
    with torch.no_grad():
        for name, tensor in (*made.named_parameters(), *made.named_buffers()):
            _keep(tensor, getattr(layer, name))
    return made


def _keep(target: Tensor, source: Tensor) -> None:
    """Copy the common channels of a layer's weights; a kernel keeps its middle and has zeros around it."""
    if target.is_meta or source.is_meta:
        return
    if target.dim() == 4 and target.shape[2:] != source.shape[2:]:
        offset = (target.shape[2] - source.shape[2]) // 2
        fitted = torch.nn.functional.pad(source, [offset] * 4)
    else:
        fitted = source
    common = tuple(slice(0, min(left, right)) for left, right in zip(target.shape, fitted.shape, strict=True))
    target[common] = fitted[common]


def _rounded(channels: int, factor: float) -> int:
    """Return a number of channels times a factor, as a multiple of eight where the channels are."""
    multiple = _MULTIPLE if channels % _MULTIPLE == 0 and channels > _MULTIPLE else 1
    return max(multiple, round(channels * factor / multiple) * multiple)


def _replace(network: nn.Module, path: str, layer: nn.Module) -> None:
    outer, _, name = path.rpartition(".")
    setattr(network.get_submodule(outer), name, layer)


def _inside(path: str, part: str) -> bool:
    return not part or path == part or path.startswith(f"{part}.")


def _plain(path: str) -> str:
    return path.replace(".", "_")


def _check_outputs(skeleton: nn.Module, example_inputs: Any, trained: int) -> None:
    """Raise ConfigurationError if a network gives another number of tensors in evaluation than in training."""
    try:
        with torch.no_grad():
            outputs = called(copy.deepcopy(skeleton).eval(), on_meta(example_inputs))
    except Exception as error:
        raise ConfigurationError(
            f"model: expected one that runs on the example inputs in evaluation too, without the values of tensors; it fails "
            f"({type(error).__name__}: {message_in_one_line(error, 200)})."
        ) from error
    pending, tensors = [outputs], 0
    while pending:
        value = pending.pop()
        tensors += isinstance(value, Tensor)
        pending += value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    if tensors != trained:
        raise ConfigurationError(
            f"model: expected one that gives the same in training and in evaluation; it gives {trained} tensors in training and "
            f"{tensors} in evaluation, as networks with auxiliary heads do. Make it without them, such as "
            "torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=True), or set model.aux_logits = False "
            "after loading weights."
        )


def _check_numbers(argument: str, values: Sequence[Any], fits: Any, expected: str) -> None:
    plain = isinstance(values, Sequence) and not isinstance(values, str)
    if not plain or not all(isinstance(value, int | float) and not isinstance(value, bool) and fits(value) for value in values):
        raise ConfigurationError(f"{argument}: expected a list of {expected}; got {values!r}.")
