"""Architectures, one folder each; the contract is in zoo/checkpoint.py. Imported when asked for."""
