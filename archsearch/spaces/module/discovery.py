"""Finds the choices of `build` by running it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.module.building import Build, Built, choices_text, run
from archsearch.spaces.module.choose import Answer, Choice, Choose
from archsearch.spaces.module.conditions import Conditions, conditions_of

_MOST_RUNS = 2000
_RANDOM_RUNS = 64
_RANDOM_RUNS_WITH_RULES = 256
_REPEATED = 16
_OTHER_SEED = 20_240_229


class Discovery:
    """Runs `build` until each alternative of each choice that shows up has been taken, and then with random answers.

    Some runs are repeated with the same answers, which must give the same choices and the same layers.

    Args:
        build: Function of a `Choose` that returns a module; one with a method `ask` asks for the same choices there, faster.
        arguments: Further arguments of `build` by name.
    """

    def __init__(self, build: Build, arguments: Mapping[str, int]) -> None:
        self._build, self._arguments = build, arguments
        self._choices: dict[str, Choice] = {}
        self._tried: Counter[tuple[str, int]] = Counter()
        self._runs: list[tuple[tuple[Choice, int], ...]] = []

    def conditions(self) -> Conditions:
        """Return the choices and when they are asked.

        Raises:
            ConfigurationError: `build` asks for nothing, returns no module, depends on more than the answers, or asks one name
                with different alternatives.
            ArchitectureError: `build` raised an error.
        """
        self._run(lambda choice: 0, repeat=True)
        if not self._runs[0]:
            raise ConfigurationError(
                "build: expected a function that asks choose for something, such as choose.one('width', [16, 32]); "
                "it has no choices."
            )
        self._try_each()
        rng = np.random.default_rng(0)
        done, repeated = 0, 1 if hasattr(self._build, "ask") else _REPEATED
        while done < (_RANDOM_RUNS_WITH_RULES if conditions_of(self._runs).rules else _RANDOM_RUNS):
            for _ in range(_RANDOM_RUNS):
                self._run(lambda choice: int(rng.integers(len(choice.words))), repeat=done < repeated)
                done += 1
            self._try_each()
        return conditions_of(self._runs)

    def _try_each(self) -> None:
        """Run with the least tried alternatives until each has been tried."""
        for _ in range(_MOST_RUNS):
            if all(self._tried[name, number] for name, choice in self._choices.items() for number in range(len(choice.words))):
                return
            before = len(self._tried)
            self._run(self._least_tried)
            if len(self._tried) == before and not self._toward_untried():
                return

    def _toward_untried(self) -> bool:
        """Repeat a run in which an untried alternative was open, with this alternative; return whether there is one."""
        for asked in self._runs:
            for place, (choice, _) in enumerate(asked):
                for number in range(len(choice.words)):
                    if not self._tried[choice.name, number]:
                        prefix = {earlier.name: taken for earlier, taken in asked[:place]} | {choice.name: number}
                        self._run(lambda asked_now, prefix=prefix: prefix.get(asked_now.name, 0))  # type: ignore[misc]
                        self._tried[choice.name, number] += 1  # it may not have been reached again
                        return True
        return False

    def _least_tried(self, choice: Choice) -> int:
        return min(range(len(choice.words)), key=lambda number: (self._tried[choice.name, number], number))

    def _run(self, answer: Answer, repeat: bool = False) -> None:
        ask = getattr(self._build, "ask", None)
        if ask is not None and self._runs and not repeat:
            choose = Choose(answer)
            ask(choose)
            self._note(tuple(choose.asked))
            return
        try:
            built = run(self._build, answer, self._arguments)
        except ArchitectureError as error:
            raise ArchitectureError(
                f"{error} Each combination of choices must give a module; nest a choice, or leave it out."
            ) from error
        self._note(built.asked)
        if repeat:
            self._check_repeats(built)

    def _note(self, asked: tuple[tuple[Choice, int], ...]) -> None:
        for choice, number in asked:
            known = self._choices.setdefault(choice.name, choice)
            if known != choice:
                raise ConfigurationError(
                    f"choose.{choice.kind}: expected one list of alternatives for each name; {choice.name!r} has "
                    f"{list(known.words)} and, after {choices_text(asked)}, {list(choice.words)}. Give it another "
                    "name there."
                )
            self._tried[choice.name, number] += 1
        self._runs.append(asked)

    def _check_repeats(self, first: Built) -> None:
        answers = {choice.name: number for choice, number in first.asked}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_OTHER_SEED)  # so that what is drawn from torch shows
            again = run(self._build, lambda choice: min(answers.get(choice.name, 0), len(choice.words) - 1), self._arguments)
        if again.asked != first.asked:
            difference = f"it asked {choices_text(first.asked)!r}, and then {choices_text(again.asked)!r}"
        elif (layers := layers_of(first.module)) != layers_of(again.module):
            difference = (
                f"{choices_text(first.asked)!r} gave different layers, {_first_difference(layers, layers_of(again.module))}"
            )
        else:
            return
        raise ConfigurationError(
            f"build: expected the same choices and layers for the same answers; in two runs {difference}. Use neither "
            "random numbers nor global state in build; ask choose instead."
        )


def layers_of(module: nn.Module) -> list[tuple[str, str, Any]]:
    """Return path, type and parameter shapes of each submodule."""
    return [
        (
            path,
            type(part).__name__,
            [(name, tuple(tensor.shape)) for name, tensor in part._parameters.items() if tensor is not None],
        )
        for path, part in module.named_modules()
    ]


def _first_difference(left: list[Any], right: list[Any]) -> str:
    differing = next((pair for pair in zip(left, right, strict=False) if pair[0] != pair[1]), None)
    return f"{differing[0]} and {differing[1]}" if differing else f"{len(left)} and {len(right)} of them"
