# What _module.c offers, for type checkers.
import numpy as np

def instruction_sets() -> list[str]: ...
def room(program: np.ndarray) -> int: ...
def forward(
    instruction_set: str, program: np.ndarray, codes: np.ndarray, room: np.ndarray, out: np.ndarray
) -> None: ...
def room_of_edits(program: np.ndarray) -> int: ...
def mutants(
    instruction_set: str, program: np.ndarray, codes: np.ndarray, room: np.ndarray, out: np.ndarray
) -> None: ...
def edits(
    instruction_set: str,
    program: np.ndarray,
    codes: np.ndarray,
    edited: np.ndarray,
    room: np.ndarray,
    out: np.ndarray,
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
def room_of_contributions(program: np.ndarray) -> int: ...
def contributions(
    instruction_set: str,
    program: np.ndarray,
    back: np.ndarray,
    codes: np.ndarray,
    references: np.ndarray,
    target: int,
    room: np.ndarray,
    out: np.ndarray,
) -> None: ...
