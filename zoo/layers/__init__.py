"""Layers that several architectures share. Knows no architecture."""
