"""Operators of networks: parameter shapes, a pure function of inputs and parameters, and MACs. Read `operator.py` first."""

from archsearch.spaces.operators.activation import ReLU
from archsearch.spaces.operators.batch_norm import BatchNorm
from archsearch.spaces.operators.blocks import bn_relu, conv_bn, conv_bn_relu, pooled_shortcut, relu_conv_bn
from archsearch.spaces.operators.chain import Chain
from archsearch.spaces.operators.convolution import Convolution
from archsearch.spaces.operators.factorized_reduction import FactorizedReduction
from archsearch.spaces.operators.linear import Linear
from archsearch.spaces.operators.mean_prediction import MeanLabels, MeanNumbers, MeanPrediction
from archsearch.spaces.operators.merge import Concatenate, Identity, Sum, Zero
from archsearch.spaces.operators.operator import Operator, Shape, Tensors
from archsearch.spaces.operators.pooling import AveragePool, GlobalAveragePool, MaxPool, RegionPool
from archsearch.spaces.operators.relu_convolution import relu_asymmetric_conv, relu_conv, relu_separable_conv
from archsearch.spaces.operators.separable import separable_conv_bn, twice_separable_conv
from archsearch.spaces.operators.truncate import Truncate
from archsearch.spaces.operators.upsample import Upsample

__all__ = [
    "AveragePool",
    "BatchNorm",
    "Chain",
    "Concatenate",
    "Convolution",
    "FactorizedReduction",
    "GlobalAveragePool",
    "Identity",
    "Linear",
    "MaxPool",
    "MeanLabels",
    "MeanNumbers",
    "MeanPrediction",
    "Operator",
    "ReLU",
    "RegionPool",
    "Shape",
    "Sum",
    "Tensors",
    "Truncate",
    "Upsample",
    "Zero",
    "bn_relu",
    "conv_bn",
    "conv_bn_relu",
    "pooled_shortcut",
    "relu_asymmetric_conv",
    "relu_conv",
    "relu_conv_bn",
    "relu_separable_conv",
    "separable_conv_bn",
    "twice_separable_conv",
]
