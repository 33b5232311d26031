"""Architectures, one folder each; the contract is in zoo/weights/checkpoint.py. Imported when asked for."""
