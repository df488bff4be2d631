"""Constructors that differ only in numbers, and the functions that replace them with these numbers as parameters."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from archsearch.spaces.source_code.operators import CHAIN, Argument, Call, describe

_WIDTH = 90  # of a constructor; an assignment stands before it
_WIDTHS = {"in_channels", "out_channels", "channels", "num_features", "groups", "in_features", "out_features"}
_Path = tuple[str | int, ...]


class Pattern:
    """Constructors that differ only in numbers.

    Numbers that are equal in all constructors are written as they are. Numbers that vary become parameters; numbers of one kind
    that vary together share a parameter.

    Args:
        calls: Constructors of the same `shape`.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self.example = calls[0]
        holes = [_holes(call) for call in calls]
        columns = {path: tuple(found[path] for found in holes) for path in holes[0]}
        groups: dict[Hashable, list[_Path]] = {}
        for path, column in columns.items():
            if len(set(column)) > 1:
                groups.setdefault((_kind(path), column), []).append(path)
        self.names: dict[_Path, str] = {}
        self.values: dict[str, tuple[int, ...]] = {}
        for (_, column), paths in groups.items():  # type: ignore[misc]
            name = _unique(_parameter_name({_field(path) for path in paths}), self.values)
            self.values[name] = column
            self.names |= dict.fromkeys(paths, name)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(self.values)

    def use(self, function: str, index: int) -> Call:
        """Return the call of a function of this pattern that is equivalent to the constructor at `index`."""
        return Call(function, tuple(Argument(name, column[index]) for name, column in self.values.items()))

    def text(self, path: _Path = (), indent: str = "") -> str:
        """Return the source of the first constructor, or of its part at a path, with parameters in place of numbers."""
        call = self.example
        for name in path:
            call = next(argument.value for argument in call.arguments if argument.name == name)  # type: ignore[assignment]
        return render(call, self.names, indent, path)

    @property
    def signature(self) -> str:
        """The parameters with their types, as in a function definition."""
        return ", ".join(f"{name}: int" for name in self.parameters)


def shape(call: Call) -> Hashable:
    """Return a value that is equal for constructors that differ only in numbers."""
    return (call.function, tuple((argument.name, _shape(argument)) for argument in call.arguments))


def _shape(argument: Argument) -> Hashable:
    value = argument.value
    if isinstance(value, Call):
        return shape(value)
    return value if isinstance(value, bool) else len(value) if isinstance(value, tuple) else "number"


def render(call: Call, names: Mapping[_Path, str] | None = None, indent: str = "", path: _Path = ()) -> str:
    """Return the source of a constructor.

    Args:
        call: The constructor.
        names: Variables that replace numbers, by their path in the outermost constructor.
        indent: Indentation of the first line; a line that is too long is broken at the arguments.
        path: Path of `call` in the outermost constructor.
    """
    inner = f"{indent}    "
    texts = []
    for argument in call.arguments:
        text = _value(argument, names or {}, inner, (*path, argument.name))
        if text is not None:
            texts.append(f"{argument.name}={text}" if argument.by_name else text)
    flat = f"{call.function}({', '.join(texts)})"
    if (len(indent) + len(flat) <= _WIDTH and "\n" not in flat) or not texts:
        return flat
    lines = ",\n".join(f"{inner}{text}" for text in texts)
    return f"{call.function}(\n{lines},\n{indent})"


def _value(argument: Argument, names: Mapping[_Path, str], indent: str, path: _Path) -> str | None:
    """Return the source of an argument, or None if it has its default value."""
    value = argument.value
    if isinstance(value, Call):
        return render(value, names, indent, path)
    if isinstance(value, tuple):
        return f"({', '.join(names.get((*path, place), str(number)) for place, number in enumerate(value))})"
    name = names.get(path)
    if name is None and argument.default is not None and value == argument.default:
        return None
    return name or str(value)


@dataclass(frozen=True)
class Functions:
    """Functions of a file for chains that occur more than once.

    Args:
        calls: The constructors given, with chains replaced by calls of these functions.
        sources: Source of each function by name; functions that others use come first.
        primitives: Names of all other functions that they use.
    """

    calls: tuple[Call, ...]
    sources: Mapping[str, str]
    primitives: frozenset[str]


