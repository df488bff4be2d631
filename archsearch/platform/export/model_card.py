"""The model card (`README.md`) and `architecture.json` of an exported network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from archsearch import __version__
from archsearch.evaluators.latency import Latency
from archsearch.evaluators.score_names import CLASSIFICATION, MEASURES, MULTILABEL, REGRESSION
from archsearch.platform import units
from archsearch.platform.export.facts import ModelFacts, ModelMember, TrainingFacts
from archsearch.platform.export.preprocessing import NAMES

_FILES = {
    "model.py": "source of the network; needs only torch",
    "weights.safetensors": "its weights",
    "model.pt2": "network and weights for `torch.export.load`, batches of any size",
    "model.onnx": "network and weights for ONNX Runtime, batches of any size",
    "architecture.json": "the content of this file, machine-readable",
    "architecture.png": "picture of the architecture; `architecture.svg` is the same",
}


_OUTPUTS = {
    CLASSIFICATION: ("logits", "before the softmax"),
    MULTILABEL: ("logits", "before the sigmoid, which gives the probability of each label"),
    REGRESSION: ("numbers", "in the units of the training data"),
}
_ANSWERS = {
    CLASSIFICATION: "the logarithm of the weighted mean of the members' class probabilities",
    MULTILABEL: "the logit of the weighted mean of the members' probabilities of each label",
    REGRESSION: "the weighted mean of the members' numbers",
}


def architecture_json(facts: ModelFacts, latency: Latency, left_out: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of `architecture.json`; names of durations end in their unit."""
    cost, training = facts.cost, facts.training
    return {
        "space": facts.space.name,
        "architecture": str(facts.architecture),
        "key": facts.space.key(facts.architecture),
        "network": {**_sizes(facts), **facts.scale},
        "exits": facts.num_exits,
        "score": facts.origin.get("score"),
        "metrics": _finite(facts.origin.get("metrics", {})),
        "run": facts.origin.get("run"),
        "origin": {name: value for name, value in facts.origin.items() if name not in ("score", "metrics", "run")},
        "params": cost.params,
        "macs": cost.macs,
        "latency_ms": {"median": latency.median, "quartiles": [latency.low, latency.high], "batch_size": latency.batch_size}
        | {"device": latency.device, "threads": latency.threads},
        "normalisation": {"mean": list(training.data.mean), "std": list(training.data.std)} if training else None,
        "task": facts.task,
        "classes": list(training.data.classes) if training else None,
        "training": _training(training) if training else None,
        **({"members": [_member(facts, member) for member in facts.members]} if facts.members else {}),
        "left_out": dict(left_out),
        "archsearch": __version__,
    }


def _sizes(facts: ModelFacts) -> dict[str, Any]:
    """Return the shape of images and the number of classes, as far as the network has them."""
    given = {"input_shape": list(facts.input_shape) or None, "num_classes": facts.num_classes}
    return {name: value for name, value in given.items() if value is not None}


def _member(facts: ModelFacts, member: ModelMember) -> dict[str, Any]:
    return {
        "architecture": str(member.architecture),
        "key": facts.space.key(member.architecture),
        "weight": member.count / sum(each.count for each in facts.members),
        "rank": member.rank,
        "metrics": _finite(member.metrics),
    }


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the finite numbers; JSON has no others."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _training(training: TrainingFacts) -> dict[str, Any]:
    return {
        "dataset": training.data.name,
        "digest": training.data.digest,
        "images": training.data.images,
        "recipe": training.recipe_name,
        "settings": dict(training.settings),
        "seed": training.seed,
        "metrics": _finite(training.metrics),
        "exit_accuracies": list(training.exit_accuracies),
    }


