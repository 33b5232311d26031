"""The command `zoo`: main.py finds the files in commands/, which parse, call one function of the library and print."""