def named_chains(calls: Sequence[Call], taken: Sequence[str] = ()) -> Functions:
    """Return functions for the chains that occur more than once, innermost first.

    Args:
        calls: Constructors of a network.
        taken: Names that must not be used.
    """
    current, sources, words, used = list(calls), dict[str, str](), dict[str, str](), set[str]()
    done: set[Hashable] = set()
    while True:
        chains: dict[Hashable, list[Call]] = {}
        for call in current:
            for chain in _innermost(call, done):
                chains.setdefault(shape(chain), []).append(chain)
        if not chains:
            return Functions(tuple(current), sources, frozenset(used))
        replaced: dict[Call, Call] = {}
        for form, found in chains.items():
            done.add(form)
            distinct = list(dict.fromkeys(found))
            if len(found) > 1:
                pattern = Pattern(distinct)
                name = _unique(_function_name(distinct[0]), {*sources, *taken})
                words[name] = describe(pattern.example, words)
                sources[name] = _function(name, pattern, words[name])
                used |= set(distinct[0].functions())
                replaced |= {call: pattern.use(name, index) for index, call in enumerate(distinct)}
        current = [_replaced(call, replaced) for call in current]


def _function(name: str, pattern: Pattern, words: str) -> str:
    document = textwrap.shorten(f"Return {words}", _WIDTH, placeholder=" ...") + "."
    head = f'def {name}({pattern.signature}) -> nn.Module:\n    """{document}"""'
    return f"{head}\n    return {pattern.text(indent='    ')}\n"


def _innermost(call: Call, done: set[Hashable]) -> list[Call]:
    """Return the innermost chains that are not done yet."""
    inside = [
        found for argument in call.arguments if isinstance(argument.value, Call) for found in _innermost(argument.value, done)
    ]
    return inside or ([call] if call.function == CHAIN and shape(call) not in done else [])


def _replaced(call: Call, replaced: Mapping[Call, Call]) -> Call:
    if call in replaced:
        return replaced[call]
    arguments = (
        Argument(item.name, _replaced(item.value, replaced), item.default, item.by_name) if isinstance(item.value, Call) else item
        for item in call.arguments
    )
    return Call(call.function, tuple(arguments))


def _holes(call: Call, path: _Path = ()) -> dict[_Path, int]:
    """Return the numbers in a constructor by their path."""
    found: dict[_Path, int] = {}
    for argument in call.arguments:
        place, value = (*path, argument.name), argument.value
        if isinstance(value, Call):
            found |= _holes(value, place)
        elif isinstance(value, tuple):
            found |= {(*place, index): number for index, number in enumerate(value)}
        elif not isinstance(value, bool):
            found[place] = value
    return found


def _field(path: _Path) -> str:
    """Return the name of the argument that holds a number."""
    return next(str(name) for name in reversed(path) if isinstance(name, str))


def _kind(path: _Path) -> str:
    field = re.sub(r"_\d+$", "", _field(path))
    return "width" if field in _WIDTHS or field.endswith("channels") else field


def _parameter_name(fields: set[str]) -> str:
    if len(fields) == 1:
        return {"num_features": "channels", "groups": "channels"}.get(next(iter(fields)), next(iter(fields)))
    if {"in_channels", "out_channels"} <= fields or "channels" in fields:
        return "channels"
    named = [name for name in ("in_channels", "out_channels", "in_features", "out_features") if name in fields]
    return named[0] if named else min(fields)


def _function_name(call: Call) -> str:
    """Return a name made of the names of the links, such as `relu_conv_bn`; a sequence that occurs twice is named once."""
    tokens = []
    for argument in call.arguments:
        inner = argument.value.function if isinstance(argument.value, Call) else CHAIN
        named = re.sub(r"(_[a-z]|\d+)$", "", argument.name)
        # For a link with a one-letter name, the name of its function is more informative.
        tokens.append(named if inner == CHAIN or len(named) > 1 else inner.removeprefix("nn."))
    half = len(tokens) // 2
    if half and tokens[:half] == tokens[half:]:
        return f"twice_{'_'.join(tokens[:half])}"
    return "_".join(tokens)


def _unique(name: str, taken: Container[str]) -> str:
    """Return the name, with the first free number appended if it is taken."""
    return next(text for number in count(1) if (text := name if number == 1 else f"{name}_{number}") not in taken)
