"""Writes a network as human-readable source of a standalone PyTorch module that runs without archsearch."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import torch
from torch import Tensor, nn

from archsearch.spaces.operators import Operator
from archsearch.spaces.plan import Plan
from archsearch.spaces.source_code.blocks import Block, BlockClass, Line, block_classes, relative
from archsearch.spaces.source_code.operators import Call, constructor, definitions, expression, parameter_path
from archsearch.spaces.source_code.patterns import named_chains, render

_RESERVED = frozenset({"self", "torch", "nn", "images", "Tensor", "F", "chain", "conv", "load", "prepare", "Network"})
_LISTED, _WIDTH = 6, 118
_NO_NAMES: Mapping[tuple[str | int, ...], str] = {}

_HEAD = """\
from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""

LOAD = '''\
def load(path: str | Path = Path(__file__).with_name("weights.safetensors")) -> Network:
    """Return the network with the weights of a safetensors file, ready for inference."""
    content = Path(path).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    data, types = bytearray(content[8 + size :]), {"F32": torch.float32, "I64": torch.int64}
    weights = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        kind = types[entry["dtype"]]
        weights[name] = torch.frombuffer(data[first:last], dtype=kind).reshape(entry["shape"])
    network = Network()
    network.load_state_dict(weights, strict=True)
    return network.eval()
'''


