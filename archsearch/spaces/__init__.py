"""Search spaces: architectures, their graphs, keys, costs and trainable networks."""

from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.builder import Builder
from archsearch.spaces.cost import Cost
from archsearch.spaces.gene_space import GeneSpace
from archsearch.spaces.graph import Graph, GraphBatch
from archsearch.spaces.registry import get, names, register
from archsearch.spaces.space import SearchSpace

__all__ = [
    "Architecture",
    "Builder",
    "Cell",
    "Cost",
    "GeneSpace",
    "Graph",
    "GraphBatch",
    "SearchSpace",
    "get",
    "names",
    "register",
]
