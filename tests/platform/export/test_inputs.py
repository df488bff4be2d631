from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archsearch.platform.export.inputs import (
    arguments_of,
    batch_like,
    described,
    dynamic_shapes,
    first_row,
    images,
    tensors_of,
)

TOKENS = torch.tensor([[3, 1, 2]])


def test_images_are_random_and_repeat() -> None:
    assert torch.equal(images((3, 8, 8)), images((3, 8, 8))) and images((3, 8, 8), 2).shape == (2, 3, 8, 8)


@pytest.mark.parametrize("example", [torch.zeros(1, 8), (torch.zeros(1, 8), TOKENS), {"x": torch.zeros(1, 8), "tokens": TOKENS}])
def test_a_batch_is_of_the_same_form_as_the_example(example: Any) -> None:
    made = batch_like(example, 3)
    assert type(made) is type(example)
    numbers, *rest = tensors_of(made)
    assert numbers.shape == (3, 8) and numbers.std() > 0.5
    for tokens in rest:  # each is one that the module knows
        assert tokens.tolist() == TOKENS.tolist() * 3
    assert [len(tensor) for tensor in tensors_of(first_row(made))] == [1] * (1 + len(rest))


def test_what_is_no_row_of_the_batch_stays() -> None:
    mask, example = torch.ones(4, 4), (torch.zeros(2, 4), torch.tensor(0.5), 7)
    first, scale, number = batch_like(example, 3)
    assert first.shape == (3, 4) and scale is example[1] and number == 7
    assert batch_like((torch.zeros(2, 4), mask), 3)[1] is mask


def test_arguments_are_passed_as_the_space_passes_them() -> None:
    x, y = torch.zeros(1), torch.ones(1)
    assert arguments_of(x) == ((x,), {}) and arguments_of((x, y)) == ((x, y), {}) and arguments_of({"y": y}) == ((), {"y": y})


class Sum(nn.Module):
    def forward(self, x: Tensor, others: dict[str, Tensor]) -> Tensor:
        return x + others["y"].float() * others["scale"]


def test_nested_inputs_are_exported_for_batches_of_any_size() -> None:
    inputs = batch_like((torch.zeros(1, 3), {"y": TOKENS, "scale": torch.tensor(2.0)}), 3)
    program = torch.export.export(Sum(), inputs, dynamic_shapes=dynamic_shapes(inputs)).module()
    for batch in (inputs, first_row(inputs), batch_like(inputs, 5)):
        torch.testing.assert_close(program(*batch), Sum()(*batch))


@pytest.mark.parametrize(
    ("nested", "words"),
    [
        (torch.zeros(1, 8, 8), "float32 `[batch, 8, 8]`"),
        ((torch.zeros(2, 4), torch.zeros(4, 4)), "(float32 `[batch, 4]`, float32 `[4, 4]`)"),
        ({"tokens": TOKENS, "causal": True}, "`tokens`: int64 `[batch, 3]`, `causal`: True"),
    ],
)
def test_inputs_in_words(nested: Any, words: str) -> None:
    assert described(nested) == words
