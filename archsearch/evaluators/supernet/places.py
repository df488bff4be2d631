"""The places of a space, genes whose alternatives are operators, and its wiring, the other genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archsearch.errors import ConfigurationError
from archsearch.spaces import SearchSpace
from archsearch.spaces.module import ModuleSpace

_OTHERS = "Take a searcher that needs no places: gates, gp, ngae, evolution, optuna or random."


@dataclass(frozen=True)
class Places:
    """The genes of a space whose genes do not depend on each other.

    Args:
        names: Names of all genes.
        sizes: Number of alternatives of each.
        operators: Positions of the places among the genes: at these an operator is chosen.
        wiring: Positions of the other genes, such as the nodes that a node reads.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.supernet.places import Places
        >>> places = Places.of(spaces.get("enas"))
        >>> len(places.operators), len(places.wiring)
        (6, 15)
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    operators: tuple[int, ...]
    wiring: tuple[int, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> Places:
        """Return the places of a space.

        Raises:
            ConfigurationError: It has no places: it is a space of modules, its genes restrict each other, no gene chooses an
                operator, or there is only one operator.
        """
        if isinstance(space, ModuleSpace):
            raise ConfigurationError(
                f"space: expected one with places, genes that choose an operator; the modules of {space.name} are built by a "
                f"function and share no operators. {_OTHERS}"
            )
        if space.constrained:
            raise ConfigurationError(
                f"space: expected one in which each gene can be chosen alone; in {space!r} genes restrict each other, so that "
                f"operators cannot be mixed or chosen place by place. {_OTHERS}"
            )
        choices = {name: tuple(alternatives) for name, alternatives in space.choices.items()}
        # Some spaces label an operator with more, such as conv_3x3@2 at half the size.
        known = {*space.operators, *(name.partition("@")[0] for name in space.operators)}
        chosen = [at for at, each in enumerate(choices.values()) if len(each) > 1 and all(value in known for value in each)]
        if not chosen:
            why = "there is only one" if len(known) < 2 else "no gene has them as its alternatives"
            raise ConfigurationError(
                f"space: expected one with places, genes whose alternatives are at least two of its operators "
                f"({', '.join(space.operators)}); in {space!r} {why}. {_OTHERS}"
            )
        others = [at for at, each in enumerate(choices.values()) if at not in chosen]
        sizes = tuple(map(len, choices.values()))
        return cls(tuple(choices), sizes, tuple(chosen), tuple(others))

    def split(self, flat: Sequence[float]) -> list[Sequence[float]]:
        """Return a sequence with one value for each alternative of each gene, cut into genes."""
        ends = np.cumsum(self.sizes)
        return [flat[end - size : end] for end, size in zip(ends.tolist(), self.sizes, strict=True)]
