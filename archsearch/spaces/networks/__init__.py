"""The network of each built-in search space, one per file: stem, cells or layers, and classifiers."""
