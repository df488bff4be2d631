"""Quality of an auto-encoder by the protocols of the papers: reconstruction, validity, uniqueness and novelty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archsearch.evaluators.ngae.ngae import NGAE
from archsearch.spaces import Architecture


def reconstruction(model: NGAE, architectures: Sequence[Architecture], decodes: int = 0, seed: int = 0) -> float:
    """Return the share of decoded architectures that equal the representative of the encoded one, vertex by vertex.

    M. Zhang et al., "D-VAE: A Variational Autoencoder for Directed Acyclic Graphs", NeurIPS 2019, section 4: each mean is
    decoded `decodes` times, every decision drawn.

    Args:
        model: The auto-encoder.
        architectures: Architectures to encode and decode.
        decodes: Times that each is decoded (published: 100, of ten encodings that are all the same); 0 decodes it once, with the
            likelier decisions.
        seed: Seed of the draws.
    """
    latents = model.encode(architectures)
    architectures = [model.space.representative(architecture) for architecture in architectures]
    if decodes == 0:
        return _share_right(model.decode(latents), architectures)
    drawn = (model.decode(latents, sample=True, seed=seed + number) for number in range(decodes))
    return float(np.mean([_share_right(made, architectures) for made in drawn]))


def _share_right(made: Sequence[Architecture], given: Sequence[Architecture]) -> float:
    return float(np.mean([str(one) == str(other) for one, other in zip(made, given, strict=True)]))


@dataclass(frozen=True)
class Generation:
    """Validity, uniqueness and novelty of architectures decoded from random latent points.

    Args:
        valid: Share of decoded points that are architectures of the space.
        unique: Number of distinct architectures over the number of valid ones.
        novel: Share of the valid ones, duplicates included, that are not among the known ones.
    """

    valid: float
    unique: float
    novel: float


def generation(
    model: NGAE, known: Sequence[Architecture], points: int = 1000, decodes: int = 10, seed: int = 0, sample: bool = True
) -> Generation:
    """Return validity, uniqueness and novelty of architectures decoded from random latent points.

    M. Zhang et al., NeurIPS 2019, section 4, as its authors' programs do it: points are drawn from the normal distribution with
    mean and deviation of the encoded training set, dimension by dimension, and each is decoded `decodes` times. Since one point
    is decoded often, a sharper decoder gives fewer unique ones; decode each once to see how many differ.

    Args:
        model: The auto-encoder.
        known: The architectures that it was trained on.
        points: Latent points.
        decodes: Times that each point is decoded.
        seed: Seed of points and draws.
        sample: Whether decisions are drawn; otherwise the likelier ones are taken, and one decode a point is enough.
    """
    encoded = model.encode(known)
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((points, encoded.shape[1])) * encoded.std(axis=0) + encoded.mean(axis=0)
    texts = [
        str(architecture)
        for number in range(decodes)
        for architecture in model.decode(latents, sample=sample, seed=seed + number)
        if architecture == model.space.parse(str(architecture))
    ]
    if not texts:
        return Generation(0.0, 0.0, 0.0)
    old = set(map(str, known))
    return Generation(
        len(texts) / (points * decodes), len(set(texts)) / len(texts), float(np.mean([text not in old for text in texts]))
    )
