"""The last linear layer of a trained network, changed so that the network answers in the user's units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.prediction.regression import Regression
from archsearch.spaces.module.network import ModuleNetwork
from archsearch.spaces.network import Network
from archsearch.spaces.operators import Chain, Linear, Shape


@torch.no_grad()
def answer_in_units(network: Network, regression: Regression, input_shape: Shape) -> None:
    """Change weight W and bias b of the last layer of each exit to `deviation W` and `deviation b + mean`.

    Args:
        network: A network that was trained on normalised numbers.
        regression: Mean and deviation of each target.
        input_shape: `(channels, height, width)` of an image.

    Raises:
        ConfigurationError: An exit does not end in a linear layer.
    """
    for weight, bias in last_layers(network, input_shape):
        mean, deviation = (torch.tensor(each, dtype=torch.float64) for each in (regression.mean, regression.deviation))
        mean, deviation = mean.to(weight.device), deviation.to(weight.device)
        weight.copy_(weight.double() * deviation[:, None])
        bias.copy_(bias.double() * deviation + mean)


def last_layers(network: Network, input_shape: Shape) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of the last layer of each exit; layers that exits share come once.

    Args:
        network: The network.
        input_shape: `(channels, height, width)` of an image.

    Raises:
        ConfigurationError: An exit does not end in a linear layer with a bias.
    """
    if isinstance(network, ModuleNetwork):
        return _of_module(network.module, input_shape)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for slot in network.plan.outputs:
        step = network.plan.steps[slot - 1]
        last = step.operator.links[-1][1] if isinstance(step.operator, Chain) else step.operator
        if slot == 0 or not isinstance(last, Linear):
            raise _unfit(type(last).__name__)
        weight, bias = list(network.steps[step.name].parameters())[-2:]
        found[step.name] = weight, bias
    return list(found.values())


def _of_module(module: nn.Module, input_shape: Shape) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of the layers whose outputs are those of a module of the user."""
    answers: list[tuple[nn.Linear, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output: answers.append((layer, output)))
        for layer in module.modules()
        if isinstance(layer, nn.Linear) and layer.bias is not None
    ]
    training, device = module.training, next(module.parameters()).device
    try:
        with torch.no_grad():
            outputs = module.eval()(torch.zeros((2, *input_shape), device=device))
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    layers = {layer: None for output in outputs for layer, answer in answers if answer is output}
    if len({id(answer) for _, answer in answers} & {id(output) for output in outputs}) < len(outputs):
        raise _unfit("another layer, or what is computed from one")
    return [(layer.weight, layer.bias) for layer in layers]


def _unfit(last: str) -> ConfigurationError:
    return ConfigurationError(
        f"task: regression needs a network that ends in a linear layer with a bias, which can answer in your units; got {last}. "
        "Return the output of such a layer."
    )
