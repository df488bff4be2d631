"""Operators: parameter shapes, a pure function, and a cost, defined once each."""

from archsearch.spaces.operators.activation import ReLU
from archsearch.spaces.operators.batch_norm import BatchNorm
from archsearch.spaces.operators.blocks import bn_relu, conv_bn, pooled_shortcut, relu_conv_bn
from archsearch.spaces.operators.chain import Chain
from archsearch.spaces.operators.convolution import Convolution
from archsearch.spaces.operators.linear import Linear
from archsearch.spaces.operators.merge import Concatenate, Identity, Sum, Zero
from archsearch.spaces.operators.operator import Operator, Shape
from archsearch.spaces.operators.pooling import AveragePool, GlobalAveragePool, MaxPool

__all__ = [
    "AveragePool",
    "BatchNorm",
    "Chain",
    "Concatenate",
    "Convolution",
    "GlobalAveragePool",
    "Identity",
    "Linear",
    "MaxPool",
    "Operator",
    "ReLU",
    "Shape",
    "Sum",
    "Zero",
    "bn_relu",
    "conv_bn",
    "pooled_shortcut",
    "relu_conv_bn",
]
