"""The choices in a function that builds a module: what a user calls, and the record of one run of the function."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import nn

from archsearch.errors import ConfigurationError, check_kind, wrong_kind

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MOST_SUBSETS = 4096
_PLAIN = (str, int, float, bool, type(None))

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice, as `build` asks it.

    Args:
        name: Its full name; names asked in an alternative of a layer, or in an item of a repetition, begin with that.
        kind: The method of `Choose` that asks it.
        words: Its alternatives as they are written in the text of an architecture.
        values: Its alternatives as `param_space` gives them: plain values.
        parent: The choice in whose alternative it is asked; None at the top.
        opened_by: The alternatives of the parent in which it is asked.
    """

    name: str
    kind: str
    words: tuple[str, ...]
    values: tuple[Any, ...]
    parent: str | None = None
    opened_by: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Mark:
    """Which choice made a module.

    Args:
        choice: Name of the choice.
        word: The alternative, or the type of a repeated module.
        has_choices: Whether further choices were asked while the module was made.
        again: Whether the choice, asked with `shared=True`, had already made a module elsewhere.
    """

    choice: str
    word: str
    has_choices: bool
    again: bool


Answer = Callable[[Choice], int]
"""Function from a choice to the number of the alternative that is taken."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where `build` is at present: within which alternative of which choice."""

    prefix: str = ""
    parent: str | None = None
    opened_by: frozenset[int] = frozenset()
    repeated: bool = False


