"""Bad values of each argument of each searcher and evaluator are refused by its constructor, by a typed error that names it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from archsearch import evaluators, searchers, spaces
from archsearch.declarations import argument_declarations
from archsearch.errors import ConfigurationError
from archsearch.evaluators.options import options_of
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.proxies.evaluator import ProxyEvaluator
from archsearch.searchers import Constraint, Goals, Objective

SPACE = spaces.get("nasbench201")


def constant(model: Any, context: Any) -> float:
    return 0.5


CLASSES: dict[str, tuple[type, dict[str, Any]]] = {
    **{name: (searchers.get(name), {"space": SPACE}) for name in searchers.names()},
    "TrainingEvaluator": (evaluators.TrainingEvaluator, {"space": SPACE, "dataset": "digits"}),
    "ProxyEvaluator": (ProxyEvaluator, {"space": SPACE, "dataset": "digits", "proxies": ["nwot"]}),
    "FunctionEvaluator": (evaluators.FunctionEvaluator, {"space": SPACE, "function": constant}),
    "GHN": (evaluators.GHN, {"space": SPACE, "dataset": "digits"}),
    "OneShot": (evaluators.OneShot, {"space": SPACE, "dataset": "digits"}),
    "SGDSteps": (evaluators.SGDSteps, {"space": SPACE, "dataset": "digits"}),
    "Predictor": (evaluators.Predictor, {"space": SPACE}),
    "GaussianProcess": (GaussianProcess, {"space": SPACE}),
    "NGAE": (evaluators.NGAE, {"space": SPACE}),
}
CLASSES["proxies"][1]["dataset"] = "digits"
# No value of these is one.
STRANGE = {"an object": object(), "a list": [[]]}
BY_KIND: dict[type, dict[str, Any]] = {
    bool: {**STRANGE, "a number": 1, "a string": "yes"},
    int: {**STRANGE, "a string": "1", "a bool": True, "NaN": math.nan, "infinity": math.inf, "a fraction": 1.5, "-7": -7},
    float: {**STRANGE, "a string": "1", "a bool": True, "NaN": math.nan, "infinity": math.inf, "-7": -7.0},
    str: {**STRANGE, "a number": 1, "a bool": True},
    Mapping: {**STRANGE, "a number": 1, "a string": "x", "a list of names": ["width"]},
}
# Names that are chosen freely, or that only loading tells to be wrong.
FREE = {"metric", "root", "cache", "pool", "dataset", "score_name", "complexity", "rank_by"}


def declared(kind: type) -> dict[str, Any]:
    """Return what the constructors of a class and its bases declare of their arguments."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if "__init__" in vars(base) and base.__module__.startswith("archsearch."):
            found = {**argument_declarations(inspect.unwrap(vars(base)["__init__"])).declared, **found}
    return found


def cases() -> list[Any]:
    rows = []
    for name, (kind, _) in CLASSES.items():
        known = declared(kind)
        for argument in options_of(
            kind, ["space", "stage_size", "algorithm"] if name in ("ghn", "proxies", "smash") else ["space"]
        ):
            if argument in known:
                rows.append(pytest.param(name, argument, known[argument].kind, id=f"{name}-{argument}"))
    return rows


def refuses(make: Callable[..., Any], argument: str, value: object) -> str:
    """Return an empty string if the error names the argument, else what happened instead."""
    try:
        make(**{argument: value})
    except ConfigurationError as error:
        return "" if argument in str(error) else f"the error does not name it: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "it passes"


@pytest.mark.parametrize(("name", "argument", "kind"), cases())
def test_wrong_values_are_refused(name: str, argument: str, kind: type) -> None:
    made, fixed = CLASSES[name]
    bad = dict(BY_KIND[kind])
    if kind is str and argument not in FREE:
        bad["a misspelt name"] = "gatess"
    wrong = {what: refuses(lambda **given: made(**{**fixed, **given}), argument, value) for what, value in bad.items()}
    assert not {what: why for what, why in wrong.items() if why}


def test_the_table_has_what_it_is_about() -> None:
    found = {(row.values[0], row.values[1]) for row in cases()}
    for expected in (("ngae", "weight"), ("ngae", "step"), ("gates", "population"), ("random", "workers"), ("ghn", "gpus")):
        assert expected in found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"complexity": "mac"}, "complexity: expected one of latency_ms, macs, params; got 'mac'. Did you mean 'macs'?"),
        ({"complexity": "mac", "weight": 0.3}, "complexity: expected one of"),
        ({"weight": 0.3}, "weight: 0.3 of the complexity macs needs goals that know this cost; got none."),
        ({"weight": 0.3, "complexity": None}, "weight: 0.3"),
        ({"starts": 0}, "starts: expected a number of at least 1; got 0."),
        ({"step": 0.0}, "step: expected a number above 0; got 0.0."),
        ({"region": "bal"}, "region: expected one of ball, "),
        ({"unlabelled": 1}, "unlabelled: expected at least 2 architectures"),
        ({"gpus": 1.5}, "gpus: expected a fraction up to 1 or a whole number"),
        ({"pool": "a b"}, "pool: expected letters, digits"),
        ({"goals": {"macs": "<= 5"}}, "goals: expected Goals"),
    ],
)
def test_values_that_would_silently_do_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        searchers.NGAEAscent(SPACE, **settings)
    assert str(raised.value).startswith(message)


def test_a_weight_with_goals_counts() -> None:
    goals = Goals(costs=lambda architecture: {"macs": 1.0}, cost_names=("macs",))
    assert searchers.NGAEAscent(SPACE, weight=0.3, goals=goals).propose_options()["weights"] == (0.3,)
    with pytest.raises(ConfigurationError, match="complexity: expected one of macs; got 'params'"):
        searchers.NGAEAscent(SPACE, weight=0.3, complexity="params", goals=goals)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constraint("macs", "=<", 5.0), "constraint: expected one of <=, >=, <, >; got '=<'."),
        (lambda: Constraint("macs", "<=", math.nan), "constraint: expected a finite number for macs; got nan."),
        (lambda: Objective(["score"]), "objective: expected the name of a figure"),  # type: ignore[arg-type]
        (lambda: Goals(("score",)), "objectives: expected a tuple of Objective objects"),  # type: ignore[arg-type]
        (lambda: Goals(()), "objectives: expected one at least"),
        (lambda: Goals(constraints=(Constraint("macs", "<=", 5.0),)), "constraints: macs is not among the costs"),
    ],
)
def test_goals_that_no_candidate_could_meet_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make()
    assert str(raised.value).startswith(message)
