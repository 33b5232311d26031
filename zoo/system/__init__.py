"""What lies between the zoo and the machine: files that appear whole, cores, memory, the cache directory, threads.

Imports the ground only; knows no sequence and no model.
"""
