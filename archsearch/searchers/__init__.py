"""Searchers, which propose the next architectures: implementations of `ray.tune.search.Searcher`."""

from archsearch.cluster.trials.experiment_state import mend_experiment
from archsearch.searchers.darts import DARTSSearch
from archsearch.searchers.enas import ENASSearch
from archsearch.searchers.evolution import RegularizedEvolution
from archsearch.searchers.gates import GATESEvolution
from archsearch.searchers.gaussian_process import GaussianProcessSearch
from archsearch.searchers.ghn import GHNRandomSearch
from archsearch.searchers.goals import Constraint, Goals, Objective, goals_for
from archsearch.searchers.nao import EncodingSearch
from archsearch.searchers.nao_ws import SharedEncodingSearch
from archsearch.searchers.nasnet import ControllerSearch
from archsearch.searchers.ngae import NGAEAscent
from archsearch.searchers.observation import Observation
from archsearch.searchers.optuna_searcher import OptunaSearcher, OptunaTPE
from archsearch.searchers.pnas import ProgressiveSearch
from archsearch.searchers.proxies import ProxyRandomSearch
from archsearch.searchers.random_search import RandomSearch
from archsearch.searchers.ranked_random_search import RankedRandomSearch
from archsearch.searchers.registry import get, names, register
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.searchers.smash import SMASHRandomSearch
from archsearch.searchers.supernet_search import SupernetSearch
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.searchers.tune_algorithm import TuneAlgorithm, tune_domains

__all__ = [
    "ArchitectureSearcher",
    "Constraint",
    "ControllerSearch",
    "DARTSSearch",
    "ENASSearch",
    "EncodingSearch",
    "GATESEvolution",
    "GHNRandomSearch",
    "GaussianProcessSearch",
    "Goals",
    "NGAEAscent",
    "Objective",
    "Observation",
    "OptunaSearcher",
    "OptunaTPE",
    "ProgressiveSearch",
    "ProxyRandomSearch",
    "RandomSearch",
    "RankedRandomSearch",
    "RegularizedEvolution",
    "SMASHRandomSearch",
    "SharedEncodingSearch",
    "SupernetSearch",
    "SurrogateSearcher",
    "TuneAlgorithm",
    "get",
    "goals_for",
    "mend_experiment",
    "names",
    "register",
    "tune_domains",
]
