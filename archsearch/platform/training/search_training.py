"""The training of the candidates of a search, as default of the final training of its best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluator, Recipe
from archsearch.evaluators.training.recipe import recipe_named

if TYPE_CHECKING:
    from archsearch.evaluators.datasets import Splits
    from archsearch.platform.training.trained_model import TrainedModel

_AS_IN_THE_SEARCH = "as in the search"


@dataclass(frozen=True)
class SearchTraining:
    """The images and the recipe by which a search scored its candidates.

    Args:
        dataset: Name of the dataset, or splits in memory.
        recipe: Settings of the trainings.
        name: Human-readable name of the dataset.
    """

    dataset: str | Splits
    recipe: Recipe
    name: str

    @classmethod
    def of(cls, evaluator: Evaluator) -> SearchTraining | None:
        """Return how an evaluator trains, or None for one that does not, such as a table."""
        images, recipe = getattr(evaluator, "images", None), getattr(evaluator, "recipe", None)
        if images is None or not isinstance(recipe, Recipe):
            return None
        original = images.original  # a search may use smaller images
        return cls(original, recipe, original if isinstance(original, str) else images.name)


@dataclass(frozen=True)
class ChosenTraining:
    """Images and recipe of a final training, and how they compare with those of the search.

    Args:
        dataset: Name of the dataset, or splits in memory.
        recipe: Name of a recipe, or settings.
        changes: Changes to the recipe.
        difference: One line for the user; empty if the search did not train.
        label: Name of the recipe on the model card, if it is that of the search.
    """

    dataset: str | Splits
    recipe: str | Recipe
    changes: Mapping[str, Any]
    difference: str
    label: str | None = None

    def named(self, model: TrainedModel) -> TrainedModel:
        """Return a model that was trained so, with the name of its recipe."""
        return model if self.label is None else replace(model, recipe_name=self.label)


def chosen_training(
    search: SearchTraining | None, dataset: str | Splits | None, recipe: str | Recipe | None, changes: Mapping[str, Any]
) -> ChosenTraining:
    """Return images and recipe of a final training: what is given, else those of the search.

    On another dataset than the search's, the default is the recipe `short`, which depends on the dataset.

    Args:
        search: How the search trained; None if it did not.
        dataset: The images; None takes those of the search.
        recipe: The recipe; None takes that of the search.
        changes: Changes to the recipe, such as `{"epochs": 100}`.

    Raises:
        ConfigurationError: No dataset is given, and the search has none; or a change is unknown or out of range.
    """
    if dataset is None:
        if search is None:
            raise ConfigurationError(
                "dataset: expected images to train on, because the search took its scores from elsewhere; got None. Name some, "
                "such as digits or imagefolder:photos."
            )
        dataset = search.dataset
    if search is None:
        return ChosenTraining(dataset, "short" if recipe is None else recipe, changes, "")
    same = dataset is search.dataset or dataset == search.dataset
    if recipe is None:
        recipe = search.recipe if same else "short"
    name = dataset if isinstance(dataset, str) else dataset.train.name.partition("/")[0]
    made = recipe_named(recipe, name).with_changes(**changes)
    parts = [] if same else [f"on {name} instead of {search.name}"]
    before, after = asdict(search.recipe), asdict(made)
    parts += [
        f"{setting} {after[setting]} instead of {before[setting]}" for setting in after if after[setting] != before[setting]
    ]
    facts = f"{made.epochs} epochs, batches of {made.batch_size}"
    text = f"Training as in the search, but {', '.join(parts)}." if parts else f"Training on {name} as in the search: {facts}."
    label = ", ".join([_AS_IN_THE_SEARCH, *(f"{setting}={value}" for setting, value in changes.items())])
    return ChosenTraining(dataset, recipe, changes, text, label if recipe is search.recipe else None)
