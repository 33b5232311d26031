"""What is taken where the user does not say. Imports nothing, so that the command line can show it without waiting."""

MODEL = "original"

AUTO = "auto"

RUNTIME = AUTO

AUTOMATIC = ("onnx-cuda", "torch-cuda", "kmer-cpu", "onnx-cpu")
"""What the runtime "auto" stands for: the first of these that can run the weights at hand on this machine."""
