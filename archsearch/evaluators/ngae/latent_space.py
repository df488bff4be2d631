"""The latent space of an auto-encoder: architectures to points, points to architectures, and predictions at points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators.ngae.generation import generate
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs, from_batch, to_batch
from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.predictors import LatentPredictor
from archsearch.evaluators.ngae.process import LatentProcess
from archsearch.evaluators.ngae.region import Region
from archsearch.evaluators.ngae.targets import Scale
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

Vector = NDArray[np.float64]
Architectures = Sequence[Architecture] | GraphBatch
_CHUNK = 1024  # graphs that are encoded or decoded at once


@dataclass(frozen=True, eq=False)
class LatentSpace:
    """A trained auto-encoder of the architectures of one search space, with the scales of its two predictors.

    Args:
        space: Search space of the architectures.
        grammar: Rules that decoded graphs obey.
        model: Encoder, decoder and predictors, on the device of the grammar.
        accuracy: Scale on which accuracy was learned.
        complexity: Scale on which complexity was learned.
        region: Region of the encodings of the training data; None until the first fit has ended.
        process: Predicts accuracy in place of the head of the model; None leaves that to the head.
    """

    space: SearchSpace
    grammar: Grammar
    model: GraphVAE
    accuracy: Scale
    complexity: Scale
    region: Region | None = None
    process: LatentProcess | None = None

    @property
    def performance(self) -> LatentPredictor | LatentProcess:
        """What predicts accuracy, on the scale on which it was learned."""
        return self.model.performance if self.process is None else self.process

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.grammar.types.device

    @property
    def dimensions(self) -> int:
        """Dimensions of the latent space."""
        return self.model.settings.latent

    def data_region(self) -> Region:
        """Return the region of the training data.

        Raises:
            ConfigurationError: No fit has ended yet.
        """
        if self.region is None:
            raise ConfigurationError("NGAE: its first fit did not end; call fit or load first.")
        return self.region

    def encode(self, architectures: Architectures) -> Vector:
        """Return the mean in the latent space of each architecture, `[architectures, latent]`.

        Raises:
            ArchitectureError: An architecture is not of the space.
        """
        means: Vector = self.means(graphs_of(self.space, self.grammar, architectures)).double().cpu().numpy()
        return means

    @torch.inference_mode()
    def means(self, graphs: Graphs) -> torch.Tensor:
        """Return the mean in the latent space of each graph, `[graphs, latent]`."""
        starts = range(0, len(graphs), _CHUNK)
        parts = [self.model.encoder(graphs.rows(slice(start, start + _CHUNK)))[0] for start in starts]
        return torch.cat(parts) if parts else torch.empty(0, self.dimensions)

    def decode(self, latents: ArrayLike, *, sample: bool = False, seed: int = 0) -> list[Architecture]:
        """Return the architectures of latent points.

        Args:
            latents: `[points, latent]`.
            sample: Whether each decision is drawn with its probability; otherwise the likelier one is taken.
            seed: Seed of the draws.

        Raises:
            ConfigurationError: The points have another width, or one is not finite.
        """
        array = np.asarray(latents, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.dimensions:
            raise ConfigurationError(
                f"latents: expected points [points, {self.dimensions}] of this model; got {list(array.shape)}."
            )
        if not np.isfinite(array).all():
            raise ConfigurationError("latents: expected finite points; got NaN or infinity. Take smaller steps.")
        generator = torch.Generator(self.device).manual_seed(seed) if sample else None
        points = torch.tensor(array, dtype=torch.float32, device=self.device)
        found: list[Architecture] = []
        for chunk in points.split(_CHUNK):
            found += self._architectures(generate(self.model.decoder, self.grammar, chunk, generator))
        return found

    @torch.inference_mode()
    def predict_latents(self, latents: ArrayLike) -> tuple[Vector, Vector]:
        """Return predicted accuracy and complexity at latent points `[points, latent]`, `[points]` each, in their own units."""
        points = torch.tensor(np.asarray(latents), dtype=torch.float32, device=self.device)
        return self.accuracy.figures(self.performance(points)), self.complexity.figures(self.model.complexity(points))

    def sample_latents(self, number: int, seed: int = 0) -> Vector:
        """Return latent points `[number, latent]` from the normal distribution with the mean and covariance of the data.

        Raises:
            ConfigurationError: No fit has ended yet.
        """
        generator = torch.Generator(self.device).manual_seed(seed)
        points: Vector = self.data_region().sample(number, generator).double().cpu().numpy()
        return points

    def objective(self, accuracy: Vector, complexity: Vector, weight: float) -> Vector:
        """Return `accuracy - weight * complexity`, both on the scales on which they were learned, `[points]`.

        Where complexity was not learned it is the accuracy alone.
        """
        learned = self.accuracy.learned(accuracy)
        return learned - weight * self.complexity.learned(complexity) if self.complexity.spread else learned

    def _architectures(self, graphs: Graphs) -> list[Architecture]:
        """Return graphs as architectures; graphs that a user-defined space refuses are left out."""
        batch = to_batch(graphs, self.space.vocabulary)
        try:
            return self.space.decode(batch)
        except ArchitectureError:
            found = []
            for row in range(len(batch)):
                try:
                    found += self.space.decode(batch[row : row + 1])
                except ArchitectureError:
                    continue
            return found


def graphs_of(space: SearchSpace, grammar: Grammar, architectures: Architectures) -> Graphs:
    """Return the graphs of the representatives of architectures as tensors on the device of the grammar.

    Architectures with the same key have the same representative, and so the same encoding and the same predictions.

    Raises:
        ArchitectureError: An architecture is not of the space.
    """
    batch = architectures if isinstance(architectures, GraphBatch) else space.encode(architectures)
    if batch.vocabulary != space.vocabulary or (len(batch) and batch.operators.shape[1] != grammar.cells):
        raise ArchitectureError(
            f"architectures: expected graphs of {space.name} with {grammar.cells} cells; got others. "
            "Encode them with the space of the model."
        )
    if len(batch) and batch.operators.shape[2] > grammar.vertices:
        raise ArchitectureError(
            f"architectures: expected at most {grammar.vertices} vertices a cell, as in {space!r}; "
            f"got {batch.operators.shape[2]}."
        )
    return from_batch(space.representative_graphs(batch), grammar.vertices).to(grammar.types.device)