@dataclass(frozen=True)
class SourceCode:
    """A network as a Python file.

    Args:
        text: The source. It imports only torch and the standard library, and defines `Network` and `load`.
        paths: Attribute path in `Network` of the module of each step that an output depends on, by the name of the step.
    """

    text: str
    paths: Mapping[str, str]

    def state(self, operators: Mapping[str, Operator], network: nn.Module) -> dict[str, Tensor]:
        """Return parameters and running statistics by their names in the file.

        Args:
            operators: `Plan.operators`.
            network: The `Network` of the same plan.

        Returns:
            A state for `Network.load_state_dict` of the file: float32 tensors on the CPU.
        """
        modules: Mapping[str, nn.Module] = dict(network.steps.named_children())  # type: ignore[union-attr]
        state: dict[str, Tensor] = {}
        for name, path in self.paths.items():
            if name not in modules:
                continue
            operator, module = operators[name], modules[name]
            tensors = [*module.parameters(), *module.buffers()]
            for key, tensor in zip((*operator.parameter_shapes(), *operator.buffer_shapes()), tensors, strict=True):
                place = f"{path}.{parameter_path(key)}"
                state[place] = tensor.detach().to("cpu", torch.float32).contiguous().clone()
                if key.split(".")[-1] == "running_var":
                    state[f"{place.removesuffix('running_var')}num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
        return state


def source_code(plan: Plan, title: str = "A network.", extra: str = "") -> SourceCode:
    """Return a network as a readable file, with a class for each repeated block and one line for each other step.

    Steps that no output depends on are left out.

    Args:
        plan: The network.
        title: Docstring of the file; its first line should be a sentence.
        extra: Source to stand at the end of the file, such as constants.

    Raises:
        ConfigurationError: An operator cannot be written as source.
    """
    steps = [(slot, step) for slot, step, _ in plan.live_steps]
    plain = {step.name: constructor(step.operator) for _, step in steps if not _is_expression(step.operator)}
    primitives = {function for call in plain.values() for function in call.functions()}
    functions = named_chains(list(plain.values()), taken=(*primitives, *_RESERVED))
    calls = dict(zip(plain, functions.calls, strict=True))
    lines = [
        Line(
            name=step.name,
            slot=slot,
            inputs=step.inputs,
            call=calls.get(step.name),
            write=partial(_expression, step.operator) if step.name not in calls else None,
            kind=type(step.operator).__name__,
        )
        for slot, step in steps
    ]
    classes = block_classes(lines, plan.outputs)
    body = _Body(lines, plan.outputs, classes)
    parts = [f'"""{_quoted(title)}"""\n\n{_HEAD}', *definitions(primitives | functions.primitives)]
    parts += [
        *functions.sources.values(),
        *(_block_class(found) for found in classes),
        body.source(),
        LOAD,
        *([extra] if extra else []),
    ]
    text = "\n\n".join(parts)
    return SourceCode(_without_unused(text), body.paths)


def _expression(operator: Operator, inputs: list[str]) -> str:
    return expression(operator, inputs) or inputs[0]


def _is_expression(operator: Operator) -> bool:
    return expression(operator, ["x", "y"]) is not None


def _quoted(text: str) -> str:
    return text.strip().replace("\\", "\\\\").replace('"""', "'''") + ("\n" if "\n" in text.strip() else "")


def _without_unused(text: str) -> str:
    """Return the source without imports that it does not use."""
    for line, word in (("import torch.nn.functional as F\n", "F."), ("from collections import OrderedDict\n", "OrderedDict(")):
        if word not in text.replace(line, ""):
            text = text.replace(line, "")
    return text


class _Names:
    """Mapping from names of steps to unique names that Python and `nn.Module` allow."""

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self._given: dict[str, str] = {}
        self._taken = {*taken, *_RESERVED}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def __getitem__(self, name: str) -> str:
        if name not in self._given:
            text = re.sub(r"\W", "_", name, flags=re.ASCII)
            if not text.isidentifier() or text.startswith("_") or keyword.iskeyword(text) or hasattr(nn.Module, text):
                text = f"step_{text}"
            unique = next(
                tried for number in count(1) if (tried := text if number == 1 else f"{text}_{number}") not in self._taken
            )
            self._given[name] = unique
            self._taken.add(unique)
        return self._given[name]


def _block_class(found: BlockClass) -> str:
    """Return the source of a class of blocks."""
    block, names = found.blocks[0], _Names(_input_names(len(found.blocks[0].inputs)))
    variables = dict(zip(block.inputs, _input_names(len(block.inputs)), strict=True))
    modules = {relative(block, line.name): line.call for line in block.lines if line.call is not None}
    init = [f"self.{names[name]} = {found.pattern.text((name,), ' ' * 8)}" for name in modules]
    forward, applied = [], _Names(_input_names(len(block.inputs)))
    for line in block.lines:
        forward.append(_statement(line, relative(block, line.name), names, applied, variables))
    return _class(
        name=found.name,
        document=f"{_listed([other.name for other in found.blocks])}.",
        signature=found.pattern.signature,
        init=init,
        inputs=[variables[slot] for slot in block.inputs],
        forward=forward,
        outputs=[variables[slot] for slot in block.outputs],
    )


def _listed(names: Sequence[str]) -> str:
    return (
        f"{', '.join(names[:-1])} and {names[-1]}" if len(names) <= _LISTED else f"{names[0]} to {names[-1]}, {len(names)} in all"
    )


def _input_names(number: int) -> list[str]:
    return ["x"] if number == 1 else [f"x{place}" for place in range(1, number + 1)]


class _Body:
    """The class `Network`: blocks and single steps in the order of execution."""

    def __init__(self, lines: Sequence[Line], outputs: Sequence[int], classes: Sequence[BlockClass]) -> None:
        self.lines, self.outputs = lines, outputs
        self._instances = {name: call for found in classes for name, call in found.instances().items()}
        self._blocks = {block.lines[0].slot: block for found in classes for block in found.blocks}
        self._inside = {line.slot for block in self._blocks.values() for line in block.lines}
        self._names = _Names()
        self.paths: dict[str, str] = {}

    def source(self) -> str:
        """Return the source of the class, and record the path of each module."""
        variables, applied = {0: "images"}, _Names()
        init: dict[str, str] = {}
        forward: list[str] = []
        for line in self.lines:
            if line.slot in self._blocks:
                block = self._blocks[line.slot]
                init[block.name] = self._assigned(block.name, self._instances[block.name])
                forward.append(self._applied_block(block, variables, applied))
            elif line.slot not in self._inside:
                if line.call is not None:
                    init[line.name] = self._assigned(line.name, line.call)
                    self.paths[line.name] = self._names[line.name]
                forward.append(_statement(line, line.name, self._names, applied, variables))
        outputs = [variables[slot] for slot in self.outputs]
        return _class(
            name="Network",
            document="Images to logits.",
            signature="",
            init=list(init.values()),
            inputs=["images"],
            forward=forward,
            outputs=outputs,
        )

    def _assigned(self, name: str, call: Call) -> str:
        return f"self.{self._names[name]} = {render(call, _NO_NAMES, ' ' * 8)}"

    def _applied_block(self, block: Block, variables: dict[int, str], applied: _Names) -> str:
        names = _Names(_input_names(len(block.inputs)))
        for line in block.lines:
            if line.call is not None:
                self.paths[line.name] = f"{self._names[block.name]}.{names[relative(block, line.name)]}"
        inputs = ", ".join(variables[slot] for slot in block.inputs)
        attribute = self._names[block.name]
        outputs = [attribute] if len(block.outputs) == 1 else [f"{attribute}_{number}" for number in range(len(block.outputs))]
        for slot, name in zip(block.outputs, outputs, strict=True):
            variables[slot] = applied[name]
        return f"{', '.join(variables[slot] for slot in block.outputs)} = self.{attribute}({inputs})"


def _statement(line: Line, name: str, names: _Names, applied: _Names, variables: dict[int, str]) -> str:
    """Return the line of source of a step, and record its variable."""
    inputs = [variables[slot] for slot in line.inputs]
    right = line.write(inputs) if line.write else f"self.{names[name]}({', '.join(inputs)})"
    again = next(text for number in count(1) if (text := name if number == 1 else f"{name}_{number}") not in applied)
    variables[line.slot] = applied[again]
    return f"{variables[line.slot]} = {right}"


def _class(
    name: str, document: str, signature: str, init: list[str], inputs: list[str], forward: list[str], outputs: list[str]
) -> str:
    indent = " " * 8
    given = ", ".join(f"{text}: Tensor" for text in inputs)
    kind = "Tensor" if len(outputs) == 1 else "tuple[Tensor, ...]"
    lines = [f"class {name}(nn.Module):", f'    """{document}"""', ""]
    if init:
        lines += [f"    def __init__(self{', ' if signature else ''}{signature}) -> None:", f"{indent}super().__init__()"]
        lines += [f"{indent}{text}" for text in init]
        lines.append("")
    lines.append(f"    def forward(self, {given}) -> {kind}:")
    lines += [_wrapped(f"{indent}{text}") for text in forward]
    lines.append(_wrapped(f"{indent}return {', '.join(outputs)}"))
    return "\n".join(lines) + "\n"


def _wrapped(line: str) -> str:
    """Return a line of source, broken if it is too long; parentheses are added if it has none."""
    if len(line) <= _WIDTH:
        return line
    if not line.endswith(")"):
        at = line.index("return ") + 7 if line.lstrip().startswith("return ") else line.index(" = ") + 3
        line = f"{line[:at]}({line[at:]})"
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return "\n".join(textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))
