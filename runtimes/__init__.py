"""Inference engines, one file each; the contract is in zoo/session.py. They import from zoo/, never from each other."""
