from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archsearch.spaces.module.building import Built
from archsearch.spaces.module.tracing import Trace, Untraceable, addmm_flops, called, on_meta, trace


def traced(module: nn.Module, inputs: object) -> Trace:
    return trace(Built(module.to("meta"), (), ()), on_meta(inputs))


class Attention(nn.Module):
    """Tokens, positions that depend on shapes, a mask, tied weights and an output with several parts."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.position = nn.Parameter(torch.zeros(32, 16))
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu") for _ in range(2))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        _, length = tokens.shape
        x = self.embed(tokens) + self.position[:length] + torch.arange(length).view(1, -1, 1) / max(1, length)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=mask)
        top = x.max(dim=1)
        return {"logits": F.linear(top.values, self.embed.weight), "pooled": x.mean(1)}


def test_parameters_and_macs_are_those_of_a_real_run_for_tokens_in_a_dict() -> None:
    tokens = torch.randint(50, (2, 9), generator=torch.Generator().manual_seed(0))
    inputs = {"tokens": tokens, "mask": torch.zeros(2, 9, dtype=torch.bool)}
    module = Attention().train()
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm: addmm_flops}) as counter, torch.no_grad():
        called(module, inputs)
    found = traced(module, inputs)
    assert found.params == sum(parameter.numel() for parameter in module.parameters())
    assert found.macs == counter.get_total_flops() // 2
    assert found.nodes[-1].shapes == ((2, 50), (2, 16))


def test_recurrent_layers_and_tuples_are_followed() -> None:
    class Forecast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, series: Tensor, scale: Tensor) -> Tensor:
            _, (state, _) = self.lstm(series * scale)
            return self.head(state[-1])

    found = traced(Forecast(), (torch.zeros(2, 5, 3), torch.ones(3)))
    assert [node.name for node in found.nodes if node.kind == "layer"] == ["LSTM", "Linear"]
    assert found.nodes[-1].shapes == ((2, 1),)


def test_changes_in_place_are_followed() -> None:
    class Shifted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = x * 2
            x += 1
            x[:, 0] = 0
            return x

    names = [node.name for node in traced(Shifted(), torch.zeros(2, 3)).nodes]
    assert names == ["input 0", "mul", "add", "setitem", "output"]


class Values(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class Views(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        part = x[:, :1]
        part.zero_()
        return x


class Arrays(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy() + 1)


@pytest.mark.parametrize("kind", [Values, Views, Arrays])
def test_what_cannot_be_followed_is_told(kind: type[nn.Module]) -> None:
    with pytest.raises(Untraceable):
        traced(kind(), torch.zeros(2, 3))


def test_a_wrong_shape_is_untraceable_too() -> None:
    with pytest.raises(Untraceable, match="RuntimeError"):
        traced(nn.Linear(4, 2), torch.zeros(2, 3))
