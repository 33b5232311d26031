"""Labelled sequences: read, divided into splits, checked for leakage, and the interface of a source of training
data."""