@dataclass
class Choose:
    """The choices of an architecture: `build(choose)` calls the methods below and gets what was chosen.

    Choices may depend on earlier answers; those that are not asked do not exist for the architecture. Names consist of letters,
    digits, `_` and `-`. A name stands for one choice: asking it twice is an error, so that a loop does not tie its choices by
    mistake. `shared=True` asks it again on purpose, in each place, with the same answer. A choice with one alternative is none.

    Within an alternative of `layer`, and within an item of `repeat`, names are local: `kernel` in the alternative `conv` of `op`
    is called `op.conv.kernel`, in the third item of `depth` it is `depth.2.kernel`.

    Attributes:
        asked: The choices asked so far, with the number of the alternative that was taken.
        marks: The modules that `layer` and `repeat` made, and how.

    Example:
        >>> from torch import nn
        >>> from archsearch.spaces.module import Choose
        >>> choose = Choose(lambda choice: 0)  # always the first alternative
        >>> choose.one("width", [16, 32]), choose.layer("op", {"conv": lambda: nn.Conv2d(3, 3, 1), "skip": nn.Identity})
        (16, Conv2d(3, 3, kernel_size=(1, 1), stride=(1, 1)))
        >>> choose.subset("inputs", ["a", "b", "c"], least=2), choose.repeat("depth", 2, 4, lambda i: f"layer {i}")
        (['a', 'b'], ['layer 0', 'layer 1'])
        >>> [choice.name for choice, _ in choose.asked]
        ['width', 'op', 'inputs', 'depth']
    """

    answer: Answer
    asked: list[tuple[Choice, int]] = field(default_factory=list)
    marks: list[tuple[nn.Module, Mark]] = field(default_factory=list)
    _scope: _Scope = _Scope()
    _known: dict[str, tuple[Choice, int, bool]] = field(default_factory=dict)
    _made: set[tuple[str, str]] = field(default_factory=set)

    def one(self, name: str, alternatives: Sequence[Any] | Mapping[str, Any], *, shared: bool = False) -> Any:
        """Return one of several values.

        Args:
            name: Name of the choice.
            alternatives: Numbers, strings, bools or None; or a mapping from names to values of any kind.
            shared: Whether the name may be asked in several places, for the same answer in each.

        Raises:
            ConfigurationError: The name is taken, or the alternatives are none, or two are written as the same word.
        """
        if isinstance(alternatives, Mapping):
            words = self._names(name, alternatives)
            return list(alternatives.values())[self._ask(name, "one", words, words, shared)]
        values = _listed(name, alternatives)
        for value in values:
            if not isinstance(value, _PLAIN):
                raise ConfigurationError(
                    wrong_kind(
                        f"choose.one({name!r})", "numbers, strings, bools or None, or a mapping from names to values", value
                    )
                )
        return values[self._ask(name, "one", tuple(map(_word, values)), values, shared)]

    def layer(
        self, name: str, alternatives: Mapping[str, Callable[[], nn.Module] | nn.Module | None], *, shared: bool = False
    ) -> Any:
        """Return the layer of one of several alternatives; the others are not made.

        Args:
            name: Name of the choice.
            alternatives: For each name a function without arguments that returns a module, a module, or None for no layer.
            shared: Whether the name may be asked in several places, for the same answer, and a layer of its own, in each.

        Raises:
            ConfigurationError: As for `one`; or the function of the alternative returns no module.
        """
        check_kind(f"choose.layer({name!r})", alternatives, Mapping, "a mapping from names to functions that return a module")
        words = self._names(name, alternatives)
        number = self._ask(name, "layer", words, words, shared)
        make, full = alternatives[words[number]], self._scope.prefix + name
        before = len(self.asked)
        with self._inside(f"{name}.{words[number]}", full if len(words) > 1 else None, frozenset({number})):
            layer = make() if callable(make) and not isinstance(make, nn.Module) else make
        if layer is not None and not isinstance(layer, nn.Module):
            raise ConfigurationError(
                wrong_kind(f"choose.layer({name!r})[{words[number]!r}]", "a function that returns a module", layer)
            )
        if layer is not None and len(words) > 1:
            self._mark(layer, full, words[number], len(self.asked) > before)
        return layer

    def repeat(self, name: str, least: int, most: int, make: Callable[[int], Item], *, shared: bool = False) -> list[Item]:
        """Return `make(0)`, `make(1)`, ... as a list, as often as is chosen.

        Args:
            name: Name of the choice.
            least: Smallest number of items.
            most: Largest number of items.
            make: Function of the number of an item, from 0; usually it returns a module.
            shared: Whether the name may be asked in several places, for the same answer in each.

        Raises:
            ConfigurationError: As for `one`; or the numbers are no range.
        """
        for label, value in (("least", least), ("most", most)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0 or most < least:
                raise ConfigurationError(
                    f"choose.repeat({name!r}): expected whole numbers 0 <= least <= most; got {label}={value!r}, with "
                    f"least={least!r} and most={most!r}."
                )
        counts = tuple(range(least, most + 1))
        count = counts[self._ask(name, "repeat", tuple(map(str, counts)), counts, shared)]
        full, items = self._scope.prefix + name, []
        for place in range(count):
            before = len(self.asked)
            optional = len(counts) > 1 and place >= least
            open_for = frozenset(number for number, value in enumerate(counts) if value > place)
            with self._inside(f"{name}.{place}", full if optional else None, open_for):
                item = make(place)
            items.append(item)
            if isinstance(item, nn.Module) and len(counts) > 1:
                self._mark(item, f"{full}.{place}", type(item).__name__, len(self.asked) > before)
        return items

    def subset(
        self,
        name: str,
        options: Sequence[Any] | Mapping[str, Any],
        least: int = 1,
        most: int | None = None,
        *,
        shared: bool = False,
    ) -> list[Any]:
        """Return some of several values, in their order.

        Args:
            name: Name of the choice.
            options: Numbers or strings; or a mapping from names to values of any kind.
            least: Smallest number of them.
            most: Largest number of them; None is all.
            shared: Whether the name may be asked in several places, for the same answer in each.

        Raises:
            ConfigurationError: As for `one`; or the numbers are no range, or there are more than 4,096 subsets.
        """
        values = list(options.values()) if isinstance(options, Mapping) else list(_listed(name, options))
        words = self._names(name, options if isinstance(options, Mapping) else dict.fromkeys(map(str, values)))
        most = len(words) if most is None else most
        if len(words) != len(values):
            raise ConfigurationError(f"choose.subset({name!r}): expected options with different names; got {values}.")
        if not all(isinstance(n, int) and not isinstance(n, bool) for n in (least, most)) or not 0 <= least <= most <= len(words):
            raise ConfigurationError(
                f"choose.subset({name!r}): expected whole numbers 0 <= least <= most <= {len(words)}, the number of options; got "
                f"least={least!r}, most={most!r}."
            )
        subsets = list(_subsets(len(words), least, most))
        if len(subsets) > _MOST_SUBSETS:
            raise ConfigurationError(
                f"choose.subset({name!r}): expected at most {_MOST_SUBSETS:,} subsets; got more with {len(words)} options. "
                "Lower `most`, or ask choose.one(name, [False, True]) for each option."
            )
        texts = tuple("+".join(words[place] for place in places) or "-" for places in subsets)
        return [values[place] for place in subsets[self._ask(name, "subset", texts, texts, shared)]]

    def _ask(self, name: str, kind: str, words: tuple[str, ...], values: tuple[Any, ...], shared: bool) -> int:
        check_kind(f"choose.{kind}", name, str, "the name of the choice first")
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"choose.{kind}: expected a name of letters, digits, _ and -; got {name!r}. Names within an "
                "alternative or an item are local already."
            )
        if len(set(words)) < len(words) or "" in words:
            raise ConfigurationError(
                f"choose.{kind}({name!r}): expected alternatives that are written as different words; got {values}."
            )
        full = self._scope.prefix + name
        choice = Choice(full, kind, words, values, self._scope.parent, self._scope.opened_by)
        if full in self._known:
            known, number, was_shared = self._known[full]
            if not (shared and was_shared) and not self._scope.repeated:
                raise ConfigurationError(
                    f"choose.{kind}({name!r}): the name {full!r} is taken. In a loop number it, such as {name}0, {name}1; "
                    "to use one answer in several places, ask with shared=True in each."
                )
            if known != choice:
                raise ConfigurationError(
                    f"choose.{kind}({name!r}): expected the alternatives of the first place, {list(known.words)}; "
                    f"got {list(words)}."
                )
            return number
        number = self.answer(choice) if len(words) > 1 else 0
        self._known[full] = choice, number, shared
        if len(words) > 1:
            self.asked.append((choice, number))
        return number

    @contextmanager
    def _inside(self, part: str, parent: str | None, opened_by: frozenset[int]) -> Iterator[None]:
        outer = self._scope
        again = (outer.prefix + part, "") in self._made
        self._made.add((outer.prefix + part, ""))
        condition = (parent, opened_by) if parent is not None else (outer.parent, outer.opened_by)
        self._scope = _Scope(f"{outer.prefix}{part}.", *condition, repeated=outer.repeated or again)
        try:
            yield
        finally:
            self._scope = outer

    def _mark(self, module: nn.Module, choice: str, word: str, has_choices: bool) -> None:
        again = (choice, word) in self._made
        self._made.add((choice, word))
        self.marks.append((module, Mark(choice, word, has_choices, again)))

    def _names(self, name: str, alternatives: Mapping[str, Any]) -> tuple[str, ...]:
        if not alternatives:
            raise ConfigurationError(f"choose: expected at least one alternative for {name!r}; got none.")
        for word in alternatives:
            if not isinstance(word, str) or not _NAME.fullmatch(word.replace(".", "")) or word == "-":
                raise ConfigurationError(
                    f"choose: expected names of letters, digits, _, - and . for the alternatives of {name!r}; got {word!r}."
                )
        return tuple(alternatives)


def _listed(name: str, alternatives: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(alternatives, str) or not isinstance(alternatives, Sequence | range):
        raise ConfigurationError(wrong_kind(f"choose: alternatives of {name!r}", "a list", alternatives))
    if not alternatives:
        raise ConfigurationError(f"choose: expected at least one alternative for {name!r}; got none.")
    return tuple(alternatives)


def _word(value: object) -> str:
    """Return a value as one word."""
    return "".join(str(value).split())


def _subsets(size: int, least: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yield the subsets of `range(size)` with at least `least` and at most `most` members, the smallest first."""
    found = itertools.chain.from_iterable(itertools.combinations(range(size), count) for count in range(least, most + 1))
    return itertools.islice(found, _MOST_SUBSETS + 1)
