"""How often a decoder is shown the true symbol in training, and how often its own."""

from typing import Any

from .scheduled import Scheduled


class TeacherForcing(Scheduled):
    """A share that may change from update to update.

    schedule (float | Iterator[float]): The share of true symbols: always the same, or one
        for each update.
    RAISES (ValueError): If it is no share.
    """

    def __init__(self, schedule: Any = 1.0):
        super().__init__("teacher_forcing", schedule, _checked)


def _checked(share: float) -> float:
    if not 0 <= share <= 1:
        raise ValueError(f"teacher_forcing must be from 0 to 1, got {share}")
    return share
