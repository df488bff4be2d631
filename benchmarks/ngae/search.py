"""Evaluations that NGAE and its rivals need on NAS-Bench-201 and NAS-Bench-101, and the MACs of their best cells.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.search                        # 20 seeds of all methods; hours on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.search --only ngae --seeds 5  # fewer

The frame is that of gates/search.py, which has GATES, evolution and random search on the same tables. `ngae, macs weighed` is
the paper's ascent, of accuracy less weighted complexity; `ngae` climbs the accuracy alone. D-VAE has an auto-encoder without
predictors, and a Gaussian process with expected improvement in its latent space (M. Zhang et al., NeurIPS 2019); one step is
what NAO does (R. Luo et al., NeurIPS 2018): a single step along the gradient, doubled until it leads to something new.
"""

from benchmarks.gates.search import Methods, main

METHODS: Methods = {
    "ngae": ("ngae", {}),
    "ngae, macs weighed": ("ngae", {"weight": 0.3}),
    "D-VAE and Bayesian optimisation": ("ngae", {"acquisition": "improvement", "model": {"performance_weight": 0.0}}),
    "one step": ("ngae", {"steps": 1, "step": 1.0}),
}

if __name__ == "__main__":
    main(__file__, __doc__, METHODS)
