"""The controller of B. Zoph and others: an LSTM that writes architectures gene by gene, and its policy gradients."""
