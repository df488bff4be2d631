"""A canonical form of traced modules: equal bytes only for modules that compute the same, apart from the values of weights.

The steps that the output does not depend on are left out, and so are those that change nothing: identity layers, dropout at rate
0, sums with zero, products with one. Sums are written as one sum of all their terms. Steps without weights that compute the same
of the same, such as two pooling layers that read one map, are one step. The rest is numbered from the output
backwards; the inputs of a commutative step are visited in the order of their colours, which are hashes of what is above and below
a node. The form lists each step with the numbers of its inputs, so that equal forms are equal graphs. Two graphs that differ only
in the order of inputs have equal forms, except for a few highly symmetrical ones whose nodes the colours cannot tell apart.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from archsearch.spaces.module.tracing import Node, Trace

_SUM = {"add", "iadd", "radd"}
_PRODUCT = {"mul", "imul", "rmul", "multiply"}
_COMMUTATIVE = {*_PRODUCT, "maximum", "minimum", "logical_and", "logical_or", "eq", "ne"}
_UNCHANGED = {"contiguous", "clone", "alias"}
_CONSTANT = re.compile(r"\(@0,(-?[0-9.e+-]+)\)|\((-?[0-9.e+-]+),@0\)")
_MOST_TERMS = 512
_ALWAYS_SAME = re.compile(
    r"(Max|Avg|AdaptiveAvg|AdaptiveMax|LP)Pool[123]d|(max|avg|adaptive_avg|adaptive_max)_pool[123]d|\w*(ReLU6?|GELU|SiLU|ELU|CELU)"
    r"|Sigmoid|Tanh|Softmax|Hardswish|Hardsigmoid|Mish|Softplus|Flatten|Unflatten|Upsample|ZeroPad2d|PixelShuffle|relu6?|gelu|silu|elu"
    r"|sigmoid|tanh|softmax|hardswish|hardsigmoid|mish|softplus|exp|log|sqrt|neg|abs|pow|square|add|iadd|radd|sub|isub|mul|imul|rmul|"
    r"truediv|div|cat|stack|mean|sum|amax|amin|matmul|bmm|flatten|view|reshape|transpose|permute|squeeze|unsqueeze|getitem|output|"
    r"chunk|split|narrow|expand|interpolate|pad"
)
"""Names of layers and functions without randomness."""


@dataclass(slots=True)
class _Step:
    """A step after simplification; the inputs of a commutative one have no order."""

    label: str
    inputs: tuple[int, ...]
    commutative: bool
    weights: tuple[int, ...]


def canonical_trace(trace: Trace) -> bytes:
    """Return the canonical form of a traced module."""
    return json.dumps([row for _, row in _rows(trace)], separators=(",", ":")).encode()


def canonical_layers(trace: Trace) -> list[str]:
    """Return the paths of the layers with weights, in the order of the form: in equal forms one place has one kind."""
    return [
        trace.nodes[number].path
        for number, _ in _rows(trace)
        if trace.nodes[number].kind == "layer" and trace.nodes[number].weights
    ]


def _rows(trace: Trace) -> list[tuple[int, list[object]]]:
    """Return the steps of the form: the number of the node, and label, inputs and shared weights."""
    steps = _simplified(trace.nodes)
    output = len(trace.nodes) - 1
    live = _live(steps, output)
    colours = _colours(steps, live)
    shared = Counter(weight for number in live for weight in set(steps[number].weights))
    order: dict[int, int] = {}
    groups: dict[int, int] = {}
    rows: list[tuple[int, list[object]]] = []
    pending: list[tuple[int, bool]] = [(output, False)]
    while pending:
        number, ready = pending.pop()
        if number in order:
            continue
        step = steps[number]
        if not ready:
            pending.append((number, True))
            inputs = step.inputs
            if step.commutative:
                inputs = tuple(sorted(inputs, key=lambda each: (colours[each], order.get(each, len(steps)), each)))
            pending.extend((each, False) for each in reversed(inputs) if each not in order)
            continue
        order[number] = len(order)
        places = [order[each] for each in step.inputs]
        tied = [groups.setdefault(weight, len(groups)) for weight in step.weights if shared[weight] > 1]
        rows.append((number, [step.label, sorted(places) if step.commutative else places, *([tied] if tied else [])]))
    return rows


def _simplified(nodes: Sequence[Node]) -> list[_Step]:
    """Return one step for each node; nodes that change nothing are skipped by those that read them."""
    steps: list[_Step] = []
    same: list[int] = []  # for each node, the one whose value it has
    zero: list[bool] = []
    first: dict[tuple[str, tuple[int, ...]], int] = {}  # for what a step computes of its inputs, the first one that does
    for number, node in enumerate(nodes):
        inputs = tuple([same[each] for each in node.inputs])
        kind, name, source, is_zero = node.kind, node.name, number, False
        constant = _constant(node) if kind == "function" else None
        if (kind == "layer" and _is_identity(node)) or (kind == "function" and name in _UNCHANGED):
            source = inputs[0]
        elif kind == "function" and name in _SUM and (constant is not None or _plain_sum(node)):
            terms = inputs
            if constant == 0:
                source = inputs[0]
            elif constant is None:
                shape = node.shapes[:1]
                kept = tuple(each for each in inputs if not (zero[each] and nodes[each].shapes[:1] == shape))
                terms = tuple(
                    term
                    for each in kept
                    for term in (steps[each].inputs if _is_sum(steps[each], nodes[each], shape) else (each,))
                )
                terms = inputs if len(terms) > _MOST_TERMS else terms
                if not terms:
                    source = inputs[0]
                elif len(terms) == 1 and nodes[terms[0]].shapes[:1] == shape:
                    source = terms[0]
            inputs = terms if source == number else inputs
        elif kind == "function" and name in _PRODUCT and constant == 1:
            source = inputs[0]
        elif kind == "function" and ((name in _PRODUCT and constant == 0) or name in ("zeros_like", "zeros", "new_zeros")):
            is_zero, inputs = True, ()
        elif kind == "function" and name in ("cat", "concat", "concatenate") and len(inputs) == 1:
            source = inputs[0]
        step = _step(node, inputs, is_zero, constant)
        if source == number and inputs and not step.weights and kind in ("layer", "function") and _ALWAYS_SAME.fullmatch(name):
            source = first.setdefault((step.label, tuple(sorted(inputs)) if step.commutative else inputs), number)
        same.append(source)
        zero.append(zero[source] if source != number else is_zero)
        steps.append(step)
    return steps


def _step(node: Node, inputs: tuple[int, ...], is_zero: bool, constant: float | None) -> _Step:
    if is_zero:
        return _Step(f"zero {node.shapes}", (), False, ())
    if node.kind == "function" and node.name in _SUM and constant is None and _plain_sum(node):
        return _Step(f"sum {node.shapes}", inputs, True, ())
    commutative = node.name in _COMMUTATIVE and node.kind == "function" and len(inputs) == 2
    if commutative:
        name = "mul" if node.name in _PRODUCT else node.name
        return _Step(f"{name} {node.shapes}", inputs, True, ())
    name = "mul" if node.kind == "function" and node.name in _PRODUCT else node.name
    return _Step(f"{node.kind} {name} {node.settings}", inputs, False, node.weights)


def _is_sum(step: _Step, node: Node, shape: Sequence[tuple[int, ...]]) -> bool:
    return step.commutative and step.label.startswith("sum ") and node.shapes[:1] == shape


def _plain_sum(node: Node) -> bool:
    """Return whether a step adds two tensors, without a factor."""
    return node.settings == "(@0,@1)"


def _is_identity(node: Node) -> bool:
    if node.name == "Identity":
        return True
    return "Dropout" in node.name and ("(p=0.0;" in node.settings or "(p=0;" in node.settings)


def _constant(node: Node) -> float | None:
    """Return the number that a function of one tensor adds or multiplies by."""
    found = _CONSTANT.fullmatch(node.settings)
    return float(found[1] or found[2]) if found else None


def _live(steps: Sequence[_Step], output: int) -> list[int]:
    """Return the steps that the output depends on, in order."""
    needed, pending = {output}, [output]
    while pending:
        for each in steps[pending.pop()].inputs:
            if each not in needed:
                needed.add(each)
                pending.append(each)
    return sorted(needed)


def _colours(steps: Sequence[_Step], live: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
    """Return for each step a hash of all that it depends on, and one of all that depends on it."""
    above: dict[int, bytes] = {}
    for number in live:
        step = steps[number]
        inputs = [above[each] for each in step.inputs]
        above[number] = _digest(step.label.encode(), sorted(inputs) if step.commutative else inputs)
    readers: dict[int, list[bytes]] = {number: [] for number in live}
    below: dict[int, bytes] = {}
    for number in reversed(live):
        below[number] = _digest(above[number], sorted(readers[number]))
        for place, each in enumerate(steps[number].inputs):
            at = b"" if steps[number].commutative else place.to_bytes(4, "little")
            readers[each].append(below[number] + at)
    return {number: (above[number], below[number]) for number in live}


def _digest(label: bytes, parts: Sequence[bytes]) -> bytes:
    return blake2b(label + b"|" + b"|".join(parts), digest_size=8).digest()
