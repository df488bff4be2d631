"""Image datasets with a fixed split into training, validation and test."""

from archsearch.evaluators.dataset_names import check_name, names
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.registry import load
from archsearch.evaluators.datasets.resident import ImagePart, Resident, batches, resident
from archsearch.evaluators.datasets.split_rows import stratified_split

__all__ = [
    "ImageDataset",
    "ImagePart",
    "Resident",
    "Splits",
    "batches",
    "check_name",
    "load",
    "names",
    "resident",
    "stratified_split",
]
