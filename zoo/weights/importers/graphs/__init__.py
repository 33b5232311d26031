"""Networks of any framework, as plain ONNX: the graph itself is read, whatever it computes (sources.read)."""
