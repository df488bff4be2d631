"""The space of an earlier run."""

from __future__ import annotations

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.platform.configuration import from_mapping
from archsearch.platform.run_space import space_of_run
from archsearch.spaces.enas import ENAS
from archsearch.spaces.nasbench201 import NASBench201

REFERENCE = "python:archsearch.spaces.nasbench201:NASBench201"


class Mine(NASBench201):
    name = "mine"


def test_the_settings_name_it_or_it_is_given() -> None:
    named = from_mapping({"space": "nasbench201"})
    assert space_of_run(named).name == space_of_run(named, REFERENCE).name == space_of_run(named, NASBench201()).name
    assert space_of_run(from_mapping({"space": REFERENCE})).name == "nasbench201"
    assert space_of_run(from_mapping({"space": REFERENCE}), NASBench201()).name == "nasbench201"
    mine = Mine()
    assert space_of_run(from_mapping({"space": "mine"}), mine) is mine


@pytest.mark.parametrize(
    ("named", "given", "words"),
    [
        (
            "mine",
            None,
            "a space of your own, .* Give it: --space python:MODULE:CLASS on the command line, or space=... in Python",
        ),
        ("mine", "nasbench201", "the run searched 'mine'; got 'nasbench201'"),
        ("nasbench201", ENAS(12), "the run searched 'nasbench201'; got 'enas12'"),
        (REFERENCE, "enas", "the run searched 'nasbench201'; got 'enas'"),
        ("mine", 3, "expected a search space, its name, python:MODULE:CLASS"),
    ],
)
def test_another_space_is_refused(named: str, given: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        space_of_run(from_mapping({"space": named}), given)  # type: ignore[arg-type]


def test_a_registered_space_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.spaces.registry._registered", {})
    spaces.register("mine", Mine)
    assert space_of_run(from_mapping({"space": "mine"})).name == "mine"
