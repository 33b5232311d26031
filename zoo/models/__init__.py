"""Architectures, one folder each; zoo/contracts.py says what each offers. A file that begins with "_" is shared."""
