"""Training-free scores by name, as described records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.proxies.epe_nas import epe_nas
from archsearch.evaluators.proxies.fisher import fisher
from archsearch.evaluators.proxies.grad_norm import grad_norm
from archsearch.evaluators.proxies.grasp import grasp
from archsearch.evaluators.proxies.jacov import jacov
from archsearch.evaluators.proxies.l2_norm import l2_norm
from archsearch.evaluators.proxies.macs import macs
from archsearch.evaluators.proxies.nwot import nwot
from archsearch.evaluators.proxies.params import params
from archsearch.evaluators.proxies.plain import plain
from archsearch.evaluators.proxies.snip import snip
from archsearch.evaluators.proxies.subject import Subject
from archsearch.evaluators.proxies.synflow import synflow
from archsearch.evaluators.proxies.zen import zen
from archsearch.evaluators.proxies.zico import zico


@dataclass(frozen=True, slots=True)
class ProxyRecord:
    """A training-free score.

    Args:
        name: Its name.
        score: Function of an untrained network with a batch of images; NaN where the score is not defined.
        description: What it measures.
        needs_images: Whether it reads images.
        needs_labels: Whether it reads labels.
        needs_classes: Whether the labels must be classes.
    """

    name: str
    score: Callable[[Subject], float]
    description: str
    needs_images: bool = True
    needs_labels: bool = True
    needs_classes: bool = False


_RECORDS: Mapping[str, ProxyRecord] = {
    record.name: record
    for record in (
        ProxyRecord("params", params, "number of parameters", needs_images=False, needs_labels=False),
        ProxyRecord("macs", macs, "multiply-accumulates of one input", needs_images=False, needs_labels=False),
        ProxyRecord("l2_norm", l2_norm, "norms of the initial weights", needs_images=False, needs_labels=False),
        ProxyRecord("grad_norm", grad_norm, "norms of the gradients"),
        ProxyRecord("snip", snip, "change of the loss where weights are removed"),
        ProxyRecord("plain", plain, "change of the loss where weights are removed, with its sign"),
        ProxyRecord("grasp", grasp, "change of the gradients where weights are removed"),
        ProxyRecord("fisher", fisher, "change of the loss where channels are removed"),
        ProxyRecord("synflow", synflow, "flow of ones through the absolute weights", needs_images=False, needs_labels=False),
        ProxyRecord("jacov", jacov, "correlation of the images' gradients", needs_labels=False),
        ProxyRecord("epe_nas", epe_nas, "correlation of the images' gradients within each class", needs_classes=True),
        ProxyRecord("nwot", nwot, "rectified units that tell two images apart", needs_labels=False),
        ProxyRecord("zen", zen, "change of the features with Gaussian images", needs_images=False, needs_labels=False),
        ProxyRecord("zico", zico, "gradients that are large and vary little"),
    )
}


def names() -> list[str]:
    """Return the names of all training-free scores."""
    return list(_RECORDS)


def get(name: str) -> ProxyRecord:
    """Return a training-free score.

    Raises:
        ConfigurationError: There is none of that name; the message has the nearest first.

    Example:
        >>> get("nwot").description
        'rectified units that tell two images apart'
    """
    if name not in _RECORDS:
        raise ConfigurationError(unknown_name("proxy", name, _RECORDS))
    return _RECORDS[name]
