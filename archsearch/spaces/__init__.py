"""Search spaces: architectures, their graphs, keys, costs and trainable networks."""

from typing import TYPE_CHECKING, Any

from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.builder import Builder
from archsearch.spaces.cost import Cost
from archsearch.spaces.gene_space import GeneSpace
from archsearch.spaces.graph import Graph, GraphBatch
from archsearch.spaces.registry import get, names, register
from archsearch.spaces.space import SearchSpace

if TYPE_CHECKING:
    from archsearch.spaces.module import ModuleSpace

__all__ = [
    "Architecture",
    "Builder",
    "Cell",
    "Cost",
    "GeneSpace",
    "Graph",
    "GraphBatch",
    "ModuleSpace",
    "SearchSpace",
    "get",
    "names",
    "register",
]


def __getattr__(name: str) -> Any:
    # Looking scores up, and drawing architectures, needs no torch: it is loaded when it is first used.
    if name == "ModuleSpace":
        from archsearch.spaces.module import ModuleSpace

        return ModuleSpace
    raise AttributeError(f"module 'archsearch.spaces' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
