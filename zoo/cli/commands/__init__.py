"""The commands of `zoo`, one file each, named after the command (a trailing underscore keeps off Python's own names).

Each file offers `command`, whose signature is the command line; it calls one function of the library and prints. Heavy
imports stand inside the functions, so that `zoo --help` stays fast.
"""
