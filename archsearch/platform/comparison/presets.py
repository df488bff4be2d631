"""Presets of comparisons: searchers with settings that suit the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.errors import ConfigurationError, unknown_name

_DIGITS_TABLE = "table:digits201"
_PAPERS = ("ghn", "gates", "ngae", "evolution", "optuna", "random")
_RIVALS = ("darts", "enas", "smash", "nasnet", "pnas", "nao", "nao-ws", "evolution", "random")


@dataclass(frozen=True)
class Preset:
    """Settings of a comparison.

    Args:
        searchers: Names, in the order in which they run.
        seeds: Number of searches of each.
        settings: Further settings, as `compare` takes them.
    """

    searchers: tuple[str, ...]
    seeds: int
    settings: Mapping[str, Any]


def preset(name: str, settings: Mapping[str, Any], searchers: Sequence[str] | None = None) -> Preset:
    """Return a preset, overridden and completed by the user's settings.

    Args:
        name: Name of the preset: `papers` or `rivals`.
        settings: The user's settings, as `compare` takes them.
        searchers: Names of searchers; None takes all of the preset.

    Raises:
        ConfigurationError: There is no such preset, or a setting that it needs is missing.
    """
    if name not in _PRESETS:
        raise ConfigurationError(unknown_name("preset", name, _PRESETS))
    return _PRESETS[name](settings, searchers)


def _papers(settings: Mapping[str, Any], searchers: Sequence[str] | None) -> Preset:
    """Return the methods of three papers, evolution, TPE and random search, with sizes for minutes on two cores.

    With a table it is 100 candidates and five seeds, with trainings 24 and three. The initial random stage of each method is
    short, so that it can use most of the budget for what it has learned.
    """
    evaluator = str(settings.get("evaluator", "train:digits"))
    trains = evaluator.startswith("train:")
    candidates = settings.get("num_candidates", 24 if trains else 100)
    ghn = {"initial": max(1, candidates // 10)}
    if not trains:
        ghn |= {"dataset": "digits"} if evaluator == _DIGITS_TABLE else {}
    options = {
        "evolution": {"population_size": max(4, candidates // 5), "tournament_size": max(2, candidates // 10)},
        "gates": {"initial": max(5, candidates // 10)},
        "ngae": {"initial": max(5, candidates // 5)},
        "ghn": ghn,
    }
    given = settings.get("searcher_options", {})
    chosen = tuple(searchers or _PAPERS)
    if "ghn" in chosen:
        _check_images("ghn", evaluator, ghn, given)
    return _completed(chosen, settings, options, candidates)


def _rivals(settings: Mapping[str, Any], searchers: Sequence[str] | None) -> Preset:
    """Return the systems that the three papers compare with, evolution and random search.

    Sizes are those of `papers`. First stages and updates are short, so that most of the budget is used for what was learned.
    Searchers that share weights are trained on images: those of the evaluator.
    """
    from archsearch.searchers.registry import get, names  # it loads Ray

    evaluator = str(settings.get("evaluator", "train:digits"))
    trains = evaluator.startswith("train:")
    candidates = settings.get("num_candidates", 24 if trains else 100)
    options: dict[str, dict[str, Any]] = {
        "evolution": {"population_size": max(4, candidates // 5), "tournament_size": max(2, candidates // 10)},
        "nasnet": {"update_size": max(2, min(10, candidates // 8))},
        "pnas": {"initial": max(5, candidates // 10)},
        "nao": {"initial": max(5, candidates // 5)},
    }
    given, known = settings.get("searcher_options", {}), names()
    chosen = tuple(searchers or _RIVALS)
    for name in chosen:
        if name in known and name not in options and "dataset" in get(name).constructor_options:
            options[name] = {"dataset": "digits"} if evaluator == _DIGITS_TABLE else {}
            _check_images(name, evaluator, options[name], given)
    return _completed(chosen, settings, options, candidates)


def _completed(
    searchers: tuple[str, ...], settings: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], candidates: int
) -> Preset:
    """Return a preset of searchers with options that suit them, completed by the user's settings, which come first."""
    trains = str(settings.get("evaluator", "train:digits")).startswith("train:")
    suited = {f"{searcher}.{key}": value for searcher, row in options.items() for key, value in row.items()}
    training = {"evaluator_options": {"epochs": 5, **settings.get("evaluator_options", {})}} if trains else {}
    given = settings.get("searcher_options", {})
    completed = {"num_candidates": candidates, **settings, **training, "searcher_options": {**suited, **given}}
    return Preset(searchers, 3 if trains else 5, completed)


def _check_images(name: str, evaluator: str, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if not evaluator.startswith("train:") and "dataset" not in options and not {"dataset", f"{name}.dataset"} & set(given):
        what = "a hypernetwork" if name == "ghn" else "its network"
        raise ConfigurationError(
            f"{name}.dataset: {what} is trained on images, and {evaluator} does not say on which; give "
            f"--set {name}.dataset=cifar10 or --set {name}.dataset=parquet:PATH, or name searchers without {name}: --searchers."
        )


_PRESETS: Mapping[str, Callable[[Mapping[str, Any], Sequence[str] | None], Preset]] = {"papers": _papers, "rivals": _rivals}
