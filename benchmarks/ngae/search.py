"""Evaluations that NGAE and its rivals need on NAS-Bench-201 and NAS-Bench-101, and the MACs of their best cells.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.search                        # 20 seeds of all methods; hours on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.search --only ngae --seeds 5  # fewer

The frame is that of gates/search.py, which has GATES, evolution and random search on the same tables. `ngae` climbs the accuracy
alone; `ngae, macs weighed` is the paper's ascent, of accuracy less weighted complexity. `without ascent` is the control: the same
auto-encoder and predictor, which rank all cells of NAS-Bench-201, and those of an evolution on NAS-Bench-101. `latent process
alone` ranks what is decoded without the features of its graph, `heads` is the default before: perceptrons on the latent space,
trained with the auto-encoder. D-VAE has a Gaussian process with expected improvement in the latent space (M. Zhang et al.,
NeurIPS 2019); one step is what NAO does (R. Luo et al., NeurIPS 2018). `paper` and `authors` are the presets, with a tenth of the
epochs.
"""

from benchmarks.gates.search import Methods, main
from benchmarks.ngae.without_ascent import WithoutAscent

METHODS: Methods = {
    "ngae": ("ngae", {}),
    "without ascent": (WithoutAscent, {"explore": 0.0}),
    "latent process alone": ("ngae", {"predictor": "process"}),
    "heads": ("ngae", {"predictor": "heads", "initial": 50, "stage_size": 10, "explore": 0.1}),
    "ngae, macs weighed": ("ngae", {"weight": 0.3}),
    "D-VAE and Bayesian optimisation": ("ngae", {"acquisition": "improvement", "predictor": "process"}),
    "one step": ("ngae", {"steps": 1, "step": 1.0}),
    "paper": ("ngae", {"preset": "paper", "epochs": 30}),
    "authors": ("ngae", {"preset": "authors", "epochs": 30}),
}

if __name__ == "__main__":
    main(__file__, __doc__, METHODS)
