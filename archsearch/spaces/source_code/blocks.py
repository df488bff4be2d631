"""Selection of the steps of a network that are written as a class: consecutive steps with a common prefix that repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from archsearch.spaces.source_code.operators import Argument, Call
from archsearch.spaces.source_code.patterns import Pattern, shape

_DEPTHS = (1, 2, 3)


@dataclass(frozen=True)
class Line:
    """One step of a network to be written as a line of source.

    Args:
        name: Name of the step; steps of the same name share a module.
        slot: Slot that it writes.
        inputs: Slots that it reads.
        call: Constructor of its module, or None if it needs no module.
        write: Function from variable names to the expression that applies the step; None if its module is called.
        kind: Class name of its operator.
    """

    name: str
    slot: int
    inputs: tuple[int, ...]
    call: Call | None
    write: Callable[[list[str]], str] | None
    kind: str


@dataclass(frozen=True)
class Block:
    """Consecutive steps with a common prefix.

    Args:
        name: The prefix.
        lines: The steps.
        inputs: Slots outside the block that they read, in the order of first use.
        outputs: Slots that they write and other steps read, in order.
    """

    name: str
    lines: tuple[Line, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def form(self) -> Hashable:
        """A value that is equal for blocks that can share a class."""
        place = {line.slot: ("step", index) for index, line in enumerate(self.lines)}
        place |= {slot: ("input", index) for index, slot in enumerate(self.inputs)}
        rows = (
            (relative(self, line.name), line.kind, line.call and shape(line.call), tuple(place[slot] for slot in line.inputs))
            for line in self.lines
        )
        return (re.sub(r"\d+", "", self.name), tuple(rows), tuple(place[slot] for slot in self.outputs))

    @property
    def constructor(self) -> Call:
        """All modules of the block as one constructor; the blocks of a class differ only in its numbers."""
        calls = {relative(self, line.name): line.call for line in self.lines if line.call is not None}
        return Call(self.name, tuple(Argument(name, call, by_name=True) for name, call in calls.items()))


@dataclass(frozen=True)
class BlockClass:
    """A class of which several blocks are instances.

    Args:
        name: Name of the class.
        blocks: Its instances.
        pattern: Their constructors with the differing numbers as parameters.
    """

    name: str
    blocks: tuple[Block, ...]
    pattern: Pattern

    def instances(self) -> dict[str, Call]:
        """Return the constructor of each block by its name."""
        return {block.name: self.pattern.use(self.name, index) for index, block in enumerate(self.blocks)}


def relative(block: Block, name: str) -> str:
    """Return the name of a step within its block."""
    return name.removeprefix(block.name).lstrip("_") or "output"


def block_classes(lines: Sequence[Line], outputs: Sequence[int]) -> list[BlockClass]:
    """Return the classes that give the shortest source.

    A prefix consists of leading parts of a name that end in a number, such as `stage0_cell1` of `stage0_cell1_edge01`; one to
    three parts are tried. Steps of one prefix that are not consecutive form no block, and a block that occurs only once forms no
    class.
    """
    best: list[BlockClass] = []
    least = len(lines)
    for depth in _DEPTHS:
        classes = _classes(_blocks(lines, outputs, depth))
        length = len(lines) - sum(len(block.lines) - 1 for found in classes for block in found.blocks)
        length += sum(len(found.blocks[0].lines) + 2 for found in classes)
        if length < least:
            best, least = classes, length
    return best


def _classes(blocks: Sequence[Block]) -> list[BlockClass]:
    forms: dict[Hashable, list[Block]] = {}
    for block in blocks:
        forms.setdefault(block.form, []).append(block)
    repeated = [found for found in forms.values() if len(found) > 1 and len(found[0].lines) > 1]
    stems = [_class_name(found[0].name) for found in repeated]
    return [
        BlockClass(stem + _letter(stems, index), tuple(found), Pattern([block.constructor for block in found]))
        for index, (stem, found) in enumerate(zip(stems, repeated, strict=True))
    ]


def _blocks(lines: Sequence[Line], outputs: Sequence[int], depth: int) -> list[Block]:
    runs: list[tuple[str, list[Line]]] = []
    for line in lines:
        prefix = _prefix(line.name, depth)
        if not runs or runs[-1][0] != prefix:
            runs.append((prefix, []))
        runs[-1][1].append(line)
    names = [prefix for prefix, _ in runs]
    readers = _readers(lines, outputs)
    return [_block(name, found, readers) for name, found in runs if name and names.count(name) == 1]


def _block(name: str, lines: Sequence[Line], readers: Mapping[int, Sequence[int]]) -> Block:
    own = {line.slot for line in lines}
    inputs = dict.fromkeys(slot for line in lines for slot in line.inputs if slot not in own)
    outputs = (slot for slot in own if any(reader not in own for reader in readers[slot]))
    return Block(name, tuple(lines), tuple(inputs), tuple(sorted(outputs)))


def _readers(lines: Sequence[Line], outputs: Sequence[int]) -> dict[int, list[int]]:
    """Return the slots computed from each slot; -1 marks an output of the network."""
    readers: dict[int, list[int]] = {line.slot: [] for line in lines}
    for line in lines:
        for slot in line.inputs:
            readers.setdefault(slot, []).append(line.slot)
    for slot in outputs:
        readers.setdefault(slot, []).append(-1)
    return readers


def _prefix(name: str, depth: int) -> str:
    """Return up to `depth` leading parts of a name that end in a number, without the last part if there are several."""
    parts = name.split("_")
    numbered = 0
    while numbered < min(depth, len(parts)) and re.fullmatch(r"[A-Za-z]+\d+", parts[numbered]):
        numbered += 1
    return "_".join(parts[: min(numbered, max(1, len(parts) - 1))])


def _class_name(prefix: str) -> str:
    return "".join(part.capitalize() for part in re.sub(r"\d+", "", prefix).split("_")) + "Block"


def _letter(stems: Sequence[str], index: int) -> str:
    """Return the suffix that makes the name of a class unique: empty, A to Z, then numbers."""
    if stems.count(stems[index]) == 1:
        return ""
    place = stems[:index].count(stems[index])
    return chr(ord("A") + place) if place < 26 else str(place + 1)
