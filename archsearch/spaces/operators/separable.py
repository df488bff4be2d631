"""Depthwise separable convolutions with batch normalisation, as chains of operators.

A depthwise convolution filters each channel separately; a 1x1 convolution then mixes the channels (F. Chollet, "Xception: Deep
Learning with Depthwise Separable Convolutions", CVPR 2017, arXiv 1610.02357).
"""

from __future__ import annotations

from archsearch.spaces.operators.activation import ReLU
from archsearch.spaces.operators.batch_norm import BatchNorm
from archsearch.spaces.operators.chain import Chain
from archsearch.spaces.operators.convolution import Convolution


def separable_conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> Chain:
    """Return `BN(pointwise(depthwise(x)))`, without a non-linearity between the two convolutions.

    Shapes:
        input `[batch, in_channels, height, width]`,
        output `[batch, out_channels, ceil(height / stride), ceil(width / stride)]`.
    """
    depthwise = Convolution(in_channels, in_channels, (kernel, kernel), stride, groups=in_channels)
    pointwise = Convolution(in_channels, out_channels, (1, 1))
    return Chain((("depthwise", depthwise), ("pointwise", pointwise), ("bn", BatchNorm(out_channels))))


def twice_separable_conv(channels: int, kernel: int, stride: int = 1) -> Chain:
    """Return ReLU, separable convolution, batch normalisation, twice: the `sep_conv` of NASNet and DARTS.

    B. Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018, arXiv 1707.07012,
    appendix: each separable convolution is applied twice, and the order is ReLU, convolution, batch normalisation. The first
    has the stride.

    Shapes:
        input `[batch, channels, height, width]`,
        output `[batch, channels, ceil(height / stride), ceil(width / stride)]`.
    """
    first, second = separable_conv_bn(channels, channels, kernel, stride), separable_conv_bn(channels, channels, kernel)
    return Chain((("relu_a", ReLU()), ("a", first), ("relu_b", ReLU()), ("b", second)))
