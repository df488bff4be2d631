"""Samplers of Optuna by name, from OptunaHub, from a module, or as an object."""

from __future__ import annotations

import copy
import inspect
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError, did_you_mean, message_in_one_line, nearest_first, wrong_kind
from archsearch.named_object import named_object
from archsearch.searchers.goals import Objective

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

logger = logging.getLogger(__name__)

# Name on the command line: class of optuna.samplers, and settings that suit architectures.
_SAMPLERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "cmaes": ("CmaEsSampler", {"warn_independent_sampling": False}),
    "gp": ("GPSampler", {"warn_independent_sampling": False}),
    "nsgaii": ("NSGAIISampler", {}),
    "nsgaiii": ("NSGAIIISampler", {}),
    # Without scrambling, the sequence would be the same for each seed.
    "qmc": ("QMCSampler", {"scramble": True, "warn_independent_sampling": False, "warn_asynchronous_seeding": False}),
    "random": ("RandomSampler", {}),
    "tpe": ("TPESampler", {"multivariate": True, "constant_liar": True}),
}
_HUB = "optunahub:"
_FORMS = f"{_HUB}NAME, module:Class"
_ORDERED = ("CmaEsSampler", "QMCSampler")


def sampler_names() -> list[str]:
    """Return the names that `sampler_of` knows without a colon."""
    return sorted(_SAMPLERS)


def sampler_of(given: Any, seed: int, options: Mapping[str, Any] | None = None) -> BaseSampler:
    """Return a sampler of Optuna.

    Args:
        given: One of `sampler_names()`; `optunahub:NAME` or `optunahub:NAME:Class`, a package of the registry at
            hub.optuna.org, which the package `optunahub` downloads; `module:Class`; a class; or a sampler, which is copied and
            keeps its own seed.
        seed: Seed of the sampler; a class that takes none is made without.
        options: Further arguments of the class, such as `{"n_startup_trials": 20}`.

    Raises:
        ConfigurationError: There is no such sampler, the class is none, a package is missing, or an option is wrong.

    Example:
        >>> sampler_of("gp", seed=0, options={"n_startup_trials": 5}).__class__.__name__
        'GPSampler'
    """
    import optuna

    options = dict(options or {})
    base = optuna.samplers.BaseSampler
    if isinstance(given, base):
        if options:
            raise ConfigurationError(
                f"sampler_options: the sampler {type(given).__name__} is made already; give {', '.join(options)} to its class."
            )
        return copy.deepcopy(given)  # two searches with one sampler do not disturb each other
    preset: Mapping[str, Any] = {}
    if isinstance(given, type):
        name, made = given.__name__, given
    elif not isinstance(given, str):
        raise ConfigurationError(wrong_kind("sampler", f"one of {', '.join(sampler_names())}, {_FORMS}, or a sampler", given))
    elif given in _SAMPLERS:
        kind, preset = _SAMPLERS[given]
        name, made = given, getattr(optuna.samplers, kind)
    elif given.startswith(_HUB):
        name, made = given, _from_hub(given.removeprefix(_HUB))
    elif ":" in given:
        name, made = given, named_object("sampler", given, "a sampler class")
    else:
        raise _unknown(given)
    if isinstance(made, base):
        return sampler_of(made, seed, options)
    if not (isinstance(made, type) and issubclass(made, base)):
        raise ConfigurationError(
            f"sampler: expected a class derived from optuna.samplers.BaseSampler; {name} is "
            f"{f'the class {made.__name__}' if isinstance(made, type) else f'of the type {type(made).__name__}'}."
        )
    return _made(name, made, seed, {**preset, **options}, frozenset(options))


def takes_numbers(sampler: BaseSampler) -> bool:
    """Return whether a sampler works on numbers only, so that genes must be given as the numbers of their choices.

    CMA-ES and quasi-Monte Carlo draw categories at random, without their method.
    """
    return any(kind.__name__ in _ORDERED for kind in type(sampler).__mro__)


