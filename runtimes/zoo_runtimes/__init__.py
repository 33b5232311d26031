"""Inference engines, one file or folder each; the contract is in zoo/contracts.py. They never import each other."""
