"""Residual network with exits along its depth.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, for the network; G. Huang
et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification", ICLR 2018, section 5, for exits in it.
"""

from __future__ import annotations

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import Chain, GlobalAveragePool, Linear, ReLU, Sum, conv_bn, conv_bn_relu
from archsearch.spaces.plan import Plan, PlanBuilder


def resnet_plan(
    num_classes: int, in_channels: int, *, blocks: int = 2, channels: int = 8, stages: int = 3, exit_every: int = 1
) -> Plan:
    """Return a residual network whose exits are the mean over all positions and a linear classifier.

    A stem of one 3x3 convolution, then stages of basic blocks (two 3x3 convolutions, added to their input). Each stage but the
    first begins with stride 2 and doubles the channels; a 1x1 convolution then adapts the input. The last block has an exit, and
    so has every `exit_every`-th before, counted from the last. The network for CIFAR with `6 n + 2` layers is `blocks=n,
    channels=16`, but for the shortcuts, which there have no parameters.

    Args:
        num_classes: Classes of each exit.
        in_channels: Channels of the images.
        blocks: Number of blocks in a stage.
        channels: Channels of the first stage.
        stages: Number of stages.
        exit_every: Blocks between two exits; the number of all blocks leaves the last exit only.

    Raises:
        ConfigurationError: A size is below 1.
    """
    sizes = {"blocks": blocks, "channels": channels, "stages": stages, "exit_every": exit_every}
    if wrong := {name: size for name, size in sizes.items() if size < 1}:
        raise ConfigurationError(f"{next(iter(wrong))}: expected at least 1; got {next(iter(wrong.values()))}.")
    build = PlanBuilder(in_channels)
    outputs: list[int] = []
    x, width, total = build.add("stem", conv_bn_relu(in_channels, channels, 3), build.input), channels, 0
    for stage in range(stages):
        for block in range(blocks):
            out = channels * 2**stage
            x = _block(build, f"stage{stage}_block{block}", x, width, out, 2 if stage and not block else 1)
            width, total = out, total + 1
            if (stages * blocks - total) % exit_every == 0:
                classifier = Chain((("pool", GlobalAveragePool()), ("classifier", Linear(width, num_classes))))
                outputs.append(build.add(f"exit{len(outputs)}", classifier, x))
    return build.finish(*outputs)


def _block(build: PlanBuilder, name: str, x: int, in_channels: int, channels: int, stride: int) -> int:
    links = (("first", conv_bn_relu(in_channels, channels, 3, stride)), ("second", conv_bn(channels, channels, 3)))
    residual = build.add(f"{name}_residual", Chain(links), x)
    if stride > 1 or in_channels != channels:
        x = build.add(f"{name}_shortcut", conv_bn(in_channels, channels, 1, stride), x)
    return build.add(f"{name}_relu", ReLU(), build.add(f"{name}_sum", Sum(), x, residual))
