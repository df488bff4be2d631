"""The graphs of modules that surrogates read: the steps of a traced module that choices reach, and the choices themselves.

The first cell is the network. Its nodes are the layers that choices make, labelled by the name of the alternative, and the other
layers and functions that differ between architectures, labelled by their type; a label ends with the size of the weights where
layers of one name differ in it. What is the same in all architectures is left out, with edges across it. Of modules that always
have the same structure, such as the copies of a cell, and of a choice that is used in several places, only the first is shown.

The second cell is the chain of the choices, from which the architecture is read back. Spaces whose modules cannot be traced have
this cell only.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archsearch.errors import ArchitectureError
from archsearch.spaces.graph import INPUT, OUTPUT, Graph
from archsearch.spaces.module.conditions import Answers, Conditions
from archsearch.spaces.module.tracing import Trace

_MOST_NODES = 128
_MOST_LABELS = 120  # of 127: labels are int8
_JOINING = {"add", "iadd", "radd", "sum", "cat", "concat", "stack", "mul", "imul", "maximum", "minimum", "mean", "output"}
_NUMBERS = re.compile(r"\d+")
_LIGHT = re.compile(r"Norm|ReLU|GELU|SiLU|ELU|Sigmoid|Tanh|Softmax|Hardswish|Mish|Dropout|Identity")
OTHER = "other"
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class _Place:
    """A step of a traced module as a possible node.

    Args:
        scope: The alternative or item within which it is; empty for none.
        identity: What tells it from other steps within the scope: path without numbers, name, and number of occurrence.
        name: Label without size.
        params: Number of weights.
        by_choice: Whether it is a whole layer that a choice made.
        function: Whether it is a function.
    """

    scope: str
    identity: str
    name: str
    params: int
    by_choice: bool = False
    function: bool = False

    @property
    def full(self) -> str:
        """Scope and identity."""
        return f"{self.scope}:{self.identity}"


@dataclass(frozen=True)
class GraphForm:
    """How the modules of a space become graphs, learnt from a sample of them.

    Args:
        conditions: The choices.
        copies: Paths of modules that have the structure of an earlier one in each architecture.
        kept: The steps, of those that are no layer made by a choice, that become nodes.
        sized: Names of layers whose weights differ in size, with the smallest and the largest logarithm.
        coarse: Number of doublings of the weights that one label spans.
        names: Labels of the network's nodes; empty if modules cannot be traced.
        by_name: Whether the labels of choices hold their names; otherwise they are numbers of alternatives.
    """

    conditions: Conditions
    copies: frozenset[str]
    kept: frozenset[str]
    sized: frozenset[str]
    coarse: int
    names: tuple[str, ...]
    by_name: bool

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Labels of both cells."""
        return (INPUT, OUTPUT, *self.names, *self._choice_labels())

    def _choice_labels(self) -> list[str]:
        if self.by_name:
            return [f"{choice.name}={word}" for choice in self.conditions.choices for word in choice.words]
        most = max(len(choice.words) for choice in self.conditions.choices)
        return [*(f"alternative {number}" for number in range(most)), ABSENT]

    def graphs(self, answers: Answers, trace: Trace | None) -> list[Graph]:
        """Return the cells of an architecture."""
        chain = self._chain(answers)
        if not self.names:
            return [chain]
        return [
            Graph((INPUT, OUTPUT), np.array([[False, True], [False, False]])) if trace is None else self._network(trace),
            chain,
        ]

    def _chain(self, answers: Answers) -> Graph:
        labels = []
        for choice in self.conditions.choices:
            number = answers.get(choice.name)
            if self.by_name and number is not None:
                labels.append(f"{choice.name}={choice.words[number]}")
            elif not self.by_name:
                labels.append(ABSENT if number is None else f"alternative {number}")
        return Graph((INPUT, *labels, OUTPUT), np.eye(len(labels) + 2, k=1, dtype=bool))

    def answers(self, graph: Graph) -> Answers:
        """Return the answers of a chain of choices.

        Raises:
            ArchitectureError: The graph is no such chain.
        """
        labels = graph.operators[1:-1]
        given: dict[str, int] = {}
        choices = self.conditions.choices
        if self.by_name:
            places = {f"{each.name}={word}": (each.name, number) for each in choices for number, word in enumerate(each.words)}
            for label in labels:
                if label not in places or places[label][0] in given:
                    raise ArchitectureError(f"batch: expected each choice once; got {labels}.")
                given[places[label][0]] = places[label][1]
        else:
            if len(labels) != len(choices):
                raise ArchitectureError(f"batch: expected a node for each of the {len(choices)} choices; got {len(labels)}.")
            numbers = {f"alternative {number}": number for number in range(127)}
            given = {each.name: numbers[label] for each, label in zip(choices, labels, strict=True) if label in numbers}
        by_name = self.conditions.by_name
        if any(number >= len(by_name[name].words) for name, number in given.items()):
            raise ArchitectureError(f"batch: expected alternatives of the choices; got {labels}.")

        missing: list[str] = []

        def answer(choice: object) -> int:
            name = choice.name  # type: ignore[attr-defined]
            if name not in given:
                missing.append(name)
            return given.get(name, 0)

        found = self.conditions.answered(answer)
        if missing or len(found) < len(given) or self._chain(found).operators != graph.operators:
            raise ArchitectureError(f"batch: expected the choices that are asked together, in their order; got {labels}.")
        if not np.array_equal(graph.adjacency, np.eye(len(graph.operators), k=1, dtype=bool)):
            raise ArchitectureError("batch: expected the choices as a chain; got other edges.")
        return found

    def _network(self, trace: Trace) -> Graph:
        labels = [INPUT]
        reads = [0]  # of each node of the graph, those that it reads, as bits
        value: list[int] = []  # of each step, the nodes that its value comes from
        groups: dict[int, int] = {}  # of each call of a layer made by a choice, its node
        known = set(self.names)
        for node, place in zip(trace.nodes, _places(trace, self.copies), strict=True):
            sources = 1 if node.kind == "input" else 0
            for each in node.inputs:
                sources |= value[each]
            if place is None or not (place.by_choice or place.full in self.kept):
                value.append(sources)
                continue
            own = groups.get(node.group) if place.by_choice else None
            if own is None:
                own = len(labels)
                labels.append(_nearest(_labelled(place.name, place.params, self.sized, self.coarse), known))
                reads.append(0)
                if place.by_choice:
                    groups[node.group] = own
            reads[own] |= sources & ((1 << own) - 1)
            value.append(1 << own)
        reads.append(value[-1])
        adjacency = np.array([[bits >> source & 1 for bits in reads] for source in range(len(reads))], dtype=bool)
        live = _reaching_output(adjacency)
        names = (*labels, OUTPUT)
        return Graph(tuple(names[place] for place in live), adjacency[np.ix_(live, live)])


