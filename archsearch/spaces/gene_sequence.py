"""Architectures as sequences of genes, in the order of the space: what controllers and sequence models write and read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.space import SearchSpace

Rows = NDArray[np.int64]


class GeneSequences:
    """The genes of a space that have two alternatives or more, as a sequence of decisions.

    Args:
        space: The space.

    Raises:
        ConfigurationError: The space has no gene with two alternatives, so that there is nothing to decide.

    Attributes:
        names: Names of the genes.
        sizes: Number of alternatives of each.
        num_tokens: Number of different values of all genes together; a value is one token, whichever genes have it.
        alternatives: Tokens of the alternatives of each.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.spaces.gene_sequence import GeneSequences
        >>> space = spaces.get("nasbench201")
        >>> sequences = GeneSequences(space)
        >>> sequences.sizes, sequences.rows([space.from_genotype((4, 3, 2, 1, 1, 0))]).tolist()
        ((5, 5, 5, 5, 5, 5), [[4, 3, 2, 1, 1, 0]])
    """

    def __init__(self, space: SearchSpace) -> None:
        sizes = [len(alternatives) for alternatives in space.choices.values()]
        self.space = space
        self._total = len(sizes)
        self._places = [place for place, size in enumerate(sizes) if size > 1]
        if not self._places:
            raise ConfigurationError(
                f"space: expected one with a gene that has two alternatives or more; every gene of {space.name} has one, such as "
                "a single operator, so there is nothing to search. Give the space more operators."
            )
        self.names = tuple(name for name, size in zip(space.choices, sizes, strict=True) if size > 1)
        self.sizes = tuple(sizes[place] for place in self._places)
        written = [[str(value) for value in space.choices[name]] for name in self.names]
        found = {value: token for token, value in enumerate(dict.fromkeys(itertools.chain.from_iterable(written)))}
        self.num_tokens = len(found)
        self.alternatives = tuple(tuple(found[value] for value in values) for values in written)

    def rows(self, architectures: Sequence[Architecture]) -> Rows:
        """Return the alternative of each gene, `[architectures, genes]`."""
        genotypes = [self.space.genotype(each) for each in architectures]
        return np.array(genotypes, dtype=np.int64).reshape(len(genotypes), self._total)[:, self._places]

    def tokens(self, architectures: Sequence[Architecture]) -> Rows:
        """Return the token of the value of each gene, `[architectures, genes]`, from 0 to `num_tokens` - 1."""
        columns = self.rows(architectures).T
        return np.stack([np.array(tokens)[row] for tokens, row in zip(self.alternatives, columns, strict=True)], axis=1)

    def active(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        """Return whether each gene counts for an architecture, `[architectures, genes]`; all do unless genes are conditional."""
        found = np.ones((len(architectures), len(self.sizes)), dtype=bool)
        if type(self.space).active is not SearchSpace.active:
            for row, architecture in zip(found, architectures, strict=True):
                counting = self.space.active(architecture)
                row[:] = [name in counting for name in self.names]
        return found

    def architecture(self, row: Sequence[int]) -> Architecture | None:
        """Return the architecture of a sequence, or None where it is none of the space."""
        genotype = [0] * self._total
        for place, gene in zip(self._places, row, strict=True):
            genotype[place] = int(gene)
        try:
            return self.space.from_genotype(genotype)
        except ArchitectureError:
            return None

    def architecture_of(self, tokens: Sequence[int]) -> Architecture | None:
        """Return the architecture of a sequence of tokens, or None where it is none of the space."""
        return self.architecture([found.index(token) for found, token in zip(self.alternatives, tokens, strict=True)])
