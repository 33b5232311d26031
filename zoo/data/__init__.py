"""Labelled sequences: read, divided into splits, checked for leakage, and what the trainer asks of a source of them."""
