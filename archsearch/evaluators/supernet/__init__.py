"""One network that holds every operator of a space at every place: weights that architectures share, and what chooses by them."""
