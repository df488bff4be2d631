"""Blocks of the published search spaces, each a chain of operators."""

from __future__ import annotations

from archsearch.spaces.operators.activation import ReLU
from archsearch.spaces.operators.batch_norm import BatchNorm
from archsearch.spaces.operators.chain import Chain
from archsearch.spaces.operators.convolution import Convolution
from archsearch.spaces.operators.pooling import AveragePool


def relu_conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1, replicas: int = 1) -> Chain:
    """Return ReLU, convolution, batch normalisation (NAS-Bench-201's `nor_conv`)."""
    return Chain((("relu", ReLU()), *conv_bn(in_channels, out_channels, kernel, stride, replicas).links))


def conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1, replicas: int = 1) -> Chain:
    """Return convolution, batch normalisation."""
    convolution = Convolution(in_channels, out_channels, (kernel, kernel), stride, replicas=replicas)
    return Chain((("conv", convolution), ("bn", BatchNorm(out_channels, replicas=replicas))))


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int, stride: int = 1, replicas: int = 1) -> Chain:
    """Return convolution, batch normalisation, ReLU (NAS-Bench-101's convolutions and projections)."""
    return Chain((*conv_bn(in_channels, out_channels, kernel, stride, replicas).links, ("relu", ReLU())))


def bn_relu(channels: int, replicas: int = 1) -> Chain:
    """Return batch normalisation, ReLU."""
    return Chain((("bn", BatchNorm(channels, replicas=replicas)), ("relu", ReLU())))


def pooled_shortcut(in_channels: int, out_channels: int, replicas: int = 1) -> Chain:
    """Return 2x2 average pooling and a 1x1 convolution: the shortcut of a residual reduction."""
    convolution = Convolution(in_channels, out_channels, (1, 1), replicas=replicas)
    return Chain((("pool", AveragePool(2, 2)), ("conv", convolution)))
