"""Presets of searchers: named settings of model and search together.

The option `preset` of a searcher names one of its records here. Options that are given to the searcher replace those of the
record; so do the changes in `model`. A method gets another variant by another record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archsearch.errors import ConfigurationError, unknown_name


@dataclass(frozen=True)
class Preset:
    """A variant of a method.

    Args:
        name: Its name.
        description: What it is and where its values come from, as sentences.
        model: Arguments of the model beside its defaults; `preset` among them names the settings that the others change.
        search: Options of the searcher beside its defaults.
        by_space: Further options of the searcher, by the name of the space in which they hold.
        candidates: Number of candidates that a search evaluates with these options; None if any number will do.
        scaled_options: Options in `search` that are numbers of candidates, which a search of another length scales.
    """

    name: str
    description: str
    model: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    by_space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    candidates: int | None = None
    scaled_options: tuple[str, ...] = ()

    def options(
        self, space: str, given: Mapping[str, Any], num_candidates: int | None = None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the options of the searcher, and a sentence on them if they are not those of the record.

        Args:
            space: Name of the space.
            given: Options of the user, which replace those of the preset unless None.
            num_candidates: Candidates of the search; a number other than `candidates` scales the `scaled_options`.
        """
        explicit = {name: value for name, value in given.items() if value is not None}
        options = {**self.search, **self.by_space.get(space, {})}
        if not isinstance(num_candidates, int) or not (scaled := self.scaled(explicit, num_candidates)):
            return {**options, **explicit}, ()
        return {**options, **scaled, **explicit}, (self._note(scaled, num_candidates),)

    def scaled(self, given: Mapping[str, Any], num_candidates: int) -> dict[str, int]:
        """Return the `scaled_options` that are not given, for a search of this number of candidates."""
        if self.candidates is None or num_candidates == self.candidates:
            return {}
        factor = num_candidates / self.candidates
        return {name: max(1, round(factor * self.search[name])) for name in self.scaled_options if given.get(name) is None}

    def settled(self, given: Mapping[str, Any], num_candidates: int) -> dict[str, Any]:
        """Return the options that are given, with those of the record that a search keeps when it gets more candidates."""
        first = {"initial": self.search["initial"]} if "initial" in self.search else {}
        return {**first, **self.scaled(given, num_candidates), **given}

    def _note(self, scaled: Mapping[str, int], wanted: int) -> str:
        whole = ", ".join(f"{name}={self.search[name]}" for name in scaled)
        here = ", ".join(f"{name}={value}" for name, value in scaled.items())
        factor = wanted / (self.candidates or wanted)
        return (
            f"The preset {self.name} is made for {self.candidates:,} candidates ({whole}); for {wanted:,} it is scaled by "
            f"{factor:.3g} ({here})."
        )


Presets = Mapping[str, Preset]


def _registry(*presets: Preset) -> Presets:
    return {preset.name: preset for preset in presets}


GATES: Presets = _registry(
    Preset(
        "default",
        "GATES, which also reads counted properties of the graph; the ranking of a Gaussian process on graph features is added "
        "to it, and half of their uncertainty. Each fit starts from new weights, a small space is ranked as a whole, and a tenth "
        "of each stage is drawn at random.",
        search={"fusion": "gp", "optimism": 0.5},
    ),
    Preset("gates", "As the default, with the ranking of GATES alone."),
    Preset(
        "paper",
        "X. Ning et al., ECCV 2020: the published encoder, trained further from stage to stage, and an evolution on the "
        "predictor for each candidate of a stage. Nothing is drawn at random after the first stage, and no space is ranked as a "
        "whole. Numbers of candidates and the sizes of the evolution are those of the authors' later searches: the paper's own "
        "are not known for benchmark tables. In the space of ENAS it takes 600 random architectures and then 200, the best of "
        "10,000: initial=600, stage_size=200, inner={kind: random, ratio: 50}.",
        model={"preset": "paper"},
        search={
            "initial": 20,
            "stage_size": 5,
            "explore": 0.0,
            "warm": True,
            "inner": {"kind": "evolution", "population": 20, "tournament": 5, "steps": 50},
        },
    ),
    Preset(
        "authors",
        "The sample configurations of the authors' program, aw_nas: 200 candidates a stage, five stages, fits of 50 epochs in "
        "batches of 128, and for each candidate a walk of simulated annealing on the predictor, which at its temperature accepts "
        "nearly all mutations.",
        model={"preset": "paper", "epochs": 50, "warm_epochs": 50, "batch_size": 128},
        search={
            "initial": 200,
            "stage_size": 200,
            "explore": 0.0,
            "warm": True,
            "inner": {"kind": "annealing", "steps": 200, "temperature": 1000.0, "cooling": 0.95},
        },
        by_space={"nasbench201": {"inner": {"kind": "annealing", "steps": 50, "temperature": 1000.0, "cooling": 0.98}}},
        candidates=1000,
        scaled_options=("initial", "stage_size"),
    ),
)
"""Presets of `GATESEvolution`. The model is a `Predictor`: encoder, loss, members and epochs may be set too."""


