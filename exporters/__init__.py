"""Export formats, one file each; the contract is in zoo/export.py. They import from zoo/, never from each other."""
