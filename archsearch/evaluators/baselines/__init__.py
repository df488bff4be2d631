"""Hand-designed networks with several exits, the baselines of searched anytime networks.

Each is a plan, so that its exits are counted, trained and executed like those of a candidate.
"""

from archsearch.evaluators.baselines.ensemble import ensemble_plan
from archsearch.evaluators.baselines.msdnet import msdnet_plan
from archsearch.evaluators.baselines.resnet import resnet_plan

__all__ = ["ensemble_plan", "msdnet_plan", "resnet_plan"]
