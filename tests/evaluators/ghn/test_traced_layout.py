from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators import GHN, OneShot
from archsearch.evaluators.ghn.candidates import generated, tensors_for
from archsearch.evaluators.ghn.model import views
from archsearch.evaluators.ghn.traced_layout import TracedLayout, lay_out_module
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose, ModuleOperator

SMALL: dict[str, Any] = {"hidden": 8, "width": 12, "tile": 4, "batch_size": 16, "evaluation_images": 100, "affine": "generated"}


class Everything(nn.Module):
    """Layers of each sort, with a recurrent layer and a parameter of its own, whose weights are not generated."""

    def __init__(self, choose: Choose, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.width = choose.one("width", [4, 8])
        layers = {
            "conv": lambda: nn.Sequential(
                nn.Conv2d(self.width, self.width, choose.one("kernel", [1, 3]), padding="same"), nn.ReLU()
            ),
            "depthwise": lambda: nn.Conv2d(self.width, self.width, 3, padding=1, groups=self.width),
            "pool": lambda: nn.MaxPool2d(3, 1, 1),
            "skip": nn.Identity,
        }
        self.stem = nn.Sequential(nn.Conv2d(in_channels, self.width, 3, 2, 1, bias=False), nn.BatchNorm2d(self.width))
        self.op, self.norm = choose.layer("op", layers), nn.GroupNorm(2, self.width)
        self.places = nn.Embedding(16, self.width)
        self.block = nn.TransformerEncoderLayer(self.width, 2, 6, dropout=0.5, batch_first=True)
        self.memory = nn.GRU(self.width, self.width, batch_first=True)
        self.scale, self.head = nn.Parameter(torch.ones(self.width)), nn.Linear(self.width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm(self.op(self.stem(images))).flatten(2).transpose(1, 2)
        x = self.block(x + self.places(torch.arange(x.shape[1], device=x.device))) * self.scale
        return self.head(self.memory(x)[0][:, -1])


SPACE = ModuleSpace(Everything, torch.zeros(1, 1, 8, 8), "everything")
TEXTS = ("width=8 op=conv op.conv.kernel=3", "width=4 op=conv op.conv.kernel=1", "width=8 op=depthwise", "width=4 op=pool")


@pytest.fixture(scope="module")
def fitted() -> GHN:
    return GHN(SPACE, "digits", **SMALL).fit(2)


def layouts(ghn: GHN) -> list[TracedLayout]:
    return [lay_out_module(ghn.plan(SPACE, SPACE.parse(text)), (1, 8, 8)) for text in TEXTS]


def test_each_layer_gets_weights_of_its_shapes_and_the_others_are_named(fitted: GHN, caplog: pytest.LogCaptureFixture) -> None:
    for layout, made in zip(layouts(fitted), generated(fitted._fitted().model, layouts(fitted)).candidates, strict=True):
        [step] = layout.plan.steps
        shapes, found = step.operator.parameter_shapes(), layout.by_name(made)
        assert {name: tuple(value.shape) for name, value in found.items()} == {name: shapes[name] for name in found}
        assert found.keys() | set(layout.kept) == shapes.keys()
        assert set(layout.kept) == {"scale", *(name for name in shapes if name.startswith("memory."))}
        assert "block.self_attn.in_proj_weight" in found
        assert 0.3 < found["head.weight"].std() * shapes["head.weight"][1] ** 0.5 < 3
    assert {"scale", "memory.weight_ih_l#"} <= set(fitted.not_generated)
    with caplog.at_level(logging.WARNING):
        GHN(SPACE, "digits", **SMALL).fit(1)
    assert caplog.text.count("no weights are generated for") == 1


class Ends(nn.Module):
    """A cell, one of whose layers reaches nothing if `end` is 1; with `borrowed` a function reads the weights of a layer."""

    def __init__(self, choose: Choose, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.end, self.borrowed = choose.one("end", [0, 1]), choose.one("borrowed", [0, 1])
        self.stem, self.behind = nn.Conv2d(in_channels, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        x = (x if self.end else self.behind(x)).mean((2, 3))
        return nn.functional.linear(x, self.head.weight) if self.borrowed else self.head(x)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("end=0 borrowed=0", set()),
        ("end=1 borrowed=0", set()),
        ("end=0 borrowed=1", {"head.bias", "head.weight"}),
    ],
)
def test_layers_that_do_not_run_are_not_named(text: str, kept: set[str]) -> None:
    space = ModuleSpace(Ends, torch.zeros(1, 1, 8, 8), "ends")
    layout = lay_out_module(GHN(space, "digits", **SMALL).plan(space, space.parse(text)), (1, 8, 8))
    assert set(layout.kept) == kept


def test_the_plan_runs_the_module_with_the_generated_weights_on_batch_statistics_without_dropout(fitted: GHN) -> None:
    images = torch.randn((6, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    for layout, made in zip(layouts(fitted), generated(fitted._fitted().model, layouts(fitted)).candidates, strict=True):
        [step] = layout.plan.steps
        assert isinstance(step.operator, ModuleOperator)
        module = step.operator.make(torch.Generator().manual_seed(0)).eval()
        module.stem[1].train()  # type: ignore[operator, index]
        with torch.no_grad():
            expected = functional_call(module, layout.by_name(made), (images,))
            [got] = layout.plan.apply(images, layout.parameters(made))
        torch.testing.assert_close(got, expected)


def test_normalisations_belong_to_the_layers_that_they_read_and_edges_follow_the_data(fitted: GHN) -> None:
    layout = layouts(fitted)[2]
    [graph] = layout.modules
    stem, op, embedding, block, *_ = range(len(graph.kinds))
    assert graph.kinds[:4] == ("Conv2d(3, 3) projection", "Conv2d(3, 3) depthwise", "Embedding", "TransformerEncoderLayer")
    assert graph.kinds[4:] == ("GRU", "Linear projection" if "projection" in graph.kinds[5] else "Linear", "output")
    assert graph.adjacency[stem, op]
    assert graph.adjacency[op, block]
    assert graph.adjacency[embedding, block]
    assert not graph.adjacency[stem, block]
    assert graph.positions[:, stem].tolist() == [1, 1]
    assert layout.owners["stem.1"].node == layout.owners["stem.0"].node
    assert layout.owners["norm"].node == layout.owners["op"].node


def test_gradients_reach_every_output_of_the_hypernetwork(fitted: GHN) -> None:
    model = fitted._fitted().model
    tensors = tensors_for(model, layouts(fitted))
    weights, images = views(model(tensors), tensors), torch.randn((6, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    logits = [
        layout.plan.apply(images, layout.parameters(made))[0]
        for layout, made in zip(layouts(fitted), weights.candidates, strict=True)
    ]
    torch.stack(logits).square().mean().backward()
    asked = {request.branch for request in tensors.requests}
    assert len(asked) > 15
    for branch in asked:
        gradient = model.hypernetwork.biases[branch].grad
        assert gradient is not None, model.vocabulary.branches[branch]
        assert gradient.isfinite().all()
    assert model.kinds.grad is not None
    assert model.kinds.grad.abs().sum() > 0
    model.zero_grad()


def perceptron(choose: Choose, num_classes: int = 10) -> nn.Module:
    width = choose.one("width", [16, 32])
    hidden = choose.repeat("depth", 1, 2, lambda i: nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU()))
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), *hidden, nn.Linear(width, num_classes))


def test_training_lowers_the_loss_deterministically_and_states_are_restored() -> None:
    space = ModuleSpace(perceptron, torch.zeros(1, 1, 8, 8))
    every = [space.from_genotype(genotype) for genotype in space.all_genotypes()]
    first, again = (GHN(space, "digits", **{**SMALL, "batch_size": 64}) for _ in range(2))
    before = np.mean([each.metrics["valid_loss"] for each in first.fit(1).evaluate(every)])
    after = first.fit(60).evaluate(every)
    assert np.mean([each.metrics["valid_loss"] for each in after]) < 0.8 * before
    same = again.fit(1).fit(60).evaluate(every)
    assert [each.metrics["valid_loss"] for each in same] == [each.metrics["valid_loss"] for each in after]
    restored = GHN(space, "digits", **{**SMALL, "batch_size": 64}).load(first.state())
    assert [each.score for each in restored.evaluate(every)] == [each.score for each in after]
    network = space.build(every[0], 10, 1)
    missing = network.load_state_dict(first.generate(every[0]), strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == ([], [])


def bare(choose: Choose, num_classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(num_classes), nn.LeakyReLU(choose.one("slope", [0.1, 0.2])))


class Depends(nn.Module):
    """Its control flow depends on values."""

    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self.layer = nn.Linear(8, choose.one("width", [10, 11]))

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(2).mean(1) if images.mean() > 0 else images[:, 0, 0])  # type: ignore[no-any-return]


def words(choose: Choose) -> nn.Module:
    return nn.Sequential(nn.Embedding(9, choose.one("width", [4, 8])), nn.Flatten(), nn.LazyLinear(10))


def test_modules_that_cannot_be_scored_are_refused() -> None:
    tokens = ModuleSpace(words, torch.zeros((1, 5), dtype=torch.long))
    with pytest.raises(
        ConfigurationError, match="take images.*tensor of the shape.*gates, gp, ngae, evolution, optuna or random"
    ):
        GHN(tokens, "digits")
    with pytest.raises(ConfigurationError, match="can be traced; those of Depends cannot.*gates"):
        GHN(ModuleSpace(Depends, torch.zeros(1, 1, 8, 8)), "digits")
    with pytest.raises(ArchitectureError, match="has none.*gates"):
        GHN(ModuleSpace(bare, torch.zeros(1, 1, 8, 8)), "digits").fit(1)
    with pytest.raises(ConfigurationError, match="modules of everything share none"):
        OneShot(SPACE, "digits")


def five(choose: Choose) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, choose.one("width", [5, 6])))


def test_another_number_of_classes_is_told_with_what_to_do() -> None:
    with pytest.raises(ArchitectureError, match=r"logits \[1, 10\] for an image \[1, 1, 8, 8\].*gives \[1, [56]\].*num_classes"):
        GHN(ModuleSpace(five, torch.zeros(1, 1, 8, 8)), "digits").fit(1)
