"""Evaluate models on measured sequences: metrics, intervals, comparisons, figures. Starts no runtime itself."""
