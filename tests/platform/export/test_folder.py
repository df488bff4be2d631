"""Exported folders: every file computes the same, and tells what is known."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from archsearch import spaces
from archsearch.errors import RunError
from archsearch.evaluators import Recipe
from archsearch.platform.export.facts import ModelFacts
from archsearch.platform.export.folder import export_model
from archsearch.platform.result import Found
from archsearch.platform.training.retraining import retrain
from archsearch.platform.training.trained_model import TrainedModel
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network
from archsearch.spaces.operators import GlobalAveragePool, Linear, Operator, Shape
from archsearch.spaces.plan import PlanBuilder

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
SIZE = {"channels": 4, "cells_per_stage": 1}
ORIGIN = {
    **{"run": "evolution-1", "searcher": "evolution", "rank": 2, "score": 0.9, "score_name": "valid_accuracy", "percent": True},
    **{"seed": 3, "candidates": 40, "evaluator": "train:digits", "metrics": {"valid_loss": 0.5}},
}

# Reads a folder as a program elsewhere would, without the package.
_ELSEWHERE = """
import sys
sys.modules["archsearch"] = None
import torch
from model import load
forms = [load(), torch.export.load("model.pt2").module()]
if "onnx" in sys.argv:
    import onnxruntime
    session = onnxruntime.InferenceSession("model.onnx")
    forms.append(lambda images: torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]))
with torch.no_grad():
    batches = torch.load("images.pt", weights_only=True)
    torch.save([[form(images) for form in forms] for images in batches], "answers.pt")
"""


def elsewhere(folder: Path, batches: list[Tensor]) -> list[list[Tensor]]:
    """Return the logits that each form of the network gives for each batch."""
    torch.save(batches, folder / "images.pt")
    command = [sys.executable, "-c", _ELSEWHERE, *(["onnx"] if HAS_ONNX else [])]
    subprocess.run(command, cwd=folder, env={}, check=True, timeout=120)
    answers: list[list[Tensor]] = torch.load(folder / "answers.pt", weights_only=True)
    return answers


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "architecture.json").read_text())
    return content


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    recipe = Recipe(epochs=2, batch_size=64, learning_rate=0.05, channels_last=True)
    settings: dict[str, Any] = {"scale": SIZE, "seed": 5, "device": "cpu", "progress": False, "origin": ORIGIN}
    return retrain(SPACE, CELL, "digits", recipe=recipe, **settings)


@pytest.fixture(scope="module")
def folder(model: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.export(tmp_path_factory.mktemp("export") / "ein Ordner ü")


def test_every_form_of_a_trained_network_computes_the_same(model: TrainedModel, folder: Path) -> None:
    batches = [torch.randn((size, 1, 8, 8), generator=torch.Generator().manual_seed(size)) for size in (1, 5)]
    for images, answers in zip(batches, elsewhere(folder, batches), strict=True):
        with torch.no_grad():
            expected = model.network(images)
        assert len(answers) == 2 + HAS_ONNX
        for found, tolerance in zip(answers, (1e-5, 1e-5, 1e-4), strict=False):
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_the_card_tells_what_is_known(model: TrainedModel, folder: Path) -> None:
    content, card = content_of(folder), (folder / "README.md").read_text()
    assert spaces.get(content["space"]).parse(content["architecture"]) == CELL
    assert content["network"] == {"input_shape": [1, 8, 8], "num_classes": 10, **SIZE, "replicas": 1}
    assert (content["score"], content["metrics"], content["run"]) == (0.9, {"valid_loss": 0.5}, "evolution-1")
    assert content["normalisation"] == {"mean": list(model.data.mean), "std": list(model.data.std)}
    assert content["training"]["metrics"] == dict(model.metrics)
    assert content["training"]["settings"]["channels_last"] is True
    assert content["params"] == sum(parameter.numel() for parameter in model.network.parameters())
    assert content["latency_ms"]["median"] > 0.0
    for text in (
        f"{100 * model.metrics['test_accuracy']:.2f} %",
        f"{content['params']:,}",
        f"{content['macs']:,}",
        f"{model.data.mean[0]:.6g}",
        f"{model.data.std[0]:.6g}",
        "| seed | 5 |",
        "| rank | 2 |",
        "evolution, seed 3, 40 candidates",
        "90.00 %",
        str(CELL),
    ):
        assert text in card
    assert "not trained" not in card
    for name in ("model.py", "weights.safetensors", "model.pt2", "architecture.png", "architecture.svg"):
        assert (folder / name).stat().st_size > 500
    tensors = load_file(folder / "weights.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32, torch.int64}


QUICK = ("anytime", "nasbench101", "nasbench201")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in spaces.names()])
def test_networks_of_all_spaces_are_exported(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The checks of `export_model` are the test; ONNX, which takes longest, is tried on two spaces.
    if name not in ("anytime", "enas") or not HAS_ONNX:
        monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))
    space = Anytime(nodes=(4, 3)) if name == "anytime" else spaces.get(name)
    small = {"channels": 8, "cells": 3, "blocks": 2, "cells_per_stack": 1, "cells_per_stage": 1}
    size = {key: value for key, value in small.items() if key in space.scale_defaults}
    arguments = {"input_shape": (3, 9, 8), "num_classes": 4, **size}
    found = Found(space.sample(np.random.default_rng(2)), 0.5, {}, space, arguments)
    folder = found.export(tmp_path / name)
    content, card = content_of(folder), (folder / "README.md").read_text()
    assert "**not trained**" in card
    assert "| accuracy | not trained |" in card
    assert (content["normalisation"], content["training"]) == (None, None)
    assert set(content["left_out"]) == (set() if (folder / "model.onnx").exists() else {"model.onnx"})
    if name == "anytime":
        assert content["exits"] == len(found.build().plan.outputs) > 1
        assert f"a tuple of {content['exits']} logits" in card


_MODULES = """
import torch
from torch import nn