def check_sampler(
    name: str, sampler: BaseSampler, distributions: Mapping[str, BaseDistribution], objectives: Sequence[Objective]
) -> None:
    """Let a copy of a sampler propose two points, so that one that cannot be used is refused before the search.

    Raises:
        ConfigurationError: It raised an error, such as for several objectives or for a package that is not installed.
    """
    import optuna

    try:
        trial_run = copy.deepcopy(sampler)
        directions: list[Any] = ["maximize" if objective.maximize else "minimize" for objective in objectives]
        study = optuna.create_study(sampler=trial_run, directions=directions)
        for number in range(2):
            trial = study.ask(fixed_distributions=dict(distributions))
            study.tell(trial, [float(number)] * len(directions))
    except ImportError as error:
        raise _missing(name, error) from error
    except Exception as error:  # a sampler of another package may raise anything
        several = f" with the objectives {', '.join(map(str, objectives))}" if len(objectives) > 1 else ""
        raise ConfigurationError(
            f"sampler: {name} cannot propose genes of this space{several} ({type(error).__name__}: "
            f"{message_in_one_line(error, 200)}). Choose another sampler, such as tpe, gp or nsgaii."
        ) from error


def _made(name: str, kind: Callable[..., Any], seed: int, options: dict[str, Any], given: frozenset[str]) -> BaseSampler:
    """Return a sampler of a class; the search's seed is given to each class that takes one."""
    from optuna.exceptions import ExperimentalWarning

    try:
        parameters = inspect.signature(kind).parameters
    except (TypeError, ValueError):  # a class that is written in another language
        parameters = {}  # type: ignore[assignment]
    any_name = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    if not any_name and (unknown := sorted(given - set(parameters))):
        known = nearest_first(unknown[0], [each for each in parameters if each != "seed"])
        raise ConfigurationError(
            f"sampler_options: {name} has no option {unknown[0]!r}; it takes {', '.join(known)}.{did_you_mean(unknown[0], known)}"
        )
    if "seed" in given:
        raise ConfigurationError("sampler_options: the seed of the sampler is that of the search; give --seed.")
    if "seed" in parameters or any_name:
        options["seed"] = seed
    else:
        logger.warning("the sampler %s takes no seed: its proposals may differ from run to run", name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler: BaseSampler = kind(**options)
    except ImportError as error:
        raise _missing(name, error) from error
    except Exception as error:  # the constructor of another package may raise anything
        raise ConfigurationError(
            f"sampler: {name} cannot be made from sampler_options={ {key: options[key] for key in sorted(given)} } "
            f"({type(error).__name__}: {message_in_one_line(error, 200)})."
        ) from error
    return sampler


def _missing(name: str, error: ImportError) -> ConfigurationError:
    package = error.name or name
    return ConfigurationError(
        f"sampler: {name} needs a package that is not installed ({message_in_one_line(error, 200)}). "
        f"Install it: pip install {package}; for all samplers by name: pip install 'archsearch[samplers]'."
    )


def _from_hub(text: str) -> Any:
    """Return the sampler class of an OptunaHub package: `auto_sampler`, or `auto_sampler:AutoSampler`."""
    import optuna

    package, _, wanted = text.partition(":")
    package = package.removeprefix("samplers/")
    try:
        import optunahub
    except ImportError as error:
        raise ConfigurationError(
            f"sampler: {_HUB}{text} needs the package optunahub; install it: pip install optunahub."
        ) from error
    try:
        module: Any = optunahub.load_module(f"samplers/{package}")
    except ImportError as error:  # of a package that the sampler needs
        raise _missing(f"{_HUB}{text}", error) from error
    except Exception as error:  # those of git, of GitHub and of the network
        raise ConfigurationError(
            f"sampler: cannot load {package!r} from OptunaHub ({type(error).__name__}: {message_in_one_line(error, 200)}). "
            "Is the name one of https://hub.optuna.org, and is GitHub reachable?"
        ) from error
    public = getattr(module, "__all__", None) or [each for each in dir(module) if not each.startswith("_")]
    classes = [
        each
        for each in public
        if isinstance(kind := getattr(module, each, None), type)
        and issubclass(kind, optuna.samplers.BaseSampler)
        and kind.__module__.partition(".")[0] != "optuna"
    ]
    if wanted and wanted in classes:
        return getattr(module, wanted)
    if wanted or len(classes) != 1:
        raise ConfigurationError(
            f"sampler: expected {_HUB}{package}:CLASS with one of {', '.join(classes) or 'no class'}; got {_HUB}{text}."
            f"{did_you_mean(wanted, classes)}"
        )
    return getattr(module, classes[0])


def _unknown(name: str) -> ConfigurationError:
    known = nearest_first(name, _SAMPLERS)
    return ConfigurationError(
        f"sampler: expected one of {', '.join(known)}, or {_FORMS}; got {name!r}.{did_you_mean(name.lower(), known)}"
    )
