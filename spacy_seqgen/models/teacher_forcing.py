"""How often a decoder is shown the true symbol in training, and how often its own."""

from collections.abc import Iterator
from typing import Any


class TeacherForcing:
    """A share that may change from update to update.

    schedule (float | Iterator[float]): The share of true symbols: always the same, or one
        for each update.
    RAISES (ValueError): If it is no share.
    """

    def __init__(self, schedule: float | Iterator[float] = 1.0):
        self.taken = 0
        self.value = 1.0
        self._schedule: Iterator[float] | None = None
        if isinstance(schedule, float | int):
            self.value = _checked(float(schedule))
        elif isinstance(schedule, Iterator):
            self._schedule = schedule
        else:
            raise ValueError(f"teacher_forcing must be a number or a schedule, got {schedule!r}")

    def at(self, update: int) -> float:
        """
        update (int): How many updates there have been. After a resumed training the
            schedule is taken forward to there.
        """
        while self._schedule is not None and self.taken <= update:
            self.value = _checked(float(next(self._schedule, self.value)))
            self.taken += 1
        return self.value

    def __getstate__(self) -> dict[str, Any]:
        # For other processes, which do not train: generators can't be pickled.
        return {**self.__dict__, "_schedule": None}


def _checked(share: float) -> float:
    if not 0 <= share <= 1:
        raise ValueError(f"teacher_forcing must be from 0 to 1, got {share}")
    return share
