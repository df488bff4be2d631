"""Search spaces whose architectures are answers to choices: text, genotypes, parameters, sampling and mutation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from archsearch.errors import ArchitectureError, did_you_mean
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.module.choose import Choice
from archsearch.spaces.module.conditions import Answers, Conditions
from archsearch.spaces.space import Genotype, SearchSpace


class ChoiceSpace(SearchSpace):
    """A space whose architectures are the answers to choices, some of which are asked for some architectures only.

    The text names each choice that is asked with its alternative: `op=conv op.conv.kernel=3`.
    """

    names_genes = True

    @property
    @abstractmethod
    def _conditions(self) -> Conditions:
        """The choices, and when they are asked."""

    # Choices and text

    @property
    def constrained(self) -> bool:  # type: ignore[override]
        """Whether a mutation may change several genes: some choices depend on others, or layers can change places."""
        return self._conditions.conditional or bool(self._moves)

    @property
    def conditional(self) -> bool:
        """Whether some choices exist for some architectures only."""
        return self._conditions.conditional

    @property
    def choices(self) -> Mapping[str, Sequence[Any]]:
        """The alternatives of each choice, whether it is asked for an architecture or not."""
        return {choice.name: choice.values for choice in self._conditions.choices}

    @property
    def size(self) -> int:
        """Number of architectures, or a bound on it; see `size_is_exact`."""
        return self._conditions.size

    @property
    def size_is_exact(self) -> bool:
        """Whether `size` is exact; if choices depend on each other in too many ways to count, it is the product of all."""
        return self._conditions.size_is_exact

    def all_genotypes(self) -> Iterator[Genotype]:
        """Yield the genotype of each architecture once."""
        for answers in self._conditions.combinations():
            yield self._genotype(answers)

    def active(self, architecture: Architecture) -> dict[str, Any]:
        """Return the choices that are asked for an architecture, with their values, in the order of its text."""
        by_name = self._conditions.by_name
        return {name: by_name[name].values[number] for name, number in self._answers(architecture).items()}

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        """Return the architecture of a genotype; genes of choices that are not asked do not count, and are 0 in its own."""
        choices = self._conditions.choices
        genes = tuple(int(gene) for gene in genotype)
        if len(genes) != len(choices) or not all(0 <= gene < len(each.words) for gene, each in zip(genes, choices, strict=True)):
            sizes = [len(choice.words) for choice in choices]
            raise ArchitectureError(f"genotype: expected {len(choices)} indices below {sizes}, one for each choice; got {genes}.")
        given = {choice.name: gene for choice, gene in zip(choices, genes, strict=True)}
        return self._architecture(self._conditions.answered(lambda choice: given[choice.name]))

    def genotype(self, architecture: Architecture) -> Genotype:
        return self._genotype(self._answers(architecture))

    def _genotype(self, answers: Answers) -> Genotype:
        return tuple([answers.get(choice.name, 0) for choice in self._conditions.choices])

    def parse(self, text: str) -> Architecture:
        if not isinstance(text, str) or not text.split():
            raise ArchitectureError(f"text: expected choices such as {self._example!r}; got {text!r}.")
        given: dict[str, str] = {}
        for part in text.split():
            name, equals, word = part.partition("=")
            if not equals or name in given:
                raise ArchitectureError(f"text: expected one NAME=ALTERNATIVE for each choice; got {part!r} in {text!r}.")
            if name not in self._conditions.by_name:
                hint = did_you_mean(name, self._conditions.by_name)
                raise ArchitectureError(
                    f"text: {self.name} has no choice {name!r}.{hint} Its choices: {list(self._conditions.by_name)}."
                )
            given[name] = word

        def answer(choice: Choice) -> int:
            if choice.name not in given:
                raise ArchitectureError(
                    f"text: the choice {choice.name!r} is missing; give one of {list(choice.words)}. Got {text!r}."
                )
            word = given.pop(choice.name)
            if word not in choice.words:
                hint = did_you_mean(word, choice.words)
                raise ArchitectureError(f"text: expected one of {list(choice.words)} for {choice.name!r}; got {word!r}.{hint}")
            return choice.words.index(word)

        answers = self._conditions.answered(answer)
        if given:
            left = next(iter(given))
            raise ArchitectureError(f"text: the choice {left!r} is not asked with the other choices of {text!r}. Leave it out.")
        return self._architecture(answers)

    def _architecture(self, answers: Answers) -> Architecture:
        by_name = self._conditions.by_name
        return Architecture(
            self.name, " ".join([f"{name}={by_name[name].words[number]}" for name, number in answers.items()]), ()
        )

    def _answers(self, architecture: Architecture) -> Answers:
        places = self._places
        answers: Answers = {}
        try:
            for part in self._own(architecture).text.split(" "):
                name, _, word = part.partition("=")
                answers[name] = places[name][word]
        except KeyError:
            self.parse(architecture.text)  # raises the error that says what is wrong
            raise
        return answers

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        return {choice.name: {word: place for place, word in enumerate(choice.words)} for choice in self._conditions.choices}

    @cached_property
    def _example(self) -> str:
        return self._architecture(self._conditions.answered(lambda choice: 0)).text

    # Sampling and mutation

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return an architecture in which each choice that is asked has an alternative drawn uniformly."""
        return self._architecture(self._conditions.answered(lambda choice: int(rng.integers(len(choice.words)))))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a copy in which one choice that is asked has another alternative; choices that this opens are drawn uniformly.

        Where the items of a repetition have choices of their own, every fourth mutation moves one item to another place instead.
        """
        answers = self._answers(architecture)
        if self._moves and rng.integers(4) == 0 and (moved := self._moved(answers, rng)) is not None:
            return self._architecture(moved)
        by_name = self._conditions.by_name
        names = list(answers)
        name = names[int(rng.integers(len(names)))]
        size = len(by_name[name].words)
        changed = {**answers, name: (answers[name] + 1 + int(rng.integers(size - 1))) % size}
        return self._architecture(
            self._conditions.answered(
                lambda choice: changed[choice.name] if choice.name in changed else int(rng.integers(len(choice.words)))
            )
        )

    @cached_property
    def _moves(self) -> dict[str, list[str]]:
        """For each repetition whose items have choices of their own, the beginnings of the items' names."""
        found: dict[str, set[int]] = {}
        for choice in self._conditions.choices:
            parts = choice.name.split(".")
            for place in range(1, len(parts)):
                if parts[place].isdecimal():
                    found.setdefault(".".join(parts[:place]), set()).add(int(parts[place]))
        return {name: [f"{name}.{place}." for place in sorted(places)] for name, places in found.items() if len(places) > 1}

    def _moved(self, answers: Answers, rng: np.random.Generator) -> Answers | None:
        """Return answers in which one item of a repetition stands at another place, or None if no item can move."""
        movable = []
        for prefixes in self._moves.values():
            items = [{n[len(prefix) :]: a for n, a in answers.items() if n.startswith(prefix)} for prefix in prefixes]
            there = [place for place, item in enumerate(items) if item]
            if len(there) > 1 and any(items[place] != items[there[0]] for place in there[1:]):
                movable.append((prefixes, items, there))
        if not movable:
            return None
        prefixes, items, there = movable[int(rng.integers(len(movable)))]
        start = int(rng.integers(len(there)))
        end = (start + 1 + int(rng.integers(len(there) - 1))) % len(there)
        order = [place for place in there if place != there[start]]
        order.insert(end, there[start])
        given = dict(answers)
        for place in there:
            for name in items[place]:
                given.pop(prefixes[place] + name)
        for place, origin in zip(there, order, strict=True):
            given.update({prefixes[place] + name: number for name, number in items[origin].items()})
        by_name = self._conditions.by_name
        if any(name not in by_name or number >= len(by_name[name].words) for name, number in given.items()):
            return None
        moved = self._conditions.answered(lambda choice: given.get(choice.name, 0))
        return moved if moved != answers else None

    # Parameters

    def from_params(self, params: Mapping[str, Any]) -> Architecture:
        """Return the architecture with these alternatives; those of choices that are not asked do not count, and may be missing.

        Raises:
            ArchitectureError: A choice is unknown, one that is asked is missing, or its value is not among the alternatives.
        """
        by_name = self._conditions.by_name
        for name, value in params.items():
            if name not in by_name:
                raise ArchitectureError(
                    f"params: {self.name} has no choice {name!r}.{did_you_mean(str(name), by_name)} Its choices: {list(by_name)}."
                )
            if _place(by_name[name], value) is None:
                raise ArchitectureError(f"params[{name!r}]: expected one of {list(by_name[name].values)}; got {value!r}.")

        def answer(choice: Choice) -> int:
            if choice.name not in params:
                raise ArchitectureError(
                    f"params: the choice {choice.name!r} of {self.name} is missing; give one of {list(choice.values)}."
                )
            place = _place(choice, params[choice.name])
            assert place is not None
            return place

        return self._architecture(self._conditions.answered(answer))

    def suggested(self, trial: Any) -> Architecture:
        """Return the architecture that a trial of Optuna suggests; it is asked only for the choices that the architecture has.

        Args:
            trial: An `optuna.Trial`.
        """
        return self._architecture(
            self._conditions.answered(lambda choice: choice.values.index(trial.suggest_categorical(choice.name, choice.values)))
        )


def _place(choice: Choice, value: Any) -> int | None:
    """Return the place of a value among the alternatives, or None; True is not 1."""
    for place, own in enumerate(choice.values):
        if own == value and isinstance(own, bool) == isinstance(value, bool):
            return place
    return None