GHN: Presets = _registry(
    Preset(
        "default",
        "Made for minutes on one core: 1,500 steps, and the first of 300 candidates by the sum of their ranks in validation "
        "loss, number of parameters and nwot, beside random ones.",
        search={"rank_candidates": 300, "rank_by": "loss+params+nwot", "steps": 1500, "explore": 0.1},
    ),
    Preset(
        "paper",
        "C. Zhang et al., ICLR 2019: 200 epochs of the images, and the ten first of 1,000 random candidates by accuracy; no "
        "others are evaluated. The epochs are scaled by one factor, which the log and the report tell.",
        model={"preset": "paper"},
        search={"rank_candidates": 1000, "rank_by": "score", "epochs": 200, "initial": 0, "explore": 0.0},
        candidates=10,
    ),
)
"""Presets of `GHNRandomSearch`. The authors have published no program, so there is none for it. The model is a `GHN`."""

_NGAE_SEARCH: Mapping[str, Any] = {
    "weight": 0.0,
    "stage_size": 5,
    "explore": 0.0,
    "unlabelled": 1000,
    "warm_epochs": 10,
    "predictor": "ensemble",
    "optimism": 1.0,
    "targets": "ranks",
    "acquisition": "ascent",
    "starts": 500,
    "steps": 60,
    "step": 0.1,
    "region": "ball",
    "best_share": 0.8,
    "best_spread": 0.3,
    "sample": False,
    "rerank": True,
}
_NGAE_PUBLISHED: Mapping[str, Any] = {
    "weight": 1.0,
    "stage_size": 10,
    "unlabelled": 0,
    "predictor": "heads",
    "targets": "scores",
    "starts": 100,
    "steps": 100,
    "region": "plain",
    "best_share": 0.0,
    "best_spread": 0.0,
    "sample": True,
    "rerank": False,
}
NGAE: Presets = _registry(
    Preset(
        "default",
        "The auto-encoder learns graphs from random architectures that are not evaluated, with a hundredth of the steps. A "
        "Gaussian process on its latent space predicts ranks; steps are taken in standard deviations of the data and stay near "
        "them, most starts lie around the best known, and another process on the features of graphs helps to rank what is "
        "decoded. The complexity has no weight.",
        model={"preset": "default"},
        search=_NGAE_SEARCH,
    ),
    Preset(
        "paper",
        "J. Li et al., arXiv 2006.10310: equation 6 with all weights and the noise 1, predictors that read the drawn sample and "
        "learn the scores as they are, and stochastic gradient descent, on evaluated architectures alone. Equation 7 with a "
        "weight of 1, by plain steps from N(0, I), and ends that are decoded by drawing. The paper gives no sizes and no step "
        "sizes: they are those of the authors' programs, but for the step of the descent. What is ours: the fit is repeated in "
        "each stage, and a decoder cannot leave the space.",
        model={"preset": "paper"},
        search={**_NGAE_SEARCH, **_NGAE_PUBLISHED, "step": 10.0},
    ),
    Preset(
        "authors",
        "What the authors' programs do where they differ from the paper: the weight of the divergence is .005 and the noise .01, "
        "predictors with one hidden layer read the mean, the encoder reads the graph in both directions, and Adam trains it. The "
        "ascent starts from the best known architectures, with steps of 1,000.",
        model={"preset": "authors"},
        search={**_NGAE_SEARCH, **_NGAE_PUBLISHED, "step": 1000.0, "best_share": 1.0},
    ),
)
"""Presets of `NGAEAscent`. The model is an `NGAE`: its settings may be set too."""

NASNET: Presets = _registry(
    Preset(
        "default",
        "PPO in updates of ten outcomes, rewards that are ranks, a larger learning rate and weight of the entropy: made for some "
        "hundred evaluations.",
    ),
    Preset(
        "paper",
        "B. Zoph et al., CVPR 2018, appendix A: PPO with a learning rate of .00035, an entropy weight of .00001, a baseline with "
        "the decay .95, updates of 20 outcomes, and 100 features. Made for 20,000 evaluations: in a few hundred the policy "
        "hardly moves.",
        model={"preset": "paper"},
    ),
    Preset(
        "reinforce",
        "B. Zoph and Q. Le, ICLR 2017, section 4.1: REINFORCE with a learning rate of .0006 and two layers of 35 features. The "
        "reward is the score and not its cube.",
        model={"preset": "reinforce"},
    ),
)
"""Presets of `ControllerSearch`. The model is a `Controller`: its settings may be set too."""

