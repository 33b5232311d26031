"""Weights: read, checked, looked up, downloaded, imported, and exported into the cache.

pretrained/ holds the bundled weights and catalog.toml, which says what they are.
"""
