from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose
from archsearch.spaces.module.layer_templates import from_templates, template_of

MAKERS: tuple[Callable[[], nn.Module], ...] = (
    lambda: nn.Conv2d(3, 8, 3, padding="same", bias=False),
    lambda: nn.Conv1d(4, 4, kernel_size=(5,), groups=4, padding_mode="circular"),
    lambda: nn.ConvTranspose2d(3, 4, 2, 2),
    lambda: nn.Linear(5, 7),
    lambda: nn.BatchNorm2d(6, affine=False),
    lambda: nn.BatchNorm1d(6, track_running_stats=False),
    lambda: nn.LayerNorm((4, 5)),
    lambda: nn.GroupNorm(2, 4),
    lambda: nn.Embedding(9, 4, padding_idx=0),
    lambda: nn.MaxPool2d(3, 1, 1),
    lambda: nn.Dropout(0),
    lambda: nn.Dropout(0.0),
    lambda: nn.ReLU(inplace=True),
    nn.Identity,
)


def described(layer: nn.Module) -> object:
    shapes = [(name, tuple(each.shape), each.dtype, each.requires_grad) for name, each in layer.named_parameters()]
    buffers = [(name, tuple(each.shape), each.dtype) for name, each in layer.named_buffers()]
    hidden = ("_parameters", "_buffers", "_copied_from")
    return shapes, buffers, repr(layer), {n: repr(v) for n, v in vars(layer).items() if n not in hidden}, list(layer.state_dict())


@pytest.mark.parametrize("make", MAKERS)
def test_a_copy_is_what_the_constructor_makes_with_parameters_of_its_own(make: Callable[[], nn.Module]) -> None:
    with torch.device("meta"), from_templates():
        made = [make() for _ in range(3)]
    with torch.device("meta"):
        expected = make()
    assert all(described(each) == described(expected) for each in made)
    assert template_of(made[1]) is template_of(made[2]) is not None
    tensors = [id(each) for layer in made for each in (*layer.parameters(), *layer.buffers())]
    assert len(set(tensors)) == len(tensors)
    assert made[1]._forward_hooks is not made[2]._forward_hooks
    assert described(copy.deepcopy(made[1])) == described(expected)


def test_the_constructors_are_the_usual_ones_elsewhere() -> None:
    usual = {kind: kind.__init__ for kind in (nn.Conv2d, nn.ReLU, nn.BatchNorm2d)}
    inherited = "__init__" in vars(nn.BatchNorm2d)
    found: list[nn.Module] = []
    with from_templates(), from_templates():
        assert nn.Conv2d.__init__ is not usual[nn.Conv2d]
        thread = threading.Thread(target=lambda: found.extend(nn.Conv2d(1, 2, 3) for _ in range(2)))
        thread.start()
        thread.join()
    assert all(template_of(each) is None and not each.weight.is_meta for each in found)  # type: ignore[union-attr]
    assert {kind: kind.__init__ for kind in usual} == usual
    assert ("__init__" in vars(nn.BatchNorm2d)) == inherited
    with pytest.raises(TypeError), from_templates():
        nn.Linear()  # type: ignore[call-arg]
    assert nn.Conv2d.__init__ is usual[nn.Conv2d]


def test_layers_on_the_cpu_and_layers_of_ones_own_are_not_copied() -> None:
    class Own(nn.Linear):
        pass

    with from_templates():
        assert template_of([nn.Linear(2, 3) for _ in range(2)][1]) is None
        with torch.device("meta"):
            assert template_of([Own(2, 4) for _ in range(2)][1]) is None


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "nothing": lambda layer: None,
    "stride": lambda layer: setattr(layer, "stride", (2, 2)),
    "attribute": lambda layer: setattr(layer, "rate", 3),
    "frozen": lambda layer: layer.requires_grad_(False),
    "weight": lambda layer: setattr(layer, "weight", nn.Parameter(torch.empty(4, 4, 1, 1))),
    "bias": lambda layer: setattr(layer, "bias", None),
    "hook": lambda layer: layer.register_forward_hook(lambda module, inputs, output: output),
}


def changed(choose: Choose) -> nn.Module:
    layer = nn.Conv2d(4, 4, 3)
    choose.one("change", CHANGES)(layer)
    return nn.Sequential(nn.Conv2d(1, 4, 3), layer, nn.Conv2d(4, 4, 3))


def test_what_is_changed_in_a_layer_after_it_was_made_counts() -> None:
    space = ModuleSpace(changed, torch.zeros(1, 1, 16, 16))
    keys = {str(each): space.key(each) for each in map(space.from_genotype, space.all_genotypes())}
    assert len(set(keys.values())) == len(CHANGES)
    afresh = ModuleSpace(changed, torch.zeros(1, 1, 16, 16))
    assert {text: afresh.key(afresh.parse(text)) for text in reversed(keys)} == keys


class Tied(nn.Module):
    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        if choose.one("tied", [False, True]):
            self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))  # type: ignore[no-any-return]


def test_weights_that_are_shared_afterwards_count() -> None:
    space = ModuleSpace(Tied, torch.zeros(1, 4))
    apart, tied = (space.parse(f"tied={word}") for word in (False, True))
    assert space.key(apart) != space.key(tied)
    assert (space.cost(apart).params, space.cost(tied).params) == (40, 24)
