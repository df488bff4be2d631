"""The protocol of NAS-Bench-201: for each dataset the trainings that a search sees, and those that are reported.

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
    """The trainings and image sets of a dataset.

    Attributes:
        dataset: Human-readable name.
        searched: Name of the trainings that a search sees.
        valid: Name of the set of images that they are validated on.
        tested: Name of the trainings that are reported.
        test: Name of the set of images that these are tested on.
        train_images: Training images of the networks that a search sees.
        valid_images: Their validation images.
        test_images: Test and training images of the networks that are reported.
        input_shape: `(channels, height, width)` of an image.
        num_classes: Number of classes.
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
        dataset="CIFAR-10",
        searched="cifar10-valid",
        valid="x-valid",
        tested="cifar10",
        test="ori-test",
        train_images="25,000 training images",
        valid_images="the other 25,000 training images",
        test_images="the 10,000 test images, trained on all 50,000 training images",
        input_shape=(3, 32, 32),
        num_classes=10,
    ),
    "cifar100": Protocol(
        dataset="CIFAR-100",
        searched="cifar100",
        valid="x-valid",
        tested="cifar100",
        test="x-test",
        train_images="the 50,000 training images",
        valid_images="5,000 of the test images",
        test_images="the other 5,000 test images",
        input_shape=(3, 32, 32),
        num_classes=100,
    ),
    "ImageNet16-120": Protocol(
        dataset="ImageNet16-120",
        searched="ImageNet16-120",
        valid="x-valid",
        tested="ImageNet16-120",
        test="x-test",
        train_images="the 151,700 training images",
        valid_images="3,000 of the test images",
        test_images="the other 3,000 test images",
        input_shape=(3, 16, 16),
        num_classes=120,
    ),
}
"""The datasets by their names in the benchmark."""
