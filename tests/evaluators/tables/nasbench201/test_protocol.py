"""The datasets of NAS-Bench-201, against the published sizes of its networks."""

from __future__ import annotations

import pytest

from archsearch import spaces
from archsearch.evaluators.tables.nasbench201.protocol import PROTOCOLS


@pytest.mark.parametrize(("name", "mega_macs"), [("cifar10", 15.64737), ("cifar100", 15.65322), ("ImageNet16-120", 3.91948)])
def test_shapes_and_classes_give_the_published_macs(name: str, mega_macs: float) -> None:
    # D-X-Y/NATS-Bench, issue 24, gives the FLOPs of architecture 0 in millions.
    space, protocol = spaces.get("nasbench201"), PROTOCOLS[name]
    cell = space.parse("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|")
    assert space.cost(cell, protocol.input_shape, protocol.num_classes).macs / 1e6 == mega_macs


def test_only_cifar10_is_searched_on_a_part_of_the_images_that_are_trained_on_in_the_end() -> None:
    assert [name for name, each in PROTOCOLS.items() if each.searched != each.tested] == ["cifar10"]
