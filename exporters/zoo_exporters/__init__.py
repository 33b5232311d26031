"""Export formats, one file each; the contract is in zoo/contracts.py. They never import each other."""
