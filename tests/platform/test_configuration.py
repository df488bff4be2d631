from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.platform.configuration import (
    DEFAULT_JOB,
    SearchConfiguration,
    from_mapping,
    parse_options,
    read_yaml,
    with_default_job,
    write_yaml,
)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    configuration = SearchConfiguration(searcher="random", num_candidates=7, evaluator_options={"epochs": 3}, name="größer")
    write_yaml(configuration, tmp_path / "run.yaml")
    assert from_mapping(read_yaml(tmp_path / "run.yaml")) == configuration


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert from_mapping(read_yaml(tmp_path / "empty.yaml")) == SearchConfiguration()


def test_settings_that_name_no_part_of_the_search_complete_the_default_job() -> None:
    job = with_default_job({"seed": 3, "evaluator_options": {"epochs": 2, "repeats": 2}, "searcher": None})
    assert from_mapping(DEFAULT_JOB).searcher == "gp"
    assert job["seed"] == 3
    assert job["space"] == DEFAULT_JOB["space"]
    assert job["evaluator_options"] == {**DEFAULT_JOB["evaluator_options"], "epochs": 2, "repeats": 2}
    assert job["searcher_options"] == DEFAULT_JOB["searcher_options"]


def test_half_of_a_shorter_default_job_is_random() -> None:
    assert with_default_job({"num_candidates": 9})["searcher_options"] == {"initial": 4, "explore": 0.0}
    assert with_default_job({"num_candidates": 80})["searcher_options"] == DEFAULT_JOB["searcher_options"]
    given = with_default_job({"num_candidates": 9, "searcher_options": {"initial": 2}})
    assert given["searcher_options"] == {"initial": 2, "explore": 0.0}


@pytest.mark.parametrize("named", [{"space": "cells"}, {"searcher": "ghn"}, {"evaluator": "table:digits201"}])
def test_settings_that_name_a_part_are_left_alone(named: dict[str, str]) -> None:
    assert with_default_job(named) == named


def test_a_preset_is_an_option_of_the_searcher_and_brings_its_number_of_candidates() -> None:
    job = with_default_job({"preset": "paper", "seed": 3})
    assert job["searcher_options"] == {"preset": "paper"} and job["num_candidates"] == 10 and job["searcher"] == "ghn"
    assert with_default_job({"preset": "paper", "num_candidates": 7})["num_candidates"] == 7
    options = {"searcher": "ghn", "searcher_options": {"preset": "paper", "explore": 0.5}}
    assert with_default_job(options) == {**options, "num_candidates": 10}, "the option says the same"
    gates = with_default_job({"searcher": "gates", "preset": "authors", "searcher_options": {"preset": "paper"}})
    assert gates == {"searcher": "gates", "searcher_options": {"preset": "authors"}}, "its numbers are scaled instead"
    assert with_default_job({"searcher": "evolution", "preset": "paper"})["searcher_options"] == {"preset": "paper"}
    assert with_default_job({"preset": None}) == with_default_job({})
    assert from_mapping(with_default_job({"preset": "paper"})).num_candidates == 10


def test_an_unknown_key_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown key 'num_candidate'. Did you mean 'num_candidates'\?"):
        from_mapping({"num_candidate": 3})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_candidates": "many"}, "num_candidates: expected a whole number of at least 1; got 'many'"),
        ({"num_candidates": 0}, "num_candidates: expected a whole number of at least 1; got 0"),
        ({"num_candidates": True}, "num_candidates: expected a whole number of at least 1; got True"),
        ({"seed": -1}, "seed: expected a whole number of at least 0; got -1"),
        ({"searcher": 3}, "searcher: expected a string; got 3"),
        ({"reuse": "yes"}, "reuse: expected True or False; got 'yes'"),
        ({"searcher_options": [1]}, "searcher_options: expected a mapping"),
        ({"time_budget": 0}, "time_budget: expected a number above 0, or None; got 0"),
        ({"cpus_per_worker": float("nan")}, "cpus_per_worker: expected a number above 0; got nan"),
        ({"name": "a/b"}, "name: expected a folder name"),
        ({"name": " "}, "name: expected a folder name"),
    ],
)
def test_wrong_values_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_mapping(settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n- b\n", "expected lines such as"),
        ("a: [1\n", "is not valid YAML"),
        ("!!python/object:os.system {}", "is not valid YAML"),
    ],
)
def test_files_that_are_no_settings(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_yaml(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*nowhere\.yaml"):
        read_yaml(tmp_path / "nowhere.yaml")


def test_options_are_read_as_yaml() -> None:
    options = parse_options(["epochs=12", "learning_rate=0.05", "flip=true", "scale={channels: 4}", "note=a=b"])
    assert options == {"epochs": 12, "learning_rate": 0.05, "flip": True, "scale": {"channels": 4}, "note": "a=b"}
    with pytest.raises(ConfigurationError, match="expected NAME=VALUE"):
        parse_options(["epochs"])


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
names = st.sampled_from([*SearchConfiguration().as_dict(), "sead", "x"])


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(names, scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=3), scalars, max_size=2))
)
def test_any_mapping_is_taken_or_refused_with_a_typed_error(content: dict[str, Any]) -> None:
    try:
        configuration = from_mapping(content)
    except ConfigurationError as error:
        assert "\n" not in str(error) or any("\n" in str(value) for value in content.values())
    else:
        content = {name: value for name, value in content.items() if name != "constraints" or isinstance(value, dict)}
        assert {name: getattr(configuration, name) for name in content} == content or any(v != v for v in content.values())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_file_is_taken_or_refused_with_a_typed_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    try:
        from_mapping(read_yaml(path))
    except ConfigurationError:
        pass
    except yaml.YAMLError as error:  # pragma: no cover
        pytest.fail(f"untyped: {error}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["params <= 400e3"], {"params": "<= 400e3"}),
        (("params <= 400e3", "macs > 1e6"), {"params": "<= 400e3", "macs": "> 1e6"}),
        (["params >= 1e5", "params <= 1e6"], {"params": ">= 1e5, <= 1e6"}),
        ("params <= 400e3", {"params": "<= 400e3"}),
        ({"params": "<= 400e3"}, {"params": "<= 400e3"}),
        ([], {}),
    ],
)
def test_constraints_are_a_mapping_or_a_list(given: Any, expected: dict[str, str]) -> None:
    assert from_mapping({"constraints": given}).constraints == expected


@pytest.mark.parametrize("given", [["params"], ["params = 3"], [3], 3, None, {"params"}, [["params", "<= 3"]]])
def test_constraints_of_another_form_are_refused_with_an_example(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"constraints: expected .*(params <= 400e3|macs <= 100e6)"):
        from_mapping({"constraints": given})


def test_none_as_a_scheduler_overrides_one_with_its_options() -> None:
    file = {"scheduler": "asha", "scheduler_options": {"grace_period": 2}}
    assert from_mapping(file).scheduler_options == {"grace_period": 2}
    changed = from_mapping({**file, "scheduler": "none"})
    assert (changed.scheduler, changed.scheduler_options) == (None, {})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scheduler_options": {"grace_period": 2}}, "scheduler_options: expected none without a scheduler; got grace_period"),
        ({"scheduler": 3}, "scheduler: expected"),
        ({"scheduler": "asha", "scheduler_options": {"brackets": {1}}}, "scheduler_options: expected numbers"),
        ({"scheduler": "asha", "checkpoint_gb": -1}, "checkpoint_gb: expected a number above 0"),
        ({"schedular": "asha"}, "Did you mean 'scheduler'?"),
    ],
)
def test_settings_of_a_scheduler_are_checked(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        from_mapping(settings)
