"""Policies that draw architectures gene by gene and learn from rewards."""