def graph_form(conditions: Conditions, traces: Sequence[Trace]) -> GraphForm:
    """Return how the modules of a space become graphs.

    Args:
        conditions: The choices of the space.
        traces: Traced modules of a sample of architectures; none if they cannot be traced.
    """
    labels = sum(len(choice.words) for choice in conditions.choices)
    if not traces:
        return GraphForm(conditions, frozenset(), frozenset(), frozenset(), 1, (), labels <= _MOST_LABELS)
    copies = _copies(traces)
    rows = [[place for place in _places(each, copies) if place is not None] for each in traces]
    kept = _varying(rows)
    sizes: dict[str, set[int]] = {}
    for row in rows:
        for place in row:
            if place.by_choice or place.full in kept:
                sizes.setdefault(place.name, set()).add(_bucket(place.params, 1))
    sized = frozenset(name for name, found in sizes.items() if len(found) > 1)
    coarse = 1
    while True:
        names = {_labelled(name, 2**size, sized, coarse) for name, found in sizes.items() for size in found}
        if len(names) <= _MOST_LABELS // 2 or coarse > 32:
            break
        coarse *= 2
    network = tuple(sorted(names))[: _MOST_LABELS // 2]
    by_name = labels + len(network) + 1 <= _MOST_LABELS
    return GraphForm(conditions, copies, kept, sized, coarse, (*network, OTHER), by_name)


def _varying(rows: Sequence[Sequence[_Place]]) -> frozenset[str]:
    """Return the steps that are not the same in all traced modules: they are missing in some, or their weights differ in size."""
    scopes: dict[str, set[int]] = {}
    params: dict[str, dict[int, int]] = {}
    named: dict[str, _Place] = {}
    for row, places in enumerate(rows):
        for place in places:
            scopes.setdefault(place.scope, set()).add(row)
            if not place.by_choice:
                params.setdefault(place.full, {})[row] = place.params
                named.setdefault(place.full, place)
    varying = {}
    for full, found in params.items():
        place = named[full]
        missing = found.keys() < scopes[place.scope]
        if missing or (len(set(found.values())) > 1 and not _LIGHT.search(place.name)):
            varying[full] = tuple(found.get(row) for row in range(len(rows)))
    present = {full: tuple(each is None for each in sizes) for full, sizes in varying.items()}
    weighted = {present[full] for full in varying if not _LIGHT.search(named[full].name)}
    for full in list(varying):  # what normalises or bends the output of a layer comes and goes with it
        if _LIGHT.search(named[full].name) and present[full] in weighted:
            del varying[full]
    # Steps that join several inputs come and go with these; they are nodes where one joins in different ways.
    joining = {place.name for full, place in named.items() if full in varying and place.name in _JOINING}
    kept = [full for full in varying if named[full].name not in _JOINING or len(joining) > 1]
    if len(kept) > _MOST_NODES:  # of steps that vary together, the first tells all
        patterns: dict[tuple[int, ...], str] = {}
        for full in kept:
            order: dict[int | None, int] = {}
            patterns.setdefault(tuple(order.setdefault(each, len(order)) for each in varying[full]), full)
        kept = list(patterns.values())[:_MOST_NODES]
    return frozenset(kept)


def _copies(traces: Sequence[Trace]) -> frozenset[str]:
    """Return the paths of modules that have the structure of an earlier one in all traced modules, and vary together with it."""
    patterns: dict[str, tuple[list[object], list[int]]] = {}  # for each path, its structure and the number of its form, by row
    numbers: dict[str, dict[object, int]] = {}
    for row, trace in enumerate(traces):
        parts: dict[str, list[tuple[str, str, int]]] = {}
        for node in trace.nodes:
            place = len(node.path)
            while (place := node.path.rfind(".", 0, place)) > 0:
                parts.setdefault(node.path[:place], []).append((node.path[place:], node.name, node.params))
        for path, steps in parts.items():
            structure, forms = patterns.setdefault(path, ([None] * len(traces), [-1] * len(traces)))
            structure[row] = tuple([(inner, name) for inner, name, _ in steps])
            forms[row] = numbers.setdefault(path, {}).setdefault(tuple(steps), len(numbers[path]))
    first: dict[object, str] = {}
    copies: set[str] = set()
    for path, (structure, forms) in patterns.items():
        if len(set(forms)) > 1 and not any(path.startswith(f"{copy}.") for copy in copies):
            lead = first.setdefault((tuple(structure), tuple(forms)), path)
            if lead != path and not path.startswith(f"{lead}."):
                copies.add(path)
    return frozenset(copies)


def _within(path: str, copies: frozenset[str]) -> bool:
    place = len(path)
    while place > 0:
        if path[:place] in copies:
            return True
        place = path.rfind(".", 0, place)
    return False


def _places(trace: Trace, copies: frozenset[str]) -> list[_Place | None]:
    """Return for each step what it stands for, or None if it never becomes a node."""
    sizes = Counter[int]()
    for node in trace.nodes:
        sizes[node.group] += node.params
    seen = Counter[str]()
    found: list[_Place | None] = []
    for node in trace.nodes:
        mark = trace.groups[node.group] if node.group >= 0 else None
        again = (mark is not None and mark.again) or _within(node.path, copies)
        if again or node.kind not in ("layer", "function") or node.name == "output":
            found.append(None)
            continue
        scope = "" if mark is None else f"{mark.choice}={mark.word}"
        if mark is not None and not mark.has_choices:
            found.append(_Place(scope, "", mark.word, sizes[node.group], by_choice=True))
            continue
        identity = f"{_NUMBERS.sub('#', node.path)}:{node.name}"
        seen[scope + identity] += 1
        place = _Place(scope, f"{identity}:{seen[scope + identity]}", node.name, node.params, function=node.kind == "function")
        found.append(place)
    return found


def _bucket(params: int, coarse: int) -> int:
    return round(math.log2(params + 1) / coarse) if params else -1


def _labelled(name: str, params: int, sized: frozenset[str], coarse: int) -> str:
    if name not in sized or coarse > 16:
        return name
    return f"{name} 2^{_bucket(params, coarse) * coarse}" if params else name


def _nearest(label: str, known: set[str]) -> str:
    """Return a label that is known: the one of this name with the nearest size, or `other`."""
    if label in known:
        return label
    name, _, size = label.partition(" 2^")
    sizes = {int(each.partition(" 2^")[2] or 0): each for each in known if each.partition(" 2^")[0] == name}
    return sizes[min(sizes, key=lambda each: abs(each - int(size or 0)))] if sizes else OTHER


def _reaching_output(adjacency: np.ndarray) -> list[int]:
    """Return the nodes from which the last one is reached, and the first one."""
    size = len(adjacency)
    needed = {0, size - 1}
    for node in range(size - 1, -1, -1):
        if node in needed:
            needed.update(np.flatnonzero(adjacency[:, node]).tolist())
    return sorted(needed)