def model_card(facts: ModelFacts, latency: Latency, left_out: Mapping[str, str], interface: tuple[str, str] | None = None) -> str:
    """Return the content of `README.md`.

    Args:
        facts: Facts of the network.
        latency: Its latency.
        left_out: Reasons of missing files by name.
        interface: Inputs and outputs in words, of a module that takes no images.
    """
    cost, training = facts.cost, facts.training
    parts = [
        f"# {described(facts).replace('An i', 'I', 1)}",
        f"{_kind(facts)} of the search space `{facts.space.name}`, "
        + (f"trained on {training.data.name}." if training else "**not trained**: its weights are random."),
        *_pictures(facts),
        *_members(facts),
        "## Figures",
        _table(
            {
                **_accuracies(training),
                "parameters": f"{cost.params:,}",
                f"multiply-accumulates (MACs) of {_counted(facts)}": f"{cost.macs:,}",
                f"latency, batch of {latency.batch_size}": f"{latency.median:.3g} ms (median; quartiles {latency.low:.3g} and "
                f"{latency.high:.3g}; {latency.device}, threads: {latency.threads}; measured in PyTorch when it was exported)",
            }
        ),
        "## Input and output",
        *(_interface(facts) if interface is None else (f"Input: {interface[0]}.", f"Output: {interface[1]}.")),
        "## Use",
        _usage(left_out, training is not None, NAMES[facts.task], _OUTPUTS[facts.task][0])
        if facts.takes_images
        else _module_usage(left_out, facts.example_inputs),
        "## Training",
        _table(_training_rows(training))
        if training
        else f"None. Train it before use{', for example with `archsearch train`' if facts.takes_images else ''}.",
        "## How it was found",
        _table(dict(_origin_rows(facts))),
        "## Files",
        "\n".join(f"* `{name}`: {text}" for name, text in _FILES.items() if name not in left_out),
    ]
    if left_out:
        parts.append("\n".join(["Left out:", "", *(f"* `{name}`: {reason}" for name, reason in left_out.items())]))
    parts.append(f"Written by archsearch {__version__}.")
    return "\n\n".join(parts) + "\n"


def described(facts: ModelFacts) -> str:
    """Return what a network does, without a full stop."""
    number = facts.num_classes
    if not facts.takes_images:
        return "A module"
    if facts.task == MULTILABEL:
        return f"An image tagger with {number} labels"
    if facts.task == REGRESSION:
        named = facts.training.data.classes if facts.training else ()
        shown = f" ({', '.join(named[:3])}{', ...' if len(named) > 3 else ''})" if named else ""
        return f"An image regressor with {number} {'number' if number == 1 else 'numbers'}{shown}"
    return f"An image classifier with {number} classes"


def _counted(facts: ModelFacts) -> str:
    return "one image" if facts.takes_images else "the example inputs"


def _kind(facts: ModelFacts) -> str:
    return f"An ensemble of {len(facts.members)} network{'s' * (len(facts.members) > 1)}" if facts.members else "A network"


def _pictures(facts: ModelFacts) -> Iterator[str]:
    for number, architecture in enumerate(facts.architectures, start=1):
        suffix = f"-{number}" if number > 1 else ""
        yield f"![The architecture](architecture{suffix}.png)"
        yield f"```\n{architecture}\n```"


def _members(facts: ModelFacts) -> Iterator[str]:
    if not facts.members:
        return
    total = sum(member.count for member in facts.members)
    names = [each.heading for each in units.qualities(facts.members[0].metrics)]
    lines = [
        f"| member | weight | rank in the search | {' | '.join(names)} |",
        "| --- " * (3 + len(names)) + "|",
    ]
    for number, member in enumerate(facts.members, start=1):
        shown = [each.value for each in units.qualities(member.metrics)]
        lines.append(f"| {number} | {member.count} / {total} | {member.rank} | {' | '.join(shown)} |")
    figures = "accuracies there are somewhat too high" if facts.task == CLASSIFICATION else "figures there are somewhat too good"
    yield (
        f"Its answer is {_ANSWERS[facts.task]}. Members and weights were selected "
        f"greedily on the validation images (R. Caruana et al., ICML 2004), so {figures}:"
    )
    yield "\n".join(lines)


def _table(rows: Mapping[str, str]) -> str:
    cells = (f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows.items())
    return "\n".join(["| | |", "| --- | --- |", *cells])


def _accuracies(training: TrainingFacts | None) -> dict[str, str]:
    if training is None:
        return {"accuracy": "not trained"}
    rows = {each.words: each.text for each in units.qualities(training.metrics)}
    if len(training.exit_accuracies) > 1:
        measure = MEASURES[training.data.measure]
        exits = ", ".join(units.score(accuracy, measure.percent) for accuracy in training.exit_accuracies)
        rows[f"{measure.words.format('test')}, each exit"] = f"{exits} %" if measure.percent else exits
    return rows


