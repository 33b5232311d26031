# What _shuffle.c offers, for type checkers.
import numpy as np

def walks(codes: np.ndarray, keys: np.ndarray, out: np.ndarray) -> None: ...