from archsearch.spaces import ModuleSpace


class Attention(nn.Module):
    def __init__(self, choose, num_classes=4, in_channels=3):
        super().__init__()
        width = choose.one("width", [8, 16])
        self.patches, self.norm = nn.Conv2d(in_channels, width, 2, 2), nn.LayerNorm(width)
        self.mixing = choose.layer("mixing", {
            "attention": lambda: nn.TransformerEncoderLayer(width, 2, width, choose.one("rate", [0.0, 0.1]), batch_first=True),
            "linear": lambda: nn.Linear(width, width),
        })
        self.head = nn.Linear(width, num_classes)

    def forward(self, images):
        return self.head(self.mixing(self.norm(self.patches(images).flatten(2).transpose(1, 2))).mean(1))


space = ModuleSpace(Attention, torch.zeros(1, 3, 8, 8), "attention")
"""


@pytest.mark.slow
@pytest.mark.parametrize("text", ["width=8 mixing=attention mixing.attention.rate=0.1", "width=16 mixing=linear"])
def test_modules_of_the_user_are_exported_in_every_form(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX is among the forms where the extra `onnx` is installed."""
    (tmp_path / "own_attention.py").write_text(_MODULES)
    monkeypatch.syspath_prepend(tmp_path)
    space = importlib.import_module("own_attention").space
    found = Found(space.parse(text), 0.5, {}, space, {"input_shape": (3, 8, 8), "num_classes": 4})
    folder = found.export(tmp_path / "folder")
    assert set(content_of(folder)["left_out"]) == (set() if HAS_ONNX else {"model.onnx"})
    batches = [torch.randn((size, 3, 8, 8), generator=torch.Generator().manual_seed(size)) for size in (1, 3)]
    for answers in elsewhere(folder, batches):
        assert len(answers) == 2 + HAS_ONNX
        for other in answers[1:]:
            torch.testing.assert_close(other, answers[0], rtol=1e-4, atol=1e-4)
    monkeypatch.delitem(sys.modules, "own_attention")


_SEQUENCES = """
import torch
from torch import nn

from archsearch.spaces import ModuleSpace


class Tagger(nn.Module):
    def __init__(self, choose):
        super().__init__()
        width = choose.one("width", [8, 16])
        self.words, self.mix = nn.Embedding(20, width), nn.Linear(width, width)
        self.head = nn.Linear(width + 1, choose.one("tags", [3, 4]))

    def forward(self, tokens, gain):
        x = torch.relu(self.mix(self.words(tokens))).mean(1)
        return {"tags": self.head(torch.cat([x, gain], 1)), "vector": x}


space = ModuleSpace(Tagger, {"tokens": torch.tensor([[3, 1, 2, 0, 7]]), "gain": torch.ones(1, 1)}, "tagger")
"""


