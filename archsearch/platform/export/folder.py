"""Export of a network to a folder that needs no archsearch: source, weights, exchange formats, picture and model card."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from archsearch.atomic_file import written_atomically
from archsearch.cluster.storage_place import local_folder
from archsearch.errors import ConfigurationError, RunError, check_kind
from archsearch.evaluators.latency import measured_latency
from archsearch.evaluators.score_names import REGRESSION
from archsearch.platform.export.facts import ModelFacts
from archsearch.platform.export.formats import write_formats
from archsearch.platform.export.inputs import arguments_of, batch_like, first_row, images, tensors_of
from archsearch.platform.export.inputs import described as described_inputs
from archsearch.platform.export.model_card import architecture_json, described, model_card
from archsearch.platform.export.preprocessing import preprocessing_source
from archsearch.platform.report.drawing import save_drawing
from archsearch.spaces.module import ModuleNetwork
from archsearch.spaces.network import Network
from archsearch.spaces.source_code.writer import source_code

_SOURCE_TOLERANCE = 1e-5


def export_model(network: Network, facts: ModelFacts, directory: str | Path) -> Path:
    """Write a network to a folder.

    The folder holds

    * `model.py`, readable source that needs torch alone, and `weights.safetensors`, which its `load` reads,
    * `model.pt2` (torch.export) and, where the extra `onnx` is installed, `model.onnx`, both for batches of any size,
    * `architecture.json`: architecture, metrics, normalisation and origin as plain data,
    * `architecture.png` and `.svg`, and for the other members of an ensemble `architecture-2.png`, ...,
    * `README.md`, the model card.

    Source and formats are run on random inputs and compared with the network. A file that cannot be written is left out, and the
    model card says why.

    Args:
        network: The network, on the CPU. It is switched to evaluation mode.
        facts: Facts for the model card.
        directory: Folder to write to. It is created if missing; existing files of these names are replaced.

    Raises:
        RunError: The folder cannot be written, or the source does not compute what the network computes.

    Returns:
        The folder.
    """
    check_kind("directory", directory, (str, Path), "the path of a folder")
    folder = local_folder(directory, "directory").expanduser()
    network.eval()
    left_out: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inputs = images(facts.input_shape) if facts.takes_images else batch_like(facts.example_inputs)
        module = _write_source(network, facts, inputs, folder, left_out)
        left_out |= write_formats(module, inputs, folder)
        latency = measured_latency(_Fed(module, first_row(inputs)), ())
        for number, architecture in enumerate(facts.architectures, start=1):
            save_drawing(facts.space, architecture, folder / f"architecture{f'-{number}' if number > 1 else ''}")
        content = architecture_json(facts, latency, left_out)
        interface = None if facts.takes_images else _interface(module, inputs)
        _write(folder / "architecture.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        _write(folder / "README.md", model_card(facts, latency, left_out, interface))
    except OSError as error:
        raise RunError(f"directory: cannot write to {folder} ({error.strerror}); choose another folder.") from error
    return folder


class _Fed(nn.Module):
    """A module with one input, which is given to it at each call: what is timed.

    Args:
        module: The module.
        inputs: Its inputs, as `arguments_of` takes them.
    """

    def __init__(self, module: nn.Module, inputs: Any) -> None:
        super().__init__()
        self.module, self._arguments = module, arguments_of(inputs)

    def forward(self, _: Tensor) -> Any:
        args, named = self._arguments
        return self.module(*args, **named)


def _write_source(network: Network, facts: ModelFacts, inputs: Any, folder: Path, left_out: dict[str, str]) -> nn.Module:
    """Write `model.py` and the weights, and return the module to convert into the other formats."""
    path, weights = folder / "model.py", folder / "weights.safetensors"
    path.unlink(missing_ok=True)
    try:
        extra = preprocessing_source(facts.training.data) if facts.training else ""
        if isinstance(network, ModuleNetwork):
            text, state = network.source(_title(facts), extra), _contiguous(network.module.state_dict())
        else:
            code = source_code(network.plan, _title(facts), extra)
            text, state = code.text, code.state(network.plan.operators, network)
    except ConfigurationError as error:
        left_out["model.py"] = str(error)
        held = network.module if isinstance(network, ModuleNetwork) else network
        _write(weights, save(_contiguous(held.state_dict())))
        return held
    _write(path, text)
    _write(weights, save(state))
    module = _imported(path)
    _check(module, network, inputs)
    return module


def _contiguous(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous().clone() for name, tensor in state.items()}


def _write(path: Path, content: str | bytes) -> None:
    """Write a file atomically, strings in UTF-8."""
    with written_atomically(path, durable=False) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def _imported(path: Path) -> nn.Module:
    """Import the written file and return its network with the weights."""
    spec = importlib.util.spec_from_file_location("archsearch_exported_model", path)
    if spec is None or spec.loader is None:
        raise RunError(f"directory: cannot import {path}; choose another folder.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: nn.Module = module.load()
    return network


def _check(module: nn.Module, network: nn.Module, inputs: Any) -> None:
    """Raise RunError unless both modules compute the same."""
    args, named = arguments_of(inputs)
    with torch.inference_mode():
        for left, right in zip(tensors_of(module(*args, **named)), tensors_of(network(*args, **named)), strict=True):
            # Untrained networks may have large logits: the tolerance is relative to the largest.
            if not torch.allclose(
                left, right, rtol=_SOURCE_TOLERANCE, atol=_SOURCE_TOLERANCE * max(1.0, float(right.abs().max())), equal_nan=True
            ):
                raise RunError(
                    f"model.py: its logits differ by {float((left - right).abs().max()):.2g} from those of the network. "
                    "The source of an operator of the space does not match the operator; please report it."
                )


def _interface(module: nn.Module, inputs: Any) -> tuple[str, str]:
    """Return inputs and outputs of a module in words."""
    args, named = arguments_of(inputs)
    with torch.inference_mode():
        return described_inputs(inputs), described_inputs(module(*args, **named))


def _title(facts: ModelFacts) -> str:
    if not facts.takes_images:
        return _module_title(facts)
    channels, height, width = facts.input_shape
    output = "numbers" if facts.task == REGRESSION else "logits"
    what = f"the mean prediction of {len(facts.members)} networks" if facts.members else "a network"
    lines = [
        f"{described(facts)}: {what} of the search space {facts.space.name}.",
        "",
        *map(str, facts.architectures),
        "",
        f"Images `[batch, {channels}, {height}, {width}]` to {output} `[batch, {facts.num_classes}]`"
        + (f", one tensor for each of {facts.num_exits} exits." if facts.num_exits > 1 else "."),
        "`load()` returns the network with the weights beside this file"
        + ("; `prepare(pixels)` returns its input." if facts.training else ", which are random: it is not trained."),
    ]
    return "\n".join(lines)


def _module_title(facts: ModelFacts) -> str:
    return "\n".join(
        [
            f"{described(facts)}: a network of the search space {facts.space.name}.",
            "",
            str(facts.architecture),
            "",
            f"Its inputs, in batches of any size: {described_inputs(facts.example_inputs)}.",
            "`load()` returns the network with the weights beside this file, which are random: it is not trained.",
        ]
    )
