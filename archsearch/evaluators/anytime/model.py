"""Prediction by a trained network with several exits, within a budget or up to a confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.evaluators.anytime.exit_thresholds import exit_thresholds
from archsearch.evaluators.pareto import pareto_front
from archsearch.evaluators.vectors import finite_vector
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.network import Network
from archsearch.spaces.operators import Shape
from archsearch.spaces.plan import Plan, Step


@dataclass(frozen=True, eq=False)
class Prediction:
    """Logits of a batch, the exit that answered for each image, and its cost.

    Args:
        logits: `[batch, classes]`, of the exit that answered for each image.
        exits: `[batch]` int64, the number of that exit from 0.
        costs: `[batch]` float64, the cost of that exit, in the unit of the model's costs.
    """

    logits: Tensor
    exits: Tensor
    costs: Tensor

    @property
    def classes(self) -> Tensor:
        """The likeliest class of each image, `[batch]` int64."""
        return self.logits.argmax(1)


@dataclass(frozen=True)
class _Stage:
    """The steps that one exit needs beyond those of the exits before it.

    Args:
        steps: `(slot written, step)`, in the order of execution.
        output: Slot of the logits.
        kept: Slots that later stages read.
    """

    steps: tuple[tuple[int, Step], ...]
    output: int
    kept: frozenset[int]


class AnytimeModel:
    """Predicts with a trained network of several exits.

    G. Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification", ICLR 2018, section 3, for both
    settings: anytime prediction, and budgeted batch classification.

    Args:
        network: A trained network; it is used with its running statistics, and is not changed.
        costs: `[exits]`, spent when each exit of the network answers, never falling: MACs, or measured milliseconds.
        exits: Numbers of the network's exits that may answer, rising, from 0; None takes all.

    Raises:
        ConfigurationError: There is not one cost for each exit, or costs are negative, fall, or are not finite; or the exits are
            not rising numbers of the network's.

    Example:
        >>> import torch
        >>> from archsearch.evaluators import AnytimeModel
        >>> from archsearch.evaluators.baselines import resnet_plan
        >>> from archsearch.spaces.network import Network
        >>> model = AnytimeModel.counted(Network(resnet_plan(10, 1, blocks=1)), (1, 8, 8))
        >>> images = torch.zeros(4, 1, 8, 8)
        >>> model.predict(images, budget=model.costs[0]).exits.tolist()
        [0, 0, 0, 0]
        >>> thresholds = model.thresholds(images, mean_budget=model.costs[1])
        >>> model.predict(images, threshold=thresholds).logits.shape
        torch.Size([4, 10])
    """

    def __init__(self, network: Network, costs: Sequence[float], exits: Sequence[int] | None = None) -> None:
        spent, outputs = finite_vector("costs", costs), network.plan.outputs
        if len(spent) != len(outputs):
            raise ConfigurationError(f"costs: expected one for each of {len(outputs)} exits; got {len(spent)}.")
        if spent[0] < 0.0 or (np.diff(spent) < 0.0).any():
            raise ConfigurationError(f"costs: expected numbers from 0 that never fall; got {spent.tolist()}.")
        self.exits = tuple(range(len(outputs))) if exits is None else tuple(exits)
        if not self.exits or list(self.exits) != [number for number in range(len(outputs)) if number in self.exits]:
            raise ConfigurationError(f"exits: expected rising numbers from 0 to {len(outputs) - 1}; got {list(self.exits)}.")
        self.network, self._spent = network, tuple(spent.tolist())
        self.costs = tuple(self._spent[number] for number in self.exits)
        self._plan = replace(network.plan, outputs=tuple(outputs[number] for number in self.exits))
        self._stages = _stages(self._plan)

    @classmethod
    def counted(cls, network: Network, input_shape: Shape) -> AnytimeModel:
        """Return the model whose costs are the MACs of its exits for images of `(channels, height, width)`."""
        return cls(network, [cost.macs for cost in exit_costs(network.plan, input_shape)])

    def exit_within(self, budget: float) -> int:
        """Return the number of the last exit that costs at most `budget`.

        Raises:
            ConfigurationError: The first exit costs more.
        """
        if not budget >= self.costs[0]:
            raise ConfigurationError(f"budget: expected at least {self.costs[0]:g}, the cost of the first exit; got {budget!r}.")
        return int(np.searchsorted(self.costs, budget, side="right")) - 1

    def predict(
        self, images: Tensor, *, budget: float | None = None, threshold: float | Sequence[float] | None = None
    ) -> Prediction:
        """Return predictions; steps that they do not need are not executed.

        Args:
            images: `[batch, channels, height, width]`, normalised as in training, on the network's device.
            budget: Largest cost of an image. The last exit within it answers for all images; only the steps that this exit
                depends on are executed, so earlier classifiers are left out.
            threshold: An image leaves at the first exit whose largest softmax is at least that; one number for all exits, or one
                for each but the last. Later exits are computed for the remaining images only.

        Raises:
            ConfigurationError: Both are given, the budget is below the first exit's cost, or the numbers of thresholds and exits
                do not fit.
        """
        if budget is not None and threshold is not None:
            raise ConfigurationError("budget and threshold: expected one of them; got both.")
        if threshold is None:
            number = len(self.costs) - 1 if budget is None else self.exit_within(budget)
            return self._at(images, number)
        count = len(self.costs) - 1
        thresholds = [threshold] * count if isinstance(threshold, int | float) else list(threshold)
        if len(thresholds) != count:
            raise ConfigurationError(
                f"threshold: expected one number, or {count}, for all exits but the last; got {len(thresholds)}."
            )
        return self._leaving(images, thresholds)

    @torch.inference_mode()
    def answers(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the logits `[batch, classes]` of one exit after the other; the next is computed when it is asked for."""
        slots = {0: images}
        for stage in self._stages:
            yield self._run(stage, slots)

    @torch.inference_mode()
    def thresholds(self, images: Tensor, mean_budget: float, batch_size: int = 1000) -> tuple[float, ...]:
        """Return the thresholds with which a batch costs `mean_budget` an image on average; see `exit_thresholds`.

        Args:
            images: `[images, channels, height, width]` that the network was not trained on, such as those for validation.
            mean_budget: Mean cost of an image, in the unit of the costs.
            batch_size: Images in one pass.

        Raises:
            ConfigurationError: The budget is below the first exit's cost, or there are no images.
        """
        parts = [[_confidence(logits) for logits in self.answers(part)] for part in images.split(batch_size)]
        confidences = torch.cat([torch.stack(part) for part in parts], dim=1)
        return exit_thresholds(confidences.double().cpu().numpy(), self.costs, mean_budget)

    @torch.inference_mode()
    def improving(self, images: Tensor, labels: Tensor, batch_size: int = 1000) -> AnytimeModel:
        """Return the model with only those exits that are better than each cheaper one; the cheapest stays.

        A later exit may be worse than an earlier one. On the images given, the curve of this model is the `running_maximum` of
        `AnytimeCurve`. Costs stay those of the whole network, although classifiers that are left out are not computed.

        Args:
            images: `[images, channels, height, width]` that the network was not trained on, such as those for validation.
            labels: `[images]` int64, their classes.
            batch_size: Images in one pass.

        Raises:
            ConfigurationError: There are no images, or not one label for each.
        """
        if not len(images) or labels.shape != images.shape[:1]:
            raise ConfigurationError(
                f"labels: expected one for each image, and images; got {list(labels.shape)} for {len(images)} images."
            )
        right = [0] * len(self.exits)
        for part, truth in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            for number, logits in enumerate(self.answers(part)):
                right[number] += int((logits.argmax(1) == truth).sum())
        better = pareto_front(self.costs, right)
        return AnytimeModel(self.network, self._spent, [self.exits[number] for number in better])

    @torch.inference_mode()
    def _at(self, images: Tensor, number: int) -> Prediction:
        only = replace(self._plan, outputs=(self._plan.outputs[number],))
        parameters, buffers = _tensors(self.network)
        (logits,) = only.apply(images, parameters, buffers, training=False)
        return self._prediction(logits, torch.full((len(images),), number, device=images.device))

    @torch.inference_mode()
    def _leaving(self, images: Tensor, thresholds: Sequence[float]) -> Prediction:
        rows, slots = torch.arange(len(images), device=images.device), {0: images}
        found: list[tuple[Tensor, Tensor]] = []
        exits = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        for number, stage in enumerate(self._stages):
            logits = self._run(stage, slots)
            last = number == len(self._stages) - 1
            leaves = torch.ones_like(rows, dtype=torch.bool) if last else _confidence(logits) >= thresholds[number]
            found.append((rows[leaves], logits[leaves]))
            exits[rows[leaves]] = number
            rows = rows[~leaves]
            if not len(rows):
                break
            slots = {slot: tensor[~leaves] for slot, tensor in slots.items()}
        order = torch.cat([places for places, _ in found]).argsort()
        return self._prediction(torch.cat([logits for _, logits in found])[order], exits)

    def _run(self, stage: _Stage, slots: dict[int, Tensor]) -> Tensor:
        """Execute a stage, keep in `slots` the tensors that later stages read, and return the logits."""
        parameters, buffers = _tensors(self.network)
        for slot, step in stage.steps:
            inputs = [slots[source] for source in step.inputs]
            slots[slot] = step.operator.apply(inputs, parameters[step.name], buffers[step.name], False)
        logits = slots[stage.output]
        for slot in set(slots) - stage.kept:
            del slots[slot]
        return logits

    def _prediction(self, logits: Tensor, exits: Tensor) -> Prediction:
        costs = torch.tensor(self.costs, dtype=torch.float64)[exits.cpu()]
        return Prediction(logits, exits, costs)