def test_modules_that_take_no_images_are_exported_with_the_inputs_of_their_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_tagger.py").write_text(_SEQUENCES)
    monkeypatch.syspath_prepend(tmp_path)
    space = importlib.import_module("own_tagger").space
    found = Found(space.parse("width=16 tags=4"), 0.5, {}, space, {})
    folder = found.export(tmp_path / "folder")
    content, card = content_of(folder), (folder / "README.md").read_text()
    assert content["network"] == {} and set(content["left_out"]) == (set() if HAS_ONNX else {"model.onnx"})
    assert content["params"] == space.cost(found.architecture).params
    assert "Input: `tokens`: int64 `[batch, 5]`, `gain`: float32 `[batch, 1]`." in card
    assert "Output: `tags`: float32 `[batch, 4]`, `vector`: float32 `[batch, 16]`." in card
    assert "load()(**inputs)" in card and "images" not in card
    spec = importlib.util.spec_from_file_location("exported_tagger", folder / "model.py")
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(exported := importlib.util.module_from_spec(spec))
    inputs = {"tokens": torch.randint(20, (4, 5), generator=torch.Generator().manual_seed(0)), "gain": torch.rand(4, 1)}
    answers = [exported.load()(**inputs), torch.export.load(folder / "model.pt2").module()(**inputs)]
    torch.testing.assert_close(*answers)
    monkeypatch.delitem(sys.modules, "own_tagger")


class Squared(nn.Module):
    """A layer that has no source here."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * values if self.training else values**2


@pytest.mark.parametrize("layer", [nn.ReLU(), Squared()])
def test_a_variation_of_a_network_is_exported(layer: nn.Module, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), layer, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    space = spaces.ModuleSpace.around(network, torch.zeros(1, 1, 6, 5), widths=(0.5, 1.0), name="around")
    found = Found(space.sample(np.random.default_rng(0)), 0.5, {}, space, {})
    folder = found.export(tmp_path / "folder")
    assert (folder / "weights.safetensors").stat().st_size > 100
    given, module = torch.rand(4, 1, 6, 5), found.build().eval()
    torch.testing.assert_close(torch.export.load(folder / "model.pt2").module()(given), module(given))
    assert (folder / "model.py").exists() == isinstance(layer, nn.ReLU)
    assert ("tells training and evaluation apart" in content_of(folder)["left_out"].get("model.py", "")) == isinstance(
        layer, Squared
    )


def test_a_module_is_exported_with_its_own_number_of_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_pair.py").write_text(_MODULES.replace("num_classes=4, in_channels=3", "num_classes=2, in_channels=3"))
    monkeypatch.syspath_prepend(tmp_path)
    space = importlib.import_module("own_pair").space
    network = Found(space.parse("width=16 mixing=linear"), 0.5, {}, space, {}).build()
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    monkeypatch.delitem(sys.modules, "own_pair")


def test_what_is_not_installed_is_left_out_and_named(
    model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_text("of an export before")
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("onnx", "no_such_package"))
    folder = model.export(tmp_path)
    assert not (folder / "model.onnx").exists()
    reason = content_of(folder)["left_out"]["model.onnx"]
    assert reason.endswith("get it with: pip install 'archsearch[onnx]', then export again")
    assert "no_such_package" in reason
    card = (folder / "README.md").read_text()
    assert f"* `model.onnx`: {reason}" in card
    assert "onnxruntime" not in card


class Doubled(Operator):
    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs, parameters=(), buffers=(), training=True):  # type: ignore[no-untyped-def]
        return 2.0 * inputs[0]


def test_operators_of_ones_own_are_exported_without_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))
    build = PlanBuilder(3)
    mean = build.add("mean", GlobalAveragePool(), build.add("doubled", Doubled(), build.input))
    network = Network(build.finish(build.add("classifier", Linear(3, 2), mean)))
    facts = ModelFacts(SPACE, CELL, (3, 8, 8), 2, 1, SIZE)
    folder = export_model(network, facts, tmp_path / "own")
    assert not (folder / "model.py").exists()
    assert "got Doubled" in content_of(folder)["left_out"]["model.py"]
    assert set(load_file(folder / "weights.safetensors")) == set(network.state_dict())
    images = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(torch.export.load(folder / "model.pt2").module()(images), network(images))


def test_a_folder_that_cannot_be_written_is_an_error(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="directory: cannot write to .*below"):
        model.export(tmp_path / "file" / "below")
