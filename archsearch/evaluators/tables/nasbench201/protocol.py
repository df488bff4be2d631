"""How NAS-Bench-201 wants its datasets to be used: which trainings a search sees, and which are reported.

CIFAR-10 is in the files twice: `cifar10-valid` are networks trained on 25,000 images and validated on the other 25,000, and
`cifar10` are networks trained on all 50,000. A search sees the first (`simulate_train_eval`), the test accuracy of the second is
reported; both as means over the seeds. Of CIFAR-100 and ImageNet16-120 the original test images are halved into a validation and
a test set, and the same networks are seen and reported. Source: section 2.2 and table 1 of the paper, arXiv 2001.00326; the
method `simulate_train_eval` and the function `remap_dataset_set_names` of D-X-Y/NATS-Bench, `nats_bench/api_utils.py`; the
author's answers in its issues 17 and 38.
"""

from __future__ import annotations

from typing import NamedTuple


class Protocol(NamedTuple):
    """Where the numbers of a dataset stand.

    Attributes:
        dataset: Its name for people.
        searched: Name of the trainings that a search sees.
        valid: Name of the set of images that they are validated on.
        tested: Name of the trainings that are reported.
        test: Name of the set of images that these are tested on.
        train_images: What the networks that a search sees are trained on.
        valid_images: What they are validated on.
        test_images: What the reported ones are trained and tested on.
        input_shape: Of the images.
        num_classes: Of the images.
    """

    dataset: str
    searched: str
    valid: str
    tested: str
    test: str
    train_images: str
    valid_images: str
    test_images: str
    input_shape: tuple[int, int, int]
    num_classes: int


PROTOCOLS = {
    "cifar10": Protocol(
        "CIFAR-10",
        "cifar10-valid",
        "x-valid",
        "cifar10",
        "ori-test",
        "25,000 training images",
        "the other 25,000 training images",
        "the 10,000 test images, trained on all 50,000 training images",
        (3, 32, 32),
        10,
    ),
    "cifar100": Protocol(
        "CIFAR-100",
        "cifar100",
        "x-valid",
        "cifar100",
        "x-test",
        "the 50,000 training images",
        "5,000 of the test images",
        "the other 5,000 test images",
        (3, 32, 32),
        100,
    ),
    "ImageNet16-120": Protocol(
        "ImageNet16-120",
        "ImageNet16-120",
        "x-valid",
        "ImageNet16-120",
        "x-test",
        "the 151,700 training images",
        "3,000 of the test images",
        "the other 3,000 test images",
        (3, 16, 16),
        120,
    ),
}
"""The datasets by their names in the benchmark."""