def _stages(plan: Plan) -> tuple[_Stage, ...]:
    """Return the stage of each exit, with steps in the order of their slots."""
    done = set[int]()
    work: list[list[tuple[int, Step]]] = []
    for output in plan.outputs:
        needed = replace(plan, outputs=(output,)).live_steps
        work.append([(slot, step) for slot, step, _ in needed if slot not in done])
        done.update(slot for slot, _, _ in needed)
    stages: list[_Stage] = []
    read: set[int] = set()
    for steps, output in zip(reversed(work), reversed(plan.outputs), strict=True):
        stages.insert(0, _Stage(tuple(steps), output, frozenset(read)))
        read |= {output, *(source for _, step in steps for source in step.inputs)}
    return tuple(stages)


def _tensors(network: Network) -> tuple[dict[str, tuple[Tensor, ...]], dict[str, tuple[Tensor, ...]]]:
    """Return parameters and running statistics by the names of the plan."""
    parameters: dict[str, tuple[Tensor, ...]] = dict.fromkeys(network.plan.operators, ())
    buffers: dict[str, tuple[Tensor, ...]] = dict.fromkeys(network.plan.operators, ())
    for name, module in network.steps.items():
        parameters[name] = tuple(module.parameters(recurse=False))
        buffers[name] = tuple(module.buffers(recurse=False))
    return parameters, buffers


def _confidence(logits: Tensor) -> Tensor:
    """Return the largest softmax of each image, `[batch]`."""
    return logits.float().softmax(1).amax(1)
