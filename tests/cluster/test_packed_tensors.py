"""Tensors packed into one come back as they were."""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

from archsearch.cluster.packed_tensors import packed, unpacked


def through_file(state: dict[str, Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    plain, tensors = packed(state)
    torch.save(plain, stream)
    stream.seek(0)
    return unpacked(torch.load(stream, weights_only=True), np.frombuffer(b"".join(tensors), np.uint8))


TENSORS = [
    torch.randn(3, 5, generator=torch.Generator().manual_seed(0)),
    torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last),
    torch.arange(7, dtype=torch.int64)[2:],
    torch.arange(12.0).view(3, 4).t(),
    torch.arange(3.0).expand(2, 3),
    torch.tensor([True, False, True]),
    torch.tensor(2.5, dtype=torch.float64),
    torch.tensor([1.5, float("nan"), float("inf")], dtype=torch.bfloat16),
    torch.tensor([1 + 2j]),
    torch.empty(0, 3),
    torch.get_rng_state(),
]


def test_every_tensor_comes_back() -> None:
    found = through_file({"tensors": [TENSORS[0], {"more": TENSORS[1:]}]})
    for tensor, again in zip(TENSORS, [found["tensors"][0], *found["tensors"][1]["more"]], strict=True):
        assert (again.dtype, again.shape) == (tensor.dtype, tensor.shape)
        assert str(again.tolist()) == str(tensor.tolist()), "NaN included"
    assert found["tensors"][1]["more"][0].stride() == TENSORS[1].stride(), "what works on memory needs the same order"


def test_plain_data_stays_as_it_is() -> None:
    state: dict[Any, Any] = {"a": 1, "b": [None, 0.1, "text", (1, 2)], 3: {"c": True}, "d": OrderedDict(x=torch.ones(2))}
    state[2.5] = {"y": torch.ones(1)}
    found: dict[Any, Any] = through_file(state)
    assert torch.equal(found.pop("d")["x"], torch.ones(2))
    assert torch.equal(found.pop(2.5)["y"], torch.ones(1))
    assert found == {key: state[key] for key in ("a", "b", 3)}


def test_tensors_in_tuples_and_parameters_stay_where_they_are() -> None:
    found = through_file({"pair": (torch.ones(2), 1), "weight": torch.nn.Parameter(torch.zeros(1))})
    assert torch.equal(found["pair"][0], torch.ones(2))
    assert isinstance(found["weight"], torch.nn.Parameter)


def test_memory_is_not_shared_and_the_state_not_changed() -> None:
    weights = torch.ones(3)
    state = {"weights": weights, "list": [weights]}
    plain, tensors = packed(state)
    content = np.frombuffer(b"".join(tensors), np.uint8)
    weights.zero_()
    found = unpacked(plain, content)
    assert found["weights"].tolist() == found["list"][0].tolist() == [1.0, 1.0, 1.0]
    assert state["weights"] is state["list"][0] is weights
    found["weights"].zero_()
    assert found["list"][0].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "harm",
    [
        {"plain": None},
        {"tensors": json.dumps([[["weights"], "torch.float32", [300], [1]]])},
        {"tensors": json.dumps([[["weights"], "torch.nothing", [3], [1]]])},
        {"tensors": json.dumps([[["other", "place"], "torch.float32", [3], [1]]])},
        {"tensors": json.dumps([[["weights"], "torch.float32", [3], [-1]]])},
        {"tensors": "{"},
    ],
)
def test_what_is_no_packed_state_is_an_error(harm: dict[str, Any]) -> None:
    plain, [content] = packed({"weights": torch.ones(3)})
    with pytest.raises((LookupError, TypeError, ValueError, RuntimeError, AttributeError)):
        unpacked({**plain, **harm}, content)
