"""Weights: read, checked, named, fetched, imported, exported once and kept. Asks the registry what a model is.

pretrained/ holds the bundled weights and catalog.toml, which says what they are.
"""
