"""The shared trainer and what belongs to it: settings, run folders, several processes, distillation, releases.

Needs PyTorch as a whole, except for config.py and run_folder.py.
"""
