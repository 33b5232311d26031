"""The first layers of a convolutional network as tables over short words of DNA (k-mers), and what runs the rest.

layers.py folds a checkpoint into plain convolutions and matrices, tables.py compiles the leading ones into tables,
kernel.py runs tables and remaining layers in compiled code, graph.py describes any of them to ONNX Runtime for where
that code was not built. Imports spec, errors and models; knows no runtime.
"""
