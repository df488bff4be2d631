from __future__ import annotations

import re

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from archsearch.errors import ArchitectureError
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose


def chain(choose: Choose) -> nn.Module:
    bias = choose.one("bias", [True, False])

    def item(_: int) -> nn.Module:
        return choose.layer("op", {"skip": nn.Identity, "linear": lambda: nn.Linear(4, 4, bias), "act": nn.ReLU})

    return nn.Sequential(*choose.repeat("depth", 2, 4, item), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def space() -> ModuleSpace:
    return ModuleSpace(chain, torch.zeros(1, 4))


def test_text_names_the_choices_that_are_asked(space: ModuleSpace) -> None:
    architecture = space.from_params({"bias": False, "depth": 2, "depth.0.op": "act", "depth.1.op": "skip", "depth.3.op": "skip"})
    assert str(architecture) == "bias=False depth=2 depth.0.op=act depth.1.op=skip"
    assert space.active(architecture) == {"bias": False, "depth": 2, "depth.0.op": "act", "depth.1.op": "skip"}
    assert space.parse("depth.1.op=skip depth=2 depth.0.op=act bias=False") == architecture  # in any order
    assert space.size == 2 * (3**2 + 3**3 + 3**4) == len(set(space.all_genotypes()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bias=True", "the choice 'depth' is missing; give one of ['2', '3', '4']"),
        ("bias=True depth=2 depth.0.op=act depth.1.op=skip depth.2.op=skip", "'depth.2.op' is not asked with the other choices"),
        ("bias=True depth=5", "expected one of ['2', '3', '4'] for 'depth'; got '5'"),
        ("bais=True", "has no choice 'bais'. Did you mean 'bias'?"),
        ("bias=True bias=True", "expected one NAME=ALTERNATIVE for each choice; got 'bias=True'"),
        ("bias", "expected one NAME=ALTERNATIVE for each choice; got 'bias'"),
    ],
)
def test_wrong_texts_are_refused_and_named(space: ModuleSpace, text: str, words: str) -> None:
    with pytest.raises(ArchitectureError, match=re.escape(words)):
        space.parse(text)


def test_true_is_not_one(space: ModuleSpace) -> None:
    params = space.params(space.sample(np.random.default_rng(0)))
    with pytest.raises(ArchitectureError, match=r"params\['bias'\]: expected one of \[True, False\]; got 1"):
        space.from_params({**params, "bias": 1})


def test_a_mutation_changes_one_choice_or_moves_one_item(space: ModuleSpace) -> None:
    rng = np.random.default_rng(0)
    parent = space.parse("bias=True depth=3 depth.0.op=skip depth.1.op=linear depth.2.op=act")
    before, moved = space.active(parent), 0
    for _ in range(200):
        after = space.active(space.mutate(parent, rng))
        if after["bias"] != before["bias"] or after["depth"] != before["depth"]:
            shared = before.keys() & after.keys() - {"bias", "depth"}
            assert all(after[name] == before[name] for name in shared)
            continue
        changed = [name for name in before if after[name] != before[name]]
        if len(changed) > 1:
            moved += 1
            assert sorted(after[f"depth.{i}.op"] for i in range(3)) == ["act", "linear", "skip"]
    assert 20 < moved < 80  # a quarter of 200


def test_a_study_of_optuna_is_asked_for_the_choices_that_exist(space: ModuleSpace) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        trial = study.ask()
        architecture = space.suggested(trial)
        assert trial.params == space.active(architecture)
