"""Training-free scores of untrained networks, one a file with its paper and equation. Read `subject.py` first."""

from archsearch.evaluators.proxies.evaluator import ProxyEvaluator
from archsearch.evaluators.proxies.registry import ProxyRecord, get, names
from archsearch.evaluators.proxies.subject import Subject
from archsearch.evaluators.proxies.surrogate import ProxySurrogate

__all__ = ["ProxyEvaluator", "ProxyRecord", "ProxySurrogate", "Subject", "get", "names"]
