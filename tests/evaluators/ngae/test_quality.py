from __future__ import annotations

import numpy as np
import pytest

from archsearch import spaces
from archsearch.evaluators.ngae.quality import Generation, generation, reconstruction
from archsearch.spaces import Architecture

SPACE = spaces.get("enas")


class Table:
    """A stand-in for NGAE whose latent points are the numbers of architectures."""

    space = SPACE

    def __init__(self, known: list[Architecture]) -> None:
        self.known = known

    def encode(self, architectures: list[Architecture]) -> np.ndarray:
        return np.array([[float(self.known.index(each))] for each in architectures])

    def decode(self, latents: np.ndarray, *, sample: bool = False, seed: int = 0) -> list[Architecture]:
        return [self.known[int(point) % len(self.known)] for point in latents[:, 0]]


def test_shares_are_counted_over_all_decodes() -> None:
    rng = np.random.default_rng(0)
    known = [SPACE.sample(rng) for _ in range(5)]
    exact = Table(known)
    assert reconstruction(exact, known) == 1.0  # type: ignore[arg-type]
    assert reconstruction(exact, known, decodes=3) == 1.0  # type: ignore[arg-type]
    other = Table(known)
    other.decode = lambda latents, **_: [known[0]] * len(latents)  # type: ignore[method-assign]
    assert reconstruction(other, known) == pytest.approx(0.2)  # type: ignore[arg-type]
    assert generation(exact, known, points=50, decodes=2) == Generation(  # type: ignore[arg-type]
        valid=1.0, unique=pytest.approx(0.05), novel=0.0
    )
