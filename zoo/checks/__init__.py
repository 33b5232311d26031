"""Agreement and speed of the runtimes of this machine, its inventory, and imports that match known predictions."""
