"""Exchange formats of small modules; those of whole networks are tested in `test_folder.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archsearch.platform.export.formats import ONNX, PT2, write_formats

IMAGES = torch.randn((3, 1, 4, 4), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))


def test_a_module_is_exported_for_batches_of_any_size(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    (tmp_path / ONNX).write_bytes(b"of an earlier export")
    assert list(write_formats(module, IMAGES, tmp_path)) == [ONNX]
    assert [path.name for path in tmp_path.iterdir()] == [PT2]
    loaded = torch.export.load(tmp_path / PT2).module()
    for batch in (IMAGES, IMAGES[:1], IMAGES.repeat(3, 1, 1, 1)):
        torch.testing.assert_close(loaded(batch), module(batch))


def test_a_module_that_cannot_be_exported_is_left_out_with_a_reason(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean() if bool(images.sum() > 0) else images.sum()

    missing = write_formats(Branching(), IMAGES, tmp_path)
    assert list(missing) == [PT2, ONNX]
    assert all(reason.startswith("torch.export cannot convert the network: ") for reason in missing.values())
    assert not list(tmp_path.iterdir())


def test_the_axis_of_any_size_is_called_batch_in_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("onnx", "onnxscript", "onnxruntime"))
    assert write_formats(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval(), IMAGES, tmp_path) == {}
    graph = onnx.load(tmp_path / ONNX).graph
    first = [value.type.tensor_type.shape.dim[0].dim_param for value in (*graph.input, *graph.output)]
    assert first == ["batch", "batch"]
