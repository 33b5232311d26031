"""Packs of weights: make them, describe them, and fetch those of a hub."""
