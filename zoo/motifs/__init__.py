"""Motifs in contributions: discovery, comparison with known motifs, and the page of results."""
