"""Architectures, one folder each; the contract is in zoo/checkpoint.py. Nothing here is imported until it is asked for."""
