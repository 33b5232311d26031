"""How good a model is on measured sequences: metrics, intervals, comparisons, figures. Starts no runtime itself."""
