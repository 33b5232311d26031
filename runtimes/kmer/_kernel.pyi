# What _module.c offers, for type checkers.
import numpy as np

def instruction_sets() -> list[str]: ...
def room(program: np.ndarray) -> int: ...
def forward(
    instruction_set: str, program: np.ndarray, codes: np.ndarray, room: np.ndarray, out: np.ndarray
) -> None: ...
def room_of_windows(program: np.ndarray, plan: np.ndarray) -> int: ...
def windows(
    instruction_set: str,
    program: np.ndarray,
    plan: np.ndarray,
    codes: np.ndarray,
    before: int,
    room: np.ndarray,
    out: np.ndarray,
) -> None: ...
