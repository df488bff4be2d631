"""Training-free scores of untrained networks, one a file with its paper and equation. Read `subject.py` first."""

from archsearch.evaluators.proxies.evaluator import ProxyEvaluator
from archsearch.evaluators.proxies.registry import ProxyRecord, get, names
from archsearch.evaluators.proxies.subject import Subject

__all__ = ["ProxyEvaluator", "ProxyRecord", "Subject", "get", "names"]
