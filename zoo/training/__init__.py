"""The trainer of all models: settings, run folders, several processes, distillation, releases.

Needs PyTorch, except for config.py and run_folder.py.
"""
