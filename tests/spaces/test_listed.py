from __future__ import annotations

import pickle

import numpy as np
import pytest

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.conformance import SpaceConformance
from archsearch.spaces.listed import listed
from archsearch.spaces.space import SearchSpace


def some(name: str, number: int) -> tuple[SearchSpace, list[Architecture]]:
    space, rng = spaces.get(name), np.random.default_rng(5)
    return space, [space.sample(rng) for _ in range(number)]


class TestConformance(SpaceConformance):
    """A list of neighbours, so that a walk of mutations finds its way as in any space."""

    def make_space(self) -> SearchSpace:
        space, rng = spaces.get("enas"), np.random.default_rng(0)
        found = [space.sample(rng)]
        for _ in range(400):
            found.append(space.mutate(found[int(rng.integers(len(found)))], rng))
        return listed(space, found)

    def test_genotype_round_trip(self) -> None:
        space, rng = self.make_space(), np.random.default_rng(1)
        for _ in range(20):
            architecture = space.sample(rng)
            assert space.from_genotype(space.genotype(architecture)) == architecture

    def test_mutations_reach_each_alternative(self) -> None:
        """Skip: a list need not contain each alternative of each gene."""

    def test_mutations_reach_any_architecture(self) -> None:
        space, rng = self.make_space(), np.random.default_rng(1)
        seen, at = set(), space.sample(rng)
        for _ in range(20_000):
            at = space.mutate(at, rng)
            seen.add(str(at))
        assert len(seen) == len({str(space.from_genotype(genotype)) for genotype in space.all_genotypes()})


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101", "enas"])
def test_nothing_but_the_list_is_drawn_mutated_or_decoded(name: str) -> None:
    space, architectures = some(name, 50)
    part, allowed, rng = listed(space, architectures), {str(each) for each in architectures}, np.random.default_rng(1)
    assert isinstance(part, type(space))
    assert (part.name, part.size) == (space.name, 50)
    assert part.num_unique == len({space.key(each) for each in architectures})
    assert part.num_listed == 50, "not as many as the whole space has"
    assert {*space.keys(part.listed_graphs())} == {space.key(each) for each in architectures}
    drawn = [part.sample(rng) for _ in range(400)]
    assert {str(each) for each in drawn} == allowed
    assert {str(part.mutate(each, rng)) for each in drawn} <= allowed
    others = [space.sample(rng) for _ in range(20)]
    assert {str(each) for each in part.decode(space.encode(others))} <= allowed
    assert part.decode(part.encode(architectures)) == architectures
    assert {str(part.from_genotype(genotype)) for genotype in part.all_genotypes()} == allowed


def test_unlisted_genotypes_stand_for_the_nearest() -> None:
    space, architectures = some("enas", 200)
    part, rng = listed(space, architectures), np.random.default_rng(2)
    genes = space.genotypes(architectures)
    for _ in range(20):
        other = space.sample(rng)
        distances = [sum(a != b for a, b in zip(space.genotype(other), row, strict=True)) for row in genes.tolist()]
        found = part.from_params(space.params(other))
        assert distances[architectures.index(found)] == min(distances)


def test_nine_mutations_in_ten_are_among_the_ten_nearest_others() -> None:
    space, architectures = some("enas", 200)
    part, rng = listed(space, architectures), np.random.default_rng(2)
    genes, near = space.genotypes(architectures), []
    for row in range(200):
        distances = sorted(int((genes[row] != other).sum()) for other in genes if (genes[row] != other).any())
        distance = int((genes[row] != space.genotype(part.mutate(architectures[row], rng))).sum())
        assert distance > 0
        near.append(distance <= distances[9])
    assert 0.8 < np.mean(near) < 1.0


def test_near_mutations_are_as_likely_as_in_a_sorted_list() -> None:
    """A slow reference: others in order of distance, equally distant ones in random order, one of the first ten."""
    space, architectures = some("nasbench201", 40)
    part, rng = listed(space, architectures), np.random.default_rng(3)
    genes, draws = space.genotypes(architectures), 20_000
    distances = (genes != genes[0]).sum(1)
    others = [row for row in range(40) if distances[row]]
    expected = np.zeros(40)
    for row in others:
        nearer = sum(bool(distances[other] < distances[row]) for other in others)
        alike = sum(bool(distances[other] == distances[row]) for other in others)
        expected[row] = 0.9 * min(max(10 - nearer, 0) / alike, 1.0) / 10 + 0.1 / len(others)
    rows = {str(architecture): row for row, architecture in enumerate(architectures)}
    counts = np.bincount([rows[str(part.mutate(architectures[0], rng))] for _ in range(draws)], minlength=40)
    assert expected.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(counts / draws, expected, atol=5 * np.sqrt(0.1 * 0.9 / draws))


def test_a_list_of_one_mutates_into_itself() -> None:
    space, [only] = some("nasbench201", 1)
    assert listed(space, [only]).mutate(only, np.random.default_rng(0)) == only


def test_a_part_of_a_part_and_a_copy_are_the_same() -> None:
    space, architectures = some("nasbench201", 30)
    part = listed(listed(space, architectures), architectures[:5])
    copy = pickle.loads(pickle.dumps(part))
    for each in (part, copy):
        assert each.size == 5
        assert repr(each) == "NASBench201() confined to 5 architectures"
        assert each.sample(np.random.default_rng(3)) == part.sample(np.random.default_rng(3))


def test_bad_lists() -> None:
    with pytest.raises(ConfigurationError, match="architectures: expected at least one; got none"):
        listed(spaces.get("enas"), [])
    with pytest.raises(ArchitectureError):
        listed(spaces.get("enas"), ["no architecture"]).sample(np.random.default_rng(0))
