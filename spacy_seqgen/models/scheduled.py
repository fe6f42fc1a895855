"""Settings that may change from update to update."""

from collections.abc import Callable, Iterator
from typing import Any


class Scheduled:
    """A value, or one for each update.

    name (str): Of the setting, for errors.
    schedule (float | Iterator[float]): The value or values.
    check (Callable): Returns a value as it is to be used, or raises a ValueError.
    first (float): What a schedule without values comes down to.
    RAISES (ValueError): If it is neither, or a value is out of range.
    """

    def __init__(
        self, name: str, schedule: Any, check: Callable[[float], float], first: float = 1.0
    ):
        self.name = name
        self.first = first
        self.check = check
        self.values: list[float] = []  # of all updates so far: a schedule can't go back
        self._schedule: Iterator[float] | None = None
        if isinstance(schedule, float | int):
            self.values = [check(float(schedule))]
        elif isinstance(schedule, Iterator):
            self._schedule = schedule
        else:
            raise ValueError(f"{name} must be a number or a schedule, got {schedule!r}")

    def at(self, update: int) -> float:
        """
        update (int): How many updates there have been. After a resumed training the
            schedule is taken forward to there.
        RAISES (ValueError): If it is the copy of a schedule that had not begun.
        """
        if self._schedule is None and not self.values:
            raise ValueError(
                f"The schedule of {self.name} is not in a copy of a model, such as one that was "
                "pickled: train the model it was copied from, or make it from its config"
            )
        while self._schedule is not None and len(self.values) <= update:
            last = self.values[-1] if self.values else self.first
            self.values.append(self.check(float(next(self._schedule, last))))
        return self.values[min(update, len(self.values) - 1)]

    def __getstate__(self) -> dict[str, Any]:
        # For copies and other processes, which do not train: generators can't be pickled.
        return {**self.__dict__, "_schedule": None, "values": list(self.values)}
