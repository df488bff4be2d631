"""Search spaces made of functions that build PyTorch modules."""

from archsearch.spaces.module.choose import Choice, Choose
from archsearch.spaces.module.network import ModuleNetwork, ModuleOperator
from archsearch.spaces.module.space import ModuleSpace

__all__ = ["Choice", "Choose", "ModuleNetwork", "ModuleOperator", "ModuleSpace"]
