"""Weights files of other programs, read and converted to canonical arrays."""
