from __future__ import annotations

from archsearch.evaluators.seeds import derived_seed


def test_a_seed_belongs_to_its_parts_and_their_order() -> None:
    seeds = [
        derived_seed(*parts) for parts in ((0, "a", "weights"), (0, "a", "batches"), (1, "a", "weights"), ("a", 0, "weights"))
    ]
    assert len(set(seeds)) == 4
    assert derived_seed(0, "a", "weights") == seeds[0]
    assert all(0 <= seed < 2**56 for seed in seeds)


def test_seeds_stay_what_they_were() -> None:
    # Ledgers and tables hold outcomes that were made with these.
    assert derived_seed(0, "k", 0, "weights") == 16_641_609_512_198_484