def _interface(facts: ModelFacts) -> Iterator[str]:
    channels, height, width = facts.input_shape
    yield f"Input: float32 `[batch, {channels}, {height}, {width}]`" + (
        ", `(pixels / 255 - mean) / std` with, for each channel," if facts.training else ". No normalisation: not trained."
    )
    if facts.training:
        mean, std = (", ".join(f"{value:.6g}" for value in each) for each in (facts.training.data.mean, facts.training.data.std))
        yield f"```\nmean = [{mean}]\nstd  = [{std}]\n```"
    kind, meaning = _OUTPUTS[facts.task]
    outputs = f"float32 `[batch, {facts.num_classes}]`, {meaning}"
    yield (
        f"Output: {kind}, {outputs}."
        if facts.num_exits == 1
        else (f"Output: a tuple of {facts.num_exits} {kind}, one for each exit, in order; each {outputs}.")
    )
    if facts.training:
        classes = facts.training.data.classes
        shown = ", ".join(f"`{name}`" for name in classes[:100])
        rest = ", ... (all in architecture.json)" if len(classes) > 100 else ""
        yield f"{NAMES[facts.task].capitalize()} in order: {shown}{rest}."


def _usage(left_out: Mapping[str, str], trained: bool, names: str, outputs: str) -> str:
    lines = ["```python"]
    if "model.py" not in left_out:
        if trained:
            lines += [f"from model import {names}, load, prepare  # model.py of this folder", "images = prepare(pixels)  # uint8"]
            lines += [f"{outputs} = load()(images)", ""]
        else:
            lines += ["from model import load  # model.py of this folder", f"{outputs} = load()(images)", ""]
    if "model.pt2" not in left_out:
        lines += ["import torch", f'{outputs} = torch.export.load("model.pt2").module()(images)', ""]
    if "model.onnx" not in left_out:
        lines += ["import onnxruntime", 'session = onnxruntime.InferenceSession("model.onnx")']
        lines += [f"{outputs} = session.run(None, {{session.get_inputs()[0].name: images.numpy()}})", ""]
    return "\n".join([*lines[: -1 if lines[-1] == "" else None], "```"])


def _module_usage(left_out: Mapping[str, str], example: Any) -> str:
    """Return how a module is called on its inputs."""
    given = "**inputs" if isinstance(example, dict) else "*inputs" if isinstance(example, tuple) else "inputs"
    lines = ["```python"]
    if "model.py" not in left_out:
        lines += ["from model import load  # model.py of this folder", f"outputs = load()({given})", ""]
    if "model.pt2" not in left_out:
        lines += ["import torch", f'outputs = torch.export.load("model.pt2").module()({given})', ""]
    if "model.onnx" not in left_out:
        lines += ["import onnxruntime", 'session = onnxruntime.InferenceSession("model.onnx")']
        lines += ["names = [each.name for each in session.get_inputs()]  # in the order of the inputs", ""]
    return "\n".join([*lines[: -1 if lines[-1] == "" else None], "```"])


def _training_rows(training: TrainingFacts) -> dict[str, str]:
    settings = ", ".join(f"{name} {value}" for name, value in training.settings.items())
    return {
        "data": f"{training.data.name}, {training.data.images:,} images (hash {training.data.digest})",
        "recipe": training.recipe_name,
        "settings": settings,
        "seed": str(training.seed),
        "loss in the last epoch": f"{training.metrics['train_loss']:.4g}",
        "time": units.duration(training.metrics["seconds"]),
    }


def _origin_rows(facts: ModelFacts) -> Iterator[tuple[str, str]]:
    origin = facts.origin
    yield "search space", facts.space.name
    yield "size", ", ".join(f"{name} {value}" for name, value in facts.scale.items()) or "fixed"
    if "run" not in origin:
        yield "found", "given by the user, not by a search of archsearch"
        return
    yield "run", str(origin["run"])
    if "searcher" in origin:
        yield "searcher", f"{origin['searcher']}, seed {origin['seed']}, {origin['candidates']:,} candidates"
        yield "scored by", f"{origin['evaluator']} ({origin['score_name']})"
    if origin.get("rank") is not None:
        yield "rank", str(origin["rank"])
    if "score" in origin:
        percent, lower = bool(origin.get("percent")), bool(origin.get("lower_is_better"))
        when = f", after {origin['scored_after']}" if "scored_after" in origin else ""
        yield "score in the search", units.score(origin["score"], percent, lower) + (" %" if percent else "") + when
