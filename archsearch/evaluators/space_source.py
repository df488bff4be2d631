"""The identity of what builds the networks of a space, by which evaluations of other versions of it are kept apart."""

from __future__ import annotations

from archsearch.evaluators.source import source_digest
from archsearch.spaces import SearchSpace
from archsearch.spaces.module import ModuleSpace
from archsearch.spaces.module.variations import Variations


def space_source(space: SearchSpace) -> dict[str, str]:
    """Return an entry for fingerprints: a hash of what builds the modules of a `ModuleSpace`; of other spaces none.

    For a function it is that of its source, see `source_digest`; for the networks around a given one, that of its weights too.
    """
    if not isinstance(space, ModuleSpace):
        return {}
    build = space.build_function
    return {"modules": build.digest if isinstance(build, Variations) else source_digest(build)}
