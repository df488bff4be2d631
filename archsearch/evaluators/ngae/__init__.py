"""The graph variational auto-encoder of NGAE, with its predictors and the ascent in its latent space."""
