"""Conversion of a network to the exchange formats of torch.export and ONNX."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.errors import first_line
from archsearch.evaluators.training.scoring import exits_of

PT2, ONNX = "model.pt2", "model.onnx"
BATCH = "batch"
"""Name of the first axis in both formats."""
_ONNX_TOLERANCE = 1e-4
_ONNX_NEEDS = ("onnx", "onnxscript", "onnxruntime")
_EXPORT_ERRORS = (
    *(RuntimeError, ValueError, TypeError, NotImplementedError),
    *(torch._dynamo.exc.TorchDynamoException, torch.onnx.errors.OnnxExporterError),
)


def write_formats(module: nn.Module, images: Tensor, folder: Path) -> dict[str, str]:
    """Write `model.pt2` and `model.onnx`, both for batches of any size, and return the reasons for missing files, by name.

    `model.onnx` needs the extra `onnx`. Its logits in ONNX Runtime are compared with those of the module.

    Args:
        module: The network, in evaluation mode.
        images: Example batch, `[batch, channels, height, width]`, of at least 2 images.
        folder: Folder to write to.

    Raises:
        OSError: The folder cannot be written.
    """
    missing: dict[str, str] = {}
    for name in (PT2, ONNX):
        (folder / name).unlink(missing_ok=True)
    try:
        with _quiet():
            batch = torch.export.Dim(BATCH, min=1)
            program = torch.export.export(module, (images,), dynamic_shapes=({0: batch},))
            torch.export.save(program, folder / PT2)
    except _EXPORT_ERRORS as error:
        return dict.fromkeys((PT2, ONNX), f"torch.export cannot convert the network: {first_line(error)}")
    try:
        _write_onnx(program, folder / ONNX)
        _check_onnx(module, images, folder / ONNX)
    except _Missing as error:
        (folder / ONNX).unlink(missing_ok=True)
        missing[ONNX] = str(error)
    return missing


class _Missing(Exception):
    """A format could not be written; the message says why, and what to do."""


def _write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    if absent := [name for name in _ONNX_NEEDS if importlib.util.find_spec(name) is None]:
        raise _Missing(f"{' and '.join(absent)} not installed; get it with: pip install 'archsearch[onnx]', then export again")
    try:
        with _quiet():
            onnx = torch.onnx.export(
                program, (), dynamo=True, verbose=False, optimize=False
            )  # ONNX Runtime optimizes when it loads, in less time
            if onnx is None:
                raise _Missing("torch.onnx returned no program")
            path.write_bytes(_with_named_batch(onnx.model_proto).SerializeToString())
    except _EXPORT_ERRORS as error:
        raise _Missing(f"torch.onnx cannot convert the network: {first_line(error)}") from error


def _with_named_batch(model: Any) -> Any:
    """Return an ONNX model whose axis of any size is called `batch`; torch calls it by a number, such as `s34`."""
    old = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = re.sub(rf"\b{re.escape(old)}\b", BATCH, axis.dim_param)
    return model


def _check_onnx(module: nn.Module, images: Tensor, path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for batch in (images, images[:1]):  # the batch size must not be fixed
        with torch.inference_mode():
            expected = exits_of(module(batch))
        for left, right in zip(session.run(None, {name: batch.numpy()}), expected, strict=True):
            difference = float((torch.from_numpy(left) - right).abs().max()) / max(1.0, float(right.abs().max()))
            if not difference <= _ONNX_TOLERANCE:
                raise _Missing(f"the logits of ONNX Runtime differ by {difference:.2g}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log messages, warnings and prints of the exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
