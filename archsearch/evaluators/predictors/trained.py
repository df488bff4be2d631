"""A trained model with its optimizer, generators and scale."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.featured import Featured
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.graf import num_features
from archsearch.evaluators.predictors.model import Body, ComparingModel, ScoringModel
from archsearch.evaluators.predictors.population import Population
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import FlatParameters
from archsearch.evaluators.predictors.structure import Structured

_SCALE_BY = 1000  # architectures at most that set the scale of a member


class Trained:
    """A model with all that is needed to continue its training.

    Args:
        encoder: Class of the encoder.
        form: Form of the graphs that it is made for.
        loss: See `losses.NAMES`.
        settings: Sizes and training.
        seed: Seed of everything random; member k draws the same whatever the number of members.
        members: Number of models trained side by side.
        device: Device of the models.
    """

    def __init__(
        self, encoder: type[Encoder], form: Form, loss: str, settings: Settings, seed: int, members: int, device: torch.device
    ) -> None:
        self.form, self.settings = form, settings
        self._arguments = {
            "encoder": encoder,
            "form": form,
            "loss": loss,
            "settings": settings,
            "seed": seed,
            "members": members,
            "device": device,
        }
        seeds = [np.random.SeedSequence([seed, member]).generate_state(1, np.uint64)[0] for member in range(members)]
        self.generators = [torch.Generator(device).manual_seed(int(seed >> np.uint64(1))) for seed in seeds]
        encode = encoder(form, settings, self.generators)
        graph = Structured(encode, form) if settings.structure else encode
        numbers = num_features(form.vocabulary, form.cells)
        body: Body = Featured(graph, numbers, device) if settings.features else graph
        self.model: ScoringModel | ComparingModel = (
            ComparingModel(body, settings, self.generators)
            if loss == "comparator"
            else ScoringModel(body, loss, settings, self.generators)
        )
        self.parameters = FlatParameters(self.model)
        self.optimizer = torch.optim.Adam([self.parameters.flat], lr=settings.learning_rate, fused=True)
        self.center = torch.zeros(members, 1, dtype=torch.float64)
        self.scale = torch.ones(members, 1, dtype=torch.float64)

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickling would break the link of the parameters to the flat tensor: they are made anew.
        return _restored, (self._arguments, self.state())

    def begin(self, population: Population) -> None:
        """Set the scale of graph features by the architectures that are to be learned first."""
        if isinstance(self.model.encoder, Featured):
            self.model.encoder.settle(population.tensors[-1])

    @torch.inference_mode()
    def settle(self, population: Population) -> None:
        """Set the scale of each member by the architectures that it was trained on.

        Raises:
            ConfigurationError: A score is not finite.
        """
        if isinstance(self.model, ComparingModel):
            self.model.remember([tensor.unsqueeze(0) for tensor in _spread(population, self.model.references.shape[1]).tensors])
        raw = self._raw(_spread(population, min(len(population), _SCALE_BY)))
        if not torch.isfinite(raw).all():
            raise ConfigurationError(
                f"learning_rate: expected one with which the training converges; it diverged with {self.settings.learning_rate}. "
                "Lower it."
            )
        self.center = raw.mean(1, keepdim=True)
        self.scale = raw.std(1, keepdim=True, correction=0).clamp(min=torch.finfo(torch.float32).tiny)

    @torch.inference_mode()
    def scores(self, population: Population) -> NDArray[np.float64]:
        """Return the scores of each member, `[members, architectures]`, on its scale."""
        scores: NDArray[np.float64] = ((self._raw(population) - self.center) / self.scale).numpy()
        return scores

    def state(self) -> dict[str, Any]:
        """Return a copy of all that training has changed, as tensors and plain data."""
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "generators": [generator.get_state() for generator in self.generators],
                "center": self.center,
                "scale": self.scale,
            }
        )

    def load(self, state: dict[str, Any]) -> None:
        """Restore a copy of what `state` returned."""
        state = copy.deepcopy(state)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for generator, held in zip(self.generators, state["generators"], strict=True):
            generator.set_state(held)
        self.center, self.scale = state["center"], state["scale"]
        self.model.eval()

    def _raw(self, population: Population) -> torch.Tensor:
        parts = [self.model(tensors).double().cpu() for tensors in population.chunks(population.encoder.at_once)]
        return torch.cat(parts, dim=1)


def _restored(arguments: dict[str, Any], state: dict[str, Any]) -> Trained:
    trained = Trained(**arguments)
    trained.load(state)
    return trained


def _spread(population: Population, count: int) -> Population:
    """Return `count` architectures, evenly spread over a population; some repeat where there are fewer."""
    return population[torch.linspace(0, len(population) - 1, count).round().long()]
