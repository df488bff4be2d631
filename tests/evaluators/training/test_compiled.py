from __future__ import annotations

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe, datasets
from archsearch.evaluators.training.compiled import compiled
from archsearch.evaluators.training.loop import Training
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")


def trained(compile: bool) -> tuple[float, dict[str, torch.Tensor]]:
    part = datasets.load("digits").train
    images = datasets.resident(part, *part.statistics(), torch.device("cpu"))
    network = SPACE.build(CELL, 10, 1, torch.Generator().manual_seed(0), channels=4, cells_per_stage=1)
    recipe = Recipe(epochs=1, batch_size=64, drop_path=0.1, compile=compile)
    training = Training(network, recipe, [torch.Generator().manual_seed(1)])
    loss = training.run_epoch(images.images[:256], images.labels[:256])
    training.finish()
    return loss, network.state_dict()


@pytest.mark.long  # a minute of compilation
def test_a_compiled_network_learns_what_the_other_one_learns() -> None:
    try:
        compiled_loss, compiled_weights = trained(True)
    except ConfigurationError as error:
        pytest.skip(str(error))
    loss, weights = trained(False)
    assert compiled_loss == pytest.approx(loss, rel=1e-3)
    assert compiled_weights.keys() == weights.keys()
    for name, value in weights.items():
        torch.testing.assert_close(compiled_weights[name], value, rtol=1e-2, atol=1e-3)


def test_a_machine_that_cannot_compile_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    torch._dynamo.reset()
    with pytest.raises(ConfigurationError, match="compile: expected a machine where torch.compile works"):
        compiled(torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU()))(torch.zeros(2, 3))
