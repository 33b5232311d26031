"""The zoo's interface to the machine: complete files, locks, cores, memory, the cache folder, threads, signals.

Imports only the ground; knows no sequence and no model.
"""
