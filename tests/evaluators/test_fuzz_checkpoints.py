"""States of models in files: cut short, with wrong bits, without parts, with parts of another kind; all are refused properly."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.ghn.ghn import GHN
from archsearch.evaluators.ngae.ngae import NGAE
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.predictors.predictor import Predictor
from archsearch.evaluators.saved_state import read_state, write_state
from archsearch.evaluators.supernet.one_shot import OneShot

SPACE = spaces.get("nasbench201")
SMALL: Mapping[str, Mapping[str, Any]] = {
    "predictor": {"width": 4, "embedding": 4, "hidden": 4, "head": (4,), "layers": 1, "epochs": 2},
    "ngae": {"latent": 4, "width": 4, "type_width": 4, "edge_width": 4, "head": (4,), "epochs": 1},
}
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    3,
    0.5,
    "text",
    b"",
    [],
    {},
    (1, 2),
    torch.zeros(2),
    torch.zeros(3, 3, dtype=torch.int64),
)


def _made(name: str) -> Any:
    match name:
        case "predictor":
            return Predictor(SPACE, members=2, **SMALL["predictor"])
        case "ngae":
            return NGAE(SPACE, **SMALL["ngae"])
        case "gp":
            return GaussianProcess(SPACE)
        case "one-shot":
            return OneShot(SPACE, "digits", scale={"channels": 2, "cells_per_stage": 1})
    return GHN(SPACE, "digits", scale={"channels": 2, "cells_per_stage": 1}, hidden=8)


@pytest.fixture(scope="module")
def fitted() -> Callable[[str], Any]:
    """Gives a model that has learned a little, by name."""
    made: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    drawn = {SPACE.key(each): each for each in (SPACE.sample(rng) for _ in range(30))}
    architectures, scores = list(drawn.values()), np.linspace(0.1, 0.9, len(drawn))

    def fit(name: str) -> Any:
        if name not in made:
            model = _made(name)
            made[name] = model.fit(1) if name in ("ghn", "one-shot") else model.fit(architectures, scores)
        return made[name]

    return fit


def same(one: Any, other: Any) -> bool:
    """Return whether two states hold the same."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or one != one)


@pytest.mark.parametrize(
    "cases",
    [100, pytest.param(500, marks=pytest.mark.slow), pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
)
def test_wrong_and_missing_bytes_are_noticed(cases: int, fitted: Callable[[str], Any], tmp_path: Path) -> None:
    """Torch itself takes most wrong bits in tensors for what was saved."""
    whole, wrong, rng = tmp_path / "whole.pt", tmp_path / "wrong.pt", random.Random(cases)
    write_state(whole, fitted("predictor").state())
    content, state = whole.read_bytes(), read_state(whole)
    refused = 0
    for _ in range(cases):
        damaged = bytearray(content)
        kind = rng.choice(["flip", "cut", "both", "zeros"])
        for _ in range(rng.randint(1, 3) if kind in ("flip", "both") else 0):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        if kind == "zeros":  # as a power cut leaves blocks that were never written
            start = rng.randrange(len(damaged))
            damaged[start : start + 512] = bytes(len(damaged[start : start + 512]))
        wrong.write_bytes(damaged[: rng.randrange(len(damaged))] if kind in ("cut", "both") else damaged)
        try:
            found = read_state(wrong)
        except ConfigurationError as error:
            refused += 1
            assert str(error).startswith("checkpoint: ") and "\n" not in str(error)
        else:
            assert same(found, state), "what is read is what was saved"
    assert refused > cases / 2
    assert same(read_state(whole), state)


def holders(state: Any) -> list[tuple[Any, Any]]:
    """Return all places in a state: the container, and the key or index in it."""
    keys = list(state) if isinstance(state, dict) else range(len(state)) if isinstance(state, list) else []
    return [place for key in keys for place in ((state, key), *holders(state[key]))]


def harm(state: dict[str, Any], rng: random.Random) -> None:
    """Take a part out of a state, replace it, or change the shape of a tensor."""
    container, key = rng.choice(holders(state))
    part, kind = container[key], rng.random()
    if kind < 0.4:
        del container[key]
    elif kind < 0.6 and isinstance(part, (torch.Tensor, np.ndarray)) and part.ndim:
        container[key] = part[: len(part) // 2]
    else:
        container[key] = copy.deepcopy(rng.choice(JUNK))


@pytest.mark.parametrize("cases", [30, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("name", ["predictor", "ngae", "gp", "ghn", "one-shot"])
def test_states_with_other_parts(name: str, cases: int, fitted: Callable[[str], Any]) -> None:
    """A state is taken or refused as a whole: after a refusal a model still is what it was."""
    original = fitted(name).state()
    model, rng = _made(name).load(original), random.Random(cases)
    before, refused = model.state(), 0
    for _ in range(cases):
        wrong = copy.deepcopy(original)
        harm(wrong, rng)
        try:
            model.load(wrong)
        except ConfigurationError as error:
            refused += 1
            assert str(error) and "\n" not in str(error)
            assert same(model.state(), before)
        model.load(original)
    assert refused


@pytest.mark.parametrize("name", ["predictor", "ngae", "gp", "ghn", "one-shot"])
def test_another_version_and_another_space_are_named(name: str, fitted: Callable[[str], Any]) -> None:
    state = fitted(name).state()
    with pytest.raises(ConfigurationError, match=r"state: expected one whose version is .*; got 99"):
        _made(name).load({**state, "version": 99})
    with pytest.raises(ConfigurationError, match="state: expected one whose space is .*; got 'other'"):
        _made(name).load({**state, "space": "other"})
    with pytest.raises(ConfigurationError, match="state: expected one whose version is .*; got None"):
        _made(name).load({})


@pytest.mark.parametrize("name", ["predictor", "ngae", "ghn", "one-shot"])
def test_state_survives_a_file(name: str, fitted: Callable[[str], Any], tmp_path: Path) -> None:
    write_state(tmp_path / "state.pt", fitted(name).state())
    assert same(_made(name).load(read_state(tmp_path / "state.pt")).state(), fitted(name).state())


def test_file_of_another_program_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"weights": torch.zeros(2)}, stream, _use_new_zipfile_serialization=False)
    (tmp_path / "old.pt").write_bytes(stream.getvalue())
    with pytest.raises(ConfigurationError, match="old.pt cannot be read .*Delete it to start anew"):
        read_state(tmp_path / "old.pt")
