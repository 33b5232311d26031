"""Layers that several architectures share. No file here names an architecture."""