NAO: Presets = _registry(
    Preset(
        "default",
        "Encoder and decoder learn sequences from random architectures that are not evaluated, and then with each fit from the "
        "outcomes. Stages of ten from the 20 best, ranked by their prediction; a tenth of each stage is drawn at random.",
        search={"stage_size": 10, "explore": 0.1, "unlabelled": 500, "parents": 20, "step": 0.5, "rounds": 10, "rerank": True},
    ),
    Preset(
        "paper",
        "R. Luo et al., NeurIPS 2018, section 4.1: 600 random candidates, then 200 in each of two stages, from the 100 best, and "
        "steps of growing length until there are enough new ones. The model is fitted anew to all outcomes in each stage, and "
        "nothing else is drawn at random. With fewer candidates the numbers are scaled. Without weight sharing.",
        model={"preset": "paper"},
        search={
            "initial": 600,
            "stage_size": 200,
            "explore": 0.0,
            "unlabelled": 0,
            "parents": 100,
            "step": 1.0,
            "rounds": 30,
            "rerank": False,
        },
        candidates=1000,
        scaled_options=("initial", "stage_size", "parents"),
    ),
)
"""Presets of `EncodingSearch`. The model is a `NAO`: its settings may be set too."""

PNAS: Presets = _registry(
    Preset(
        "default",
        "Made for some hundred evaluations: stages of five, three tenths of the candidates while sizes grow, then growth by "
        "prediction alone. A tenth of each stage is drawn at random.",
        search={"stage_size": 5, "growing": 0.3, "beam": 50, "children": 40, "explore": 0.1},
    ),
    Preset(
        "paper",
        "C. Liu et al., ECCV 2018: 256 candidates of each size, the five sizes of its cells in turn, LSTMs of 100 features, and "
        "nothing at random. With fewer candidates the 256 are scaled.",
        model={"recurrent": 100, "head": (), "epochs": 20},
        search={"initial": 256, "stage_size": 256, "growing": 1.0, "beam": 256, "children": 1000, "explore": 0.0},
        candidates=1280,
        scaled_options=("initial", "stage_size"),
    ),
)
"""Presets of `ProgressiveSearch`. The model is a `SequencePredictor`: its settings may be set too."""

DARTS: Presets = _registry(
    Preset(
        "default",
        "Made for minutes on one core: 1,000 steps of the first order, with a learning rate of the operators' weights that makes "
        "them move as far as in the paper.",
        search={"steps": 1000, "order": 1, "alpha_learning_rate": 0.01},
    ),
    Preset(
        "paper",
        "H. Liu et al., ICLR 2019: the second order, 50 epochs of half of CIFAR-10 in batches of 64, no warm-up. Of edges, one "
        "wiring is drawn for each step, which is ours.",
        model={"warmup": 0.0, "batch_size": 64, "learning_rate": 0.025},
        search={"steps": 19_500, "order": 2, "alpha_learning_rate": 3e-4},
    ),
)
"""Presets of `DARTSSearch`. The model is a `DifferentiableSupernet`."""

ENAS: Presets = _registry(
    Preset(
        "default",
        "Made for minutes on one core: 1,000 steps, and a controller with a larger learning rate and more weight on its entropy.",
        search={"steps": 1000, "policy_learning_rate": 1e-3, "entropy_weight": 3e-3},
    ),
    Preset(
        "paper",
        "H. Pham et al., ICML 2018: the learning rate of the controller, the weight of its entropy, its moving mean, and 150 "
        "epochs of CIFAR-10 for cells (310 for whole networks). Steps of weights and controller alternate, which is ours.",
        model={"baseline_decay": 0.99, "warmup": 0.0, "batch_size": 128},
        search={"steps": 58_500, "policy_learning_rate": 3.5e-4, "entropy_weight": 1e-4},
    ),
)
"""Presets of `ENASSearch`. The model is a `ControlledSupernet`."""

NAO_WS: Presets = _registry(
    Preset(
        "default",
        "Made for minutes on one core: 1,000 steps, and a population of 100 that is scored five times.",
        search={"steps": 1000, "population": 100, "rounds": 5},
    ),
    Preset(
        "paper",
        "R. Luo et al., NeurIPS 2018, and the authors' program: 1,000 architectures, of which 500 are replaced by improved and "
        "50 by random ones after each 30 of 150 epochs of CIFAR-10, in batches of 160, LSTMs of 96 features, and a predictor "
        "with three layers of 100. It learns ranks and starts from new weights each time, which is ours.",
        model={
            "parents": 100,
            "score_batch": 500,
            "batch_size": 160,
            "learning_rate": 0.05,
            "encoder": {"preset": "paper", "steps": 10_000, "head": (100, 100, 100)},
        },
        search={"steps": 42_200, "population": 1000, "rounds": 5},
    ),
)
"""Presets of `SharedEncodingSearch`. The model is an `EncodedSupernet`."""

PRESETS: Mapping[str, Presets] = {
    "darts": DARTS,
    "enas": ENAS,
    "gates": GATES,
    "ghn": GHN,
    "nao": NAO,
    "nao-ws": NAO_WS,
    "nasnet": NASNET,
    "ngae": NGAE,
    "pnas": PNAS,
}
"""Presets by the name of the searcher."""


def preset_named(name: object, presets: Presets) -> Preset:
    """Return a preset.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if not isinstance(name, str) or name not in presets:
        raise ConfigurationError(unknown_name("preset", name, presets))
    return presets[name]
