from __future__ import annotations

from archsearch.evaluators.ghn.operator_kind import BIAS, SCALE, SHIFT, WEIGHT, family, is_glue, kind, node_type, stride
from archsearch.spaces.operators import AveragePool, BatchNorm, Chain, Convolution, Linear, MaxPool, ReLU


def test_channels_and_stride_are_no_part_of_a_kind() -> None:
    narrow, wide = Convolution(4, 4, (3, 3)), Convolution(8, 8, (3, 3), stride=2)
    assert kind(narrow) == kind(wide)
    assert kind(narrow) != kind(Convolution(4, 8, (3, 3))), "a projection"
    assert kind(narrow) != kind(Convolution(4, 4, (5, 5)))
    assert family(narrow) == family(Convolution(4, 4, (5, 5)))
    assert (stride(narrow), stride(wide)) == (1, 2)


def test_roles_of_parameters() -> None:
    block = Chain((("conv", Convolution(4, 4, (3, 3))), ("norm", BatchNorm(4))))
    assert [want.role for want in node_type(block).own] == [WEIGHT, SCALE, SHIFT]
    assert [want.role for want in node_type(Linear(4, 10)).own] == [WEIGHT, BIAS]
    assert node_type(block) is node_type(Chain((("conv", Convolution(4, 4, (3, 3))), ("norm", BatchNorm(4)))))


def test_glue_has_no_parameters_and_only_joins_or_resizes() -> None:
    assert is_glue(ReLU())
    assert not is_glue(MaxPool(3))
    assert not is_glue(Convolution(4, 4, (3, 3)))
    assert is_glue(AveragePool(2, 2)) is (AveragePool(2, 2).kernel == AveragePool(2, 2).stride)
