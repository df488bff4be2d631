"""The interface of a search space."""

from __future__ import annotations

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, ConfigurationError, check_whole_number, did_you_mean, nearest_first, wrong_kind
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.canonical import canonical_form, canonical_graph, live_part
from archsearch.spaces.cost import Cost
from archsearch.spaces.graph import INPUT, OUTPUT, Graph, GraphBatch, lower, pack
from archsearch.spaces.representatives import representatives

if TYPE_CHECKING:
    import torch

    from archsearch.spaces.builder import Builder
    from archsearch.spaces.network import Network
    from archsearch.spaces.plan import Plan

Genotype = tuple[int, ...]


class SearchSpace(ABC):
    """A set of architectures with sampling, mutation, identity, cost and networks.

    A space is described by its `choices`: a fixed list of named genes, each with its alternatives. A genotype is one index per
    gene. Subclasses define the conversion between genotypes and architectures, the parsing of strings, and the operators of an
    architecture's network; everything else is derived. `GeneSpace` is simpler to subclass.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> space = spaces.get("nasbench201")
        >>> architecture = space.sample(np.random.default_rng(0))
        >>> str(architecture), space.cost(architecture).params
        ('|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|none~2|', 344346)
    """

    name: ClassVar[str]
    operators: ClassVar[tuple[str, ...]]
    num_inputs: ClassVar[int] = 1
    scale_defaults: ClassVar[Mapping[str, int]] = {}
    # Settings of `scale_defaults` that the space did not always have, with their defaults. `checked_scale` leaves them out while
    # they have these, so that older evaluations keep their fingerprints; `network` then has to take them as defaults.
    later_scale: ClassVar[Mapping[str, int]] = {}
    # Whether some genotypes are invalid or give the same architecture; a mutation may then change several genes.
    constrained: ClassVar[bool] = False
    # Up to this size all architectures can be listed in seconds, with their keys and graphs.
    enumerable: ClassVar[int] = 20_000
    # Number of cells that predictors read; None is all. The others tell what the architecture is read back from.
    ranked_cells: ClassVar[int | None] = None
    # Whether the text of an architecture names its genes, so that tables show it instead of the number of its operators.
    names_genes: ClassVar[bool] = False
    # How many new architectures a stage of a search may name and encode, so that it takes no more than some ten seconds.
    most_in_a_stage: ClassVar[int] = 1_000_000

    @property
    def home(self) -> str:
        """Name of the Python module in which the space is defined."""
        return type(self).__module__

    def check_declared(self) -> None:
        """Raise ConfigurationError unless the class declares its `name` and `operators`, which a search needs to its end.

        Raises:
            ConfigurationError: One of them is missing, or of another kind.
        """
        name, operators = getattr(self, "name", None), getattr(self, "operators", None)
        if not isinstance(name, str) or not name:
            raise ConfigurationError(
                f"space: expected a name in the class {type(self).__name__}, such as name = 'chain'; got {name!r}."
            )
        listed = isinstance(operators, tuple | list) and all(isinstance(each, str) for each in operators)
        if not listed or not operators:
            raise ConfigurationError(
                f"space: expected the names of all operators of its graphs in the class {type(self).__name__}, such as "
                f"operators = ('conv3x3', 'maxpool3x3'); got {operators!r}."
            )

    @property
    @abstractmethod
    def choices(self) -> Mapping[str, Sequence[Any]]:
        """The alternatives of each gene by name, in order."""

    @abstractmethod
    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        """Return the architecture of a genotype.

        Raises:
            ArchitectureError: The genotype has another length or does not give a valid architecture.
        """

    @abstractmethod
    def genotype(self, architecture: Architecture) -> Genotype:
        """Return the genotype of an architecture."""

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Return the architecture of a string, so that `parse(str(architecture)) == architecture`.

        Raises:
            ArchitectureError: The string is not an architecture of this space.
        """

    def key(self, architecture: Architecture) -> str:
        """Return the canonical identity of an architecture: a string that is equal for equivalent architectures.

        By default two architectures have the same key if and only if their cells are isomorphic graphs, after removing nodes on
        no path from an input to the output. Subclasses may identify more architectures.
        """
        forms = [canonical_form(live_part(graph)) for graph in self.graphs(self._own(architecture))]
        return hashlib.blake2b(b"\n".join(forms), digest_size=10).hexdigest()

    def keys(self, batch: GraphBatch) -> list[str]:
        """Return the key of each architecture of a population.

        Raises:
            ArchitectureError: A graph is not an architecture of this space.
        """
        return [self.key(architecture) for architecture in self.decode(batch)]

    def representative(self, architecture: Architecture) -> Architecture:
        """Return the architecture that stands for all with the same key, so that one key has one prediction.

        In a space of at most `enumerable` genotypes it is that of the first genotype with the key, unless the space says
        otherwise. In others its graphs are those of `canonical_graph`; where these are no architecture of the space, each
        architecture stands for itself.
        """
        own = self._own(architecture)
        key = self.key(own)
        if self.size <= self.enumerable:
            return representatives(self).get(key, own)
        cells = [canonical_graph(graph) for graph in self.graphs(own)]
        try:
            (found,) = self.decode(pack([cells], self.vocabulary))
            return found if self.key(found) == key else own
        except ArchitectureError:
            return own

    def representative_graphs(self, batch: GraphBatch) -> GraphBatch:
        """Return the graphs of the representative of each architecture of a population.

        Raises:
            ArchitectureError: A graph is not an architecture of this space.
        """
        return self.encode([self.representative(architecture) for architecture in self.decode(batch)])

    def canonical_graphs(self, batch: GraphBatch) -> GraphBatch:
        """Return graphs that are equal for architectures of one key, for models that read graphs.

        They are those of the representatives, or in large spaces those of `canonical_graph`, which may be no architectures of the
        space. In a space that gives some graphs that are not isomorphic the same key, they can differ for one key.

        Args:
            batch: Graphs as `encode` returns them.
        """
        if self.size <= self.enumerable or batch.edges is not None:
            return self.representative_graphs(batch)
        rows, cells, nodes = batch.operators.shape
        found = [[canonical_graph(batch.graph(row, cell)) for cell in range(cells)] for row in range(rows)]
        packed = pack(found, batch.vocabulary)
        missing = nodes - packed.operators.shape[2]
        return GraphBatch(
            batch.vocabulary,
            np.pad(packed.operators, ((0, 0), (0, 0), (0, missing)), constant_values=-1),
            np.pad(packed.adjacency, ((0, 0), (0, 0), (0, missing), (0, missing))),
        )

    def spellings(self, batch: GraphBatch) -> tuple[GraphBatch, NDArray[np.int64]]:
        """Return graphs of architectures with the keys of a population, whose mean features are those of a key.

        Returns:
            Graphs, and for each the row of `batch` whose key it has, `[graphs]`, in rising order; each row has at least one. By
            default these are the `canonical_graphs`, one for each row.
        """
        return self.canonical_graphs(batch), np.arange(len(batch))

    @abstractmethod
    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int | tuple[int, ...]:
        """Add the operators of an architecture's network to `build`, for execution and for counting costs.

        Args:
            build: Receives the operators. `build.input` is the slot of the images, `build.in_channels` their channels.
            architecture: An architecture of this space.
            num_classes: Number of classes.
            **scale: A value for each setting of `scale_defaults`.

        Returns:
            The slot of the logits, or a tuple of slots, one per exit.
        """

    @property
    def gene_groups(self) -> Sequence[Sequence[str]]:
        """Names of genes that are decided together where architectures grow, such as those of a node; by default each alone."""
        return [(name,) for name in self.choices]

    @property
    def size(self) -> int:
        """Number of genotypes."""
        product = 1
        for alternatives in self.choices.values():
            product *= len(alternatives)
        return product

    @property
    def num_unique(self) -> int | None:
        """Number of distinct keys, or None if it is not known."""
        return None

    @property
    def num_listed(self) -> int | None:
        """Number of architectures at most that `listed_graphs` returns; None where they cannot be listed in seconds."""
        return self.size if self.size <= self.enumerable else None

    def listed_graphs(self) -> GraphBatch:
        """Return the graphs of the representatives of all architectures, one for each key, in an order that is always the same.

        Raises:
            ConfigurationError: They cannot be listed; see `num_listed`.
        """
        if self.num_listed is None:
            raise ConfigurationError(f"space: {self!r} has {self.size:.3g} genotypes, too many to list; draw some with `sample`.")
        return self.encode(list(representatives(self).values()))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Operator names of the graph form, `input` and `output` first."""
        return (INPUT, OUTPUT, *self.operators)

    def all_genotypes(self) -> Iterator[Genotype]:
        """Yield every genotype, `size` in all."""
        return itertools.product(*(range(len(alternatives)) for alternatives in self.choices.values()))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return the architecture of a genotype drawn uniformly."""
        return self.from_genotype([int(rng.integers(len(alternatives))) for alternatives in self.choices.values()])

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return an architecture in which one gene, drawn uniformly, has another value, also drawn uniformly."""
        genotype = list(self.genotype(architecture))
        sizes = [len(alternatives) for alternatives in self.choices.values()]
        gene = int(rng.choice([index for index, size in enumerate(sizes) if size > 1]))
        genotype[gene] = (genotype[gene] + 1 + int(rng.integers(sizes[gene] - 1))) % sizes[gene]
        return self.from_genotype(genotype)

    def graphs(self, architecture: Architecture) -> list[Graph]:
        """Return the graph form of each cell."""
        return [lower(cell, self.num_inputs) for cell in architecture.cells]

    def drawing(self, architecture: Architecture) -> list[Graph]:
        """Return the graphs that pictures and tables show: those of `graphs`, unless some of them are for surrogates alone."""
        return self.graphs(architecture)

    def encode(self, architectures: Sequence[Architecture]) -> GraphBatch:
        """Return a population as integer arrays."""
        return pack([self.graphs(self._own(architecture)) for architecture in architectures], self.vocabulary)

    @abstractmethod
    def decode(self, batch: GraphBatch) -> list[Architecture]:
        """Return the architectures of a population: the inverse of `encode`.

        Raises:
            ArchitectureError: A graph is not an architecture of this space.
        """

    def build(
        self,
        architecture: Architecture,
        num_classes: int = 10,
        in_channels: int = 3,
        generator: torch.Generator | None = None,
        **scale: int,
    ) -> Network:
        """Return the trainable network of an architecture.

        Args:
            architecture: An architecture of this space.
            num_classes: Number of classes.
            in_channels: Channels of the images.
            generator: Random generator of the initial weights; None uses a new one with seed 0.
            **scale: Size settings of the space; see `scale_defaults`.

        Raises:
            ConfigurationError: A scale setting is unknown or not positive.
        """
        from archsearch.spaces.network import Network

        return Network(self.plan(architecture, num_classes, in_channels, **scale), generator)

    def plan(self, architecture: Architecture, num_classes: int, in_channels: int, **scale: int) -> Plan:
        """Return the network of an architecture as a plan, without weights.

        Raises:
            ConfigurationError: A scale setting is unknown or not positive.
        """
        from archsearch.spaces.plan import PlanBuilder

        build = PlanBuilder(in_channels)
        outputs = self.network(build, self._own(architecture), num_classes, **self.checked_scale(scale))
        return build.finish(*(outputs if isinstance(outputs, tuple) else (outputs,)))

    def cost(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        num_classes: int = 10,
        **scale: int,
    ) -> Cost:
        """Return parameters and MACs of the network that `build` returns, for images `(channels, height, width)`."""
        from archsearch.spaces.cost_counter import CostCounter  # operators need torch; encoding does not

        count = CostCounter(tuple(input_shape))
        self.network(count, self._own(architecture), num_classes, **self.checked_scale(scale))
        return Cost(count.params, count.macs)

    def param_space(self) -> dict[str, tuple[Any, ...]]:
        """Return the alternatives of each gene, for Ray Tune or Optuna.

        Example:
            >>> from archsearch import spaces
            >>> domains = spaces.get("nasbench201").param_space()
            >>> domains["edge_0_1"]
            ('none', 'skip_connect', 'nor_conv_1x1', 'nor_conv_3x3', 'avg_pool_3x3')

            With Ray Tune: `{name: tune.choice(list(values)) for name, values in domains.items()}`. With Optuna:
            `{name: trial.suggest_categorical(name, values) for name, values in domains.items()}`.
        """
        return {name: tuple(alternatives) for name, alternatives in self.choices.items()}

    def from_params(self, params: Mapping[str, Any]) -> Architecture:
        """Return the architecture with the given alternative of each gene; the inverse of `params`.

        Raises:
            ArchitectureError: A gene is missing or unknown, or its value is not among the alternatives.
        """
        for name in params:
            if name not in self.choices:
                hint = did_you_mean(name, self.choices)
                raise ArchitectureError(f"params: {self.name} has no gene {name!r}.{hint} Genes: {list(self.choices)}.")
        genotype = []
        for name, alternatives in self.choices.items():
            if name not in params:
                raise ArchitectureError(f"params: the gene {name!r} of {self.name} is missing; give one of {list(alternatives)}.")
            if params[name] not in alternatives:
                raise ArchitectureError(f"params[{name!r}]: expected one of {list(alternatives)}; got {params[name]!r}.")
            genotype.append(list(alternatives).index(params[name]))
        return self.from_genotype(genotype)

    def params(self, architecture: Architecture) -> dict[str, Any]:
        """Return the alternative of each gene by name; the inverse of `from_params`."""
        genotype = self.genotype(architecture)
        return {name: values[index] for (name, values), index in zip(self.choices.items(), genotype, strict=True)}

    def active(self, architecture: Architecture) -> dict[str, Any]:
        """Return the alternative of each gene that counts for an architecture: all, unless genes depend on each other."""
        return self.params(architecture)

    def genotypes(self, architectures: Sequence[Architecture]) -> NDArray[np.int16]:
        """Return genotypes as one int16 array `[batch, genes]`."""
        rows = [self.genotype(architecture) for architecture in architectures]
        return np.array(rows, dtype=np.int16).reshape(len(rows), len(self.choices))

    def checked_scale(self, scale: Mapping[str, int]) -> dict[str, int]:
        """Return the settings in `scale`, completed by `scale_defaults`, without those of `later_scale` at their defaults.

        Raises:
            ConfigurationError: A setting is unknown or not a positive int.
        """
        for name, value in scale.items():
            if name not in self.scale_defaults:
                known = ", ".join(nearest_first(str(name), self.scale_defaults)) or "none"
                raise ConfigurationError(
                    f"scale: {self.name} has no setting {name!r}.{did_you_mean(name, self.scale_defaults)} Settings: {known}."
                )
            check_whole_number(f"scale[{name!r}]", value)
        sizes = {**self.scale_defaults, **scale}
        return {name: value for name, value in sizes.items() if (name, value) not in self.later_scale.items()}

    def _own(self, architecture: Architecture) -> Architecture:
        if not isinstance(architecture, Architecture):
            raise ArchitectureError(
                wrong_kind("architecture", f"an architecture of {self.name}, such as parse(string) returns", architecture)
            )
        if architecture.space != self.name:
            raise ArchitectureError(
                f"architecture: expected one of {self.name}; got one of {architecture.space} ({architecture}). "
                f"Use spaces.get({architecture.space!r}) for it."
            )
        return architecture

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
