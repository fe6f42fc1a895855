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
        self.values = [1.0]  # of all updates so far: a schedule can't go back
        self._schedule: Iterator[float] | None = None
        if isinstance(schedule, float | int):
            self.values = [_checked(float(schedule))]
        elif isinstance(schedule, Iterator):
            self._schedule = schedule
            self.values = []
        else:
            raise ValueError(f"teacher_forcing must be a number or a schedule, got {schedule!r}")

    def at(self, update: int) -> float:
        """
        update (int): How many updates there have been. After a resumed training the
            schedule is taken forward to there.
        """
        while self._schedule is not None and len(self.values) <= update:
            last = self.values[-1] if self.values else 1.0
            self.values.append(_checked(float(next(self._schedule, last))))
        return self.values[min(update, len(self.values) - 1)]

    def __getstate__(self) -> dict[str, Any]:
        # For other processes, which do not train: generators can't be pickled.
        return {**self.__dict__, "_schedule": None, "values": self.values or [1.0]}


def _checked(share: float) -> float:
    if not 0 <= share <= 1:
        raise ValueError(f"teacher_forcing must be from 0 to 1, got {share}")
    return share
