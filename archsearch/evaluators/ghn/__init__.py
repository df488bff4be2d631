"""Graph hypernetworks: the weights of any architecture of a space, generated from its graph."""
