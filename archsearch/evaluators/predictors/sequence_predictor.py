"""An ensemble of LSTMs that read the genes of an architecture, as the predictors of PNAS do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind
from archsearch.evaluators.predictors.encoders.lstm import LSTM
from archsearch.evaluators.predictors.model import ScoringModel
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import FlatParameters, Generators
from archsearch.evaluators.predictors.training import train
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.evaluators.vectors import learnable_scores
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.gene_sequence import GeneSequences

_VERSION = 1
_CHUNK = 512  # architectures that are scored at once
SIZES = Settings(recurrent=32, head=(32,), dropout=0.0, epochs=50, batch_size=512, learning_rate=1e-2)


class GeneLSTM(LSTM):
    """Reads the tokens of genes, each with an embedding of its own; the last output is the vector.

    Args:
        tokens: Number of tokens.
        settings: Sizes; embeddings and states have `recurrent` features.
        generators: One for each member.
    """

    def __init__(self, tokens: int, settings: Settings, generators: Generators) -> None:
        torch.nn.Module.__init__(self)
        self._make(tokens, settings, generators)


class SequencePredictor(FixedOptions):
    """Predicts scores by the mean of several LSTMs over the genes of an architecture.

    C. Liu et al., "Progressive Neural Architecture Search", ECCV 2018, arXiv 1712.00559, section 3.4 and appendix B: an ensemble
    of five, each with other initial weights. Theirs learn accuracies through a sigmoid, each from four fifths of the data; these
    learn ranks by squared error, each from all.

    In a space of at most `enumerable` architectures genes are those of `space.representative`, so that equal architectures have
    one prediction. In larger ones the representative takes too long to find for the thousands that a search ranks.

    Args:
        space: Space of the architectures.
        seed: Seed of weights and order.
        members: Number of LSTMs.
        **changes: Changes to `SIZES`, such as `epochs=20`; see `archsearch.evaluators.predictors.settings.Settings`.

    Raises:
        ConfigurationError: A setting is out of range, or the space leaves nothing to choose.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.predictors.sequence_predictor import SequencePredictor
        >>> space, rng = spaces.get("enas"), np.random.default_rng(0)
        >>> architectures = [space.sample(rng) for _ in range(20)]
        >>> SequencePredictor(space, epochs=2).fit(architectures, np.linspace(0.5, 0.9, 20)).predict(architectures).shape
        (20,)
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: Annotated[int, AtLeast(0)] = 0,
        *,
        members: Annotated[int, AtLeast(1)] = 5,
        **changes: Any,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        self.space, self.seed, self.members = space, seed, members
        self.settings: Settings = SIZES.with_changes(**changes)
        self._sequences = GeneSequences(space)
        self._model: ScoringModel | None = None

    def prepare(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return architectures as tokens, `[architectures, genes]`, which `predict` reads too."""
        if self.space.size <= self.space.enumerable:
            architectures = [self.space.representative(each) for each in architectures]
        return torch.from_numpy(self._sequences.tokens(architectures))

    def fit(self, architectures: Sequence[Architecture], scores: ArrayLike) -> SequencePredictor:
        """Learn the order of scored architectures from new weights, and return the predictor.

        Args:
            architectures: At least two.
            scores: `[architectures]`, higher is better.

        Raises:
            ConfigurationError: There are fewer than two different scores, or one is not finite.
        """
        vector = learnable_scores(scores, len(architectures))
        ranks = (stats.rankdata(vector) - 1.0) / (len(vector) - 1.0)
        model, generators = self._made()
        parameters = FlatParameters(model)
        train(
            model,
            parameters,
            torch.optim.Adam([parameters.flat], lr=self.settings.learning_rate, fused=True),
            [self.prepare(architectures)],
            torch.tensor(ranks, dtype=torch.float32),
            generators,
            epochs=self.settings.epochs,
            batch_size=self.settings.batch_size,
        )
        self._model = model
        return self

    @torch.inference_mode()
    def predict(self, architectures: Sequence[Architecture] | Tensor) -> NDArray[np.float64]:
        """Return predicted ranks, about 0 to 1, `[architectures]`, the mean over the members.

        Args:
            architectures: A sequence of them, or what `prepare` returned.

        Raises:
            ConfigurationError: There was no fit before.
        """
        if self._model is None:
            raise ConfigurationError("predictor: it has learned nothing yet; call fit or load first.")
        tokens = architectures if isinstance(architectures, Tensor) else self.prepare(architectures)
        if not len(tokens):
            return np.empty(0)
        parts = [self._model([part.unsqueeze(0)]).double().mean(0) for part in tokens.split(_CHUNK)]
        found: NDArray[np.float64] = torch.cat(parts).numpy()
        return found

    def state(self) -> dict[str, Any]:
        """Return the weights and what they are of, as tensors and plain data.

        Raises:
            ConfigurationError: There was no fit before.
        """
        if self._model is None:
            raise ConfigurationError("predictor: it has learned nothing yet; call fit or load first.")
        weights = {name: value.clone() for name, value in self._model.state_dict().items()}
        return {**self._identity(), "model": weights}

    def load(self, state: Mapping[str, Any]) -> SequencePredictor:
        """Restore what `state` of a predictor with the same arguments returned, and return the predictor.

        Raises:
            ConfigurationError: The state is of another space, number of members or version, or it is corrupt.
        """
        with taking_over("predictor"):
            check_identity(state, self._identity(), "Make the predictor with the arguments of the saved one.")
            model, _ = self._made()
            model.load_state_dict(state["model"])
            model.eval()
        self._model = model
        return self

    def _identity(self) -> dict[str, Any]:
        sizes = list(self._sequences.sizes)
        return {"version": _VERSION, "space": self.space.name, "sizes": sizes, "members": self.members}

    def _made(self) -> tuple[ScoringModel, list[torch.Generator]]:
        seeds = [np.random.SeedSequence([self.seed, member]).generate_state(1, np.uint64)[0] for member in range(self.members)]
        generators = [torch.Generator().manual_seed(int(seed >> np.uint64(1))) for seed in seeds]
        encoder = GeneLSTM(self._sequences.num_tokens, self.settings, generators)
        return ScoringModel(encoder, "mse", self.settings, generators), generators
