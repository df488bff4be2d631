"""Choices of a space, each with the answers to earlier ones under which it is asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archsearch.spaces.module.choose import Choice

Answers = dict[str, int]
"""The number of the alternative taken, for each choice that is asked, in the order of the space."""

_ENUMERABLE = 20_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A decision tree that tells from earlier answers whether a choice is asked.

    Args:
        asked: What a leaf says, and what an inner node says of answers that it has not seen.
        choice: The choice whose answer decides; None in a leaf.
        branches: The subtree for each answer; -1 stands for a choice that is not asked.
    """

    asked: bool
    choice: str | None = None
    branches: tuple[tuple[int, Rule], ...] = ()

    def applies(self, answers: Mapping[str, int]) -> bool:
        """Return whether the choice is asked after these answers."""
        if self.choice is None:
            return self.asked
        number = answers.get(self.choice, -1)
        return next((rule.applies(answers) for value, rule in self.branches if value == number), self.asked)

    def choices(self) -> set[str]:
        """Return the names of the choices that decide."""
        below = set().union(*(rule.choices() for _, rule in self.branches)) if self.branches else set()
        return below if self.choice is None else below | {self.choice}


@dataclass(frozen=True)
class Conditions:
    """The choices of a space, in an order in which each comes after those that decide whether it is asked.

    A choice within an alternative of a layer, or within an item of a repetition, is asked if its parent has that alternative.
    For choices that depend on answers in other ways, such as by an `if` in `build`, a rule is learnt from many runs of it.

    Args:
        choices: The choices.
        rules: The rules, of the choices that need one.
    """

    choices: tuple[Choice, ...]
    rules: Mapping[str, Rule]

    @cached_property
    def by_name(self) -> dict[str, Choice]:
        """The choices by name."""
        return {choice.name: choice for choice in self.choices}

    def is_asked(self, choice: Choice, answers: Mapping[str, int]) -> bool:
        """Return whether a choice is asked after these answers to earlier ones."""
        if choice.parent is not None and answers.get(choice.parent, -1) not in choice.opened_by:
            return False
        rule = self.rules.get(choice.name)
        return rule is None or rule.applies(answers)

    def answered(self, answer: Callable[[Choice], int]) -> Answers:
        """Return the answers that a function gives to the choices that are asked."""
        answers: Answers = {}
        for choice in self.choices:
            if self.is_asked(choice, answers):
                answers[choice.name] = answer(choice)
        return answers

    @cached_property
    def conditional(self) -> bool:
        """Whether some choices are not always asked."""
        return bool(self.rules) or any(choice.parent is not None for choice in self.choices)

    @cached_property
    def _size(self) -> tuple[int, bool]:
        deciding = set().union(*(rule.choices() for rule in self.rules.values())) if self.rules else set()
        for name in list(deciding):
            while (parent := self.by_name[name].parent) is not None:
                deciding.add(name := parent)
        if math.prod(len(self.by_name[name].words) for name in deciding) > _ENUMERABLE:
            return math.prod(len(choice.words) for choice in self.choices), False
        order = [choice for choice in self.choices if choice.name in deciding]
        return sum(self._number_given(answers) for answers in self._combinations(order)), True

    @property
    def size(self) -> int:
        """Number of architectures, or a bound on it; see `size_is_exact`."""
        return self._size[0]

    @property
    def size_is_exact(self) -> bool:
        """Whether `size` is exact; if the rules are too involved to count it is the product of all alternatives."""
        return self._size[1]

    def combinations(self) -> Iterator[Answers]:
        """Yield each architecture once."""
        return self._combinations(self.choices)

    def _combinations(self, choices: Sequence[Choice]) -> Iterator[Answers]:
        answers: Answers = {}

        def below(place: int) -> Iterator[Answers]:
            if place == len(choices):
                yield dict(answers)
                return
            choice = choices[place]
            if not self.is_asked(choice, answers):
                yield from below(place + 1)
                return
            for number in range(len(choice.words)):
                answers[choice.name] = number
                yield from below(place + 1)
            del answers[choice.name]

        return below(0)

    def _number_given(self, fixed: Answers) -> int:
        """Return the number of architectures with these answers to the choices that decide by rules."""
        children: dict[str | None, list[Choice]] = {}
        for choice in self.choices:
            children.setdefault(choice.parent, []).append(choice)

        def within(parent: str | None, number: int) -> int:
            product = 1
            for choice in children.get(parent, ()):
                if parent is not None and number not in choice.opened_by:
                    continue
                rule = self.rules.get(choice.name)
                if rule is not None and not rule.applies(fixed):
                    continue
                numbers = [fixed[choice.name]] if choice.name in fixed else range(len(choice.words))
                product *= sum(within(choice.name, each) for each in numbers)
            return product

        return within(None, -1)


def conditions_of(runs: Sequence[Sequence[tuple[Choice, int]]]) -> Conditions:
    """Return the choices that were asked in some runs of `build`, with the rules that explain when."""
    order = _order([[choice.name for choice, _ in asked] for asked in runs])
    choices = {choice.name: choice for asked in runs for choice, _ in asked}
    rows = [{choice.name: number for choice, number in asked} for asked in runs]
    rules = {}
    for place, name in enumerate(order):
        choice = choices[name]
        open_rows = [row for row in rows if choice.parent is None or row.get(choice.parent, -1) in choice.opened_by]
        labels = [name in row for row in open_rows]
        if not all(labels):
            rules[name] = _rule(open_rows, labels, order[:place])
    return Conditions(tuple(choices[name] for name in order), rules)


def _order(runs: Sequence[Sequence[str]]) -> list[str]:
    """Return the names in an order that agrees with the order in each run, as far as there is one."""
    first: dict[str, int] = {}
    before: dict[str, set[str]] = {}
    for names in runs:
        for place, name in enumerate(names):
            first.setdefault(name, len(first))
            before.setdefault(name, set()).update(names[max(0, place - 1) : place])
    order: list[str] = []
    left = sorted(first, key=first.__getitem__)
    done: set[str] = set()
    while left:
        found = next((name for name in left if before[name] <= done), left[0])
        order.append(found)
        done.add(found)
        left.remove(found)
    return order


def _rule(rows: Sequence[Mapping[str, int]], labels: Sequence[bool], features: Sequence[str]) -> Rule:
    """Return a decision tree, split by the feature that leaves the least uncertainty, the nearest one where several do."""
    usual = 2 * sum(labels) >= len(labels)
    if not features or len(set(labels)) < 2:
        return Rule(usual)
    best = min(reversed(features), key=lambda name: _entropy([row.get(name, -1) for row in rows], labels))
    values = sorted({row.get(best, -1) for row in rows})
    rest = [name for name in features if name != best]
    branches = []
    for value in values:
        chosen = [index for index, row in enumerate(rows) if row.get(best, -1) == value]
        branches.append((value, _rule([rows[index] for index in chosen], [labels[index] for index in chosen], rest)))
    return Rule(usual, best, tuple(branches))


def _entropy(values: Sequence[int], labels: Sequence[bool]) -> float:
    """Return the uncertainty about the labels that is left when the values are known, times the number of rows."""
    pairs, totals = Counter(zip(values, labels, strict=True)), Counter(values)
    return round(-sum(count * math.log(count / totals[value]) for (value, _), count in pairs.items()), 9)
