"""Random settings, YAML files and options of the command line: each is taken, or refused with an error of archsearch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.errors import ArchSearchError, ConfigurationError
from archsearch.evaluators import from_text
from archsearch.platform.configuration import (
    DEFAULT_JOB,
    SearchConfiguration,
    from_mapping,
    parse_constraints,
    parse_options,
    read_yaml,
    with_default_job,
    write_yaml,
)
from archsearch.platform.run_folder import RunFolder
from archsearch.searchers import get as get_searcher
from archsearch.searchers import goals_for

CASES = [
    100,
    pytest.param(500, marks=pytest.mark.slow),
    pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
]
DEFAULTS = SearchConfiguration().as_dict()
TOKENS = (
    *(
        "space",
        "searcher",
        "evaluator",
        "seed",
        "name",
        "objectives",
        "constraints",
        "evaluator_options",
        ": ",
        ":",
        "\n",
        "\n  ",
    ),
    *(
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "!!int ",
        "!!float ",
        "!!timestamp ",
        "!!set ",
        "!x ",
        "|\n",
        ">\n",
    ),
    *("'", '"', "#", "---\n", "...\n", "\t", "\0", "\u2028", "2024-13-45", "0b", "0o9", "1:99", "1e999", "-1", ".nan", "~"),
    *("9" * 5000, "[" * 500, "null", "true", "macs", "<= 1e6", "train:digits", "\ud7ff", "%YAML 1.2\n", "@", "`"),
)
SCALARS = st.one_of(
    *(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(10**20, 10**400),
        st.floats(),
        st.text(max_size=6),
        st.binary(max_size=3),
    ),
    *(st.sampled_from(["ghn", "table:digits201", "-macs", "<= 1e6", "..", "a" * 300, "\0", "~nobody/x", "\ud800"]),),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS.filter(lambda key: key == key), inner, max_size=3),
)
SPACE = spaces.get("nasbench201")


def repeated(cases: int, law: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Run a property on so many examples."""
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    settings(max_examples=cases, deadline=None, database=None, suppress_health_check=checks)(given(*strategies)(law))()


def refused_or_kept(content: Any, path: Path) -> None:
    """Settings that are taken can be written to the file of a run, which gives them back."""
    try:
        configuration = from_mapping(with_default_job(content))
    except ConfigurationError as error:
        assert "\n" not in str(error) and len(str(error)) < 20_000
        return
    write_yaml(configuration, path)
    kept = from_mapping(read_yaml(path)).as_dict()
    assert repr(kept) == repr({**kept, **configuration.as_dict()}), "repr, because NaN differs from itself"


@pytest.mark.parametrize("cases", CASES)
def test_settings(cases: int, tmp_path: Path) -> None:
    own = st.fixed_dictionaries({}, optional={name: st.just(value) | VALUES for name, value in {**DEFAULTS, "sead": 1}.items()})
    few = st.dictionaries(st.sampled_from([*DEFAULTS, *DEFAULT_JOB]), VALUES, max_size=3)
    repeated(cases, lambda content: refused_or_kept(content, tmp_path / "run.yaml"), own | few)


@pytest.mark.parametrize("cases", CASES)
def test_yaml_files(cases: int, tmp_path: Path) -> None:
    path = tmp_path / "search.yaml"
    write_yaml(SearchConfiguration(constraints={"macs": "<= 1e6"}, evaluator_options={"epochs": 3}), path)
    whole = path.read_bytes()

    def law(content: bytes) -> None:
        path.write_bytes(content)
        try:
            found = read_yaml(path)
        except ConfigurationError as error:
            assert "\n" not in str(error)
        else:
            refused_or_kept(found, tmp_path / "run.yaml")

    pieces = st.lists(st.sampled_from(TOKENS), max_size=6).map(lambda tokens: "".join(tokens).encode())
    edits = st.tuples(st.integers(0, len(whole)), pieces, st.integers(0, 40))
    edited = edits.map(lambda edit: whole[: edit[0]] + edit[1] + whole[edit[0] + edit[2] :])
    repeated(cases, law, pieces | st.binary(max_size=20) | edited)


@pytest.mark.parametrize("cases", CASES)
def test_options_of_the_command_line(cases: int) -> None:
    def law(texts: list[str]) -> None:
        for parse in (parse_options, parse_constraints):
            try:
                found = parse(texts)
            except ConfigurationError as error:
                assert str(error)
            else:
                assert all(isinstance(name, str) and name for name in found)

    pairs = st.lists(st.sampled_from([*TOKENS, "epochs=", "macs", "<=", ">"]), max_size=5).map("".join)
    repeated(cases, law, st.lists(pairs | st.text(max_size=8), max_size=2))


@pytest.mark.parametrize("cases", CASES)
def test_what_a_search_is_made_of(cases: int) -> None:
    """Settings of the right types, but for parts that do not exist or do not take them."""
    evaluator = from_text("table:digits201", SPACE)
    words = st.sampled_from(["score", "-macs", "+params", "valid_loss", "test_accuracy", "-", "", "latency", "macs", "anytime"])
    limits = st.sampled_from(["<= 1e6", ">= 1, <= 2", "<", "<= nan", "<= -1e999", "= 3", ""]) | st.text(max_size=5)
    names = st.sampled_from(
        ["population_size", "tournament_size", "batch_size", "goals", "self", "space", "seed", "percent", "x"]
    )
    few = st.sampled_from([-1, 0, 1, 2, 7, 0.5, None, "5", True, [1], {}])  # large sizes would be taken, and cost memory

    def law(objectives: list[str], constraints: dict[str, str], searcher: str, options: dict[str, Any], text: str) -> None:
        for make in (
            lambda: goals_for(evaluator, objectives, constraints).require_feasible(SPACE, np.random.default_rng(0), draws=10),
            lambda: from_text(text, SPACE, 0, options),
            lambda: get_searcher(searcher).options_for(evaluator, options),
        ):
            try:
                make()
            except ArchSearchError as error:
                assert "\n" not in str(error)

    kinds = st.sampled_from(["evolution", "random", "gates", "gp", "ngae", "optuna", "ghn", "evolutoin"])
    texts = st.sampled_from(
        ["table:digits201", "table:digits201#test_accuracy", "table:x#y", "table:/x.parquet#y", "train:", "x"]
    )
    goals = st.lists(words | st.text(max_size=4), max_size=3), st.dictionaries(words, limits, max_size=2)
    repeated(cases, law, *goals, kinds, st.dictionaries(names, few, max_size=2), texts | st.text(max_size=6))


@pytest.mark.parametrize("cases", [100, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_folders_of_runs(cases: int, tmp_path: Path) -> None:
    def law(name: str, storage: str) -> None:
        try:
            configuration = SearchConfiguration(name=name, storage=f"{tmp_path}/{storage}")
            folder = RunFolder.create(configuration, name)
        except ArchSearchError as error:
            assert str(error)
        else:
            assert RunFolder.open(folder.path).configuration() == configuration
            assert tmp_path in folder.path.parents, "nothing is written elsewhere"

    names = st.text(max_size=12) | st.sampled_from([".", "..", "größer 1", "a" * 200, "ö" * 200, "\ud800", "run", "-", "a\nb"])
    repeated(cases, law, names, st.text("ab ö\0\ud800/~", max_size=6).filter(lambda text: ".." not in text))
