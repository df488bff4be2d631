"""Convolutions after a ReLU, without normalisation, which is added per input if an operator is applied to several inputs.

All keep the image size at stride 1 and have no bias.
"""

from __future__ import annotations

from archsearch.spaces.operators.activation import ReLU
from archsearch.spaces.operators.chain import Chain
from archsearch.spaces.operators.convolution import Convolution


def relu_conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> Chain:
    """Return ReLU, convolution."""
    return Chain((("relu", ReLU()), ("conv", Convolution(in_channels, out_channels, (kernel, kernel), stride))))


def relu_separable_conv(in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> Chain:
    """Return ReLU, depthwise convolution, 1x1 convolution: a separable convolution, applied once.

    L. Sifre, S. Mallat, "Rigid-Motion Scattering for Texture Classification", 2014; dilation as in F. Yu, V. Koltun,
    "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016.
    """
    depthwise = Convolution(in_channels, in_channels, (kernel, kernel), dilation=dilation, groups=in_channels)
    pointwise = Convolution(in_channels, out_channels, (1, 1))
    return Chain((("relu", ReLU()), ("depthwise", depthwise), ("pointwise", pointwise)))


def relu_asymmetric_conv(channels: int, length: int) -> Chain:
    """Return ReLU, `1 x length` convolution, `length x 1` convolution.

    C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 3.2.
    """
    row, column = Convolution(channels, channels, (1, length)), Convolution(channels, channels, (length, 1))
    return Chain((("relu", ReLU()), ("row", row), ("column", column)))
