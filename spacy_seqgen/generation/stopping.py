"""When a text is finished.

A stop condition is called once a step with the symbols just chosen and the trace of all
rows, and names the rows that are finished. Nothing here loops over the rows unless one
of them may really have ended.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np


class StopCondition(Protocol):
    """Tells which rows are finished."""

    reason: str

    def __call__(self, chosen: list[int], generated: np.ndarray) -> Iterable[int]:
        """
        chosen (list[int]): The symbol just chosen in each row.
        generated (np.ndarray): Shape (rows, steps): all symbols so far, these included.
        RETURNS (Iterable[int]): The rows that are finished.
        """
        ...


class EndOfText:
    """The model generated `</s>`."""

    reason = "end"

    def __init__(self, end: int):
        self.end = end

    def __call__(self, chosen: list[int], generated: np.ndarray) -> Iterable[int]:
        if self.end not in chosen:
            return ()
        return [row for row, symbol in enumerate(chosen) if symbol == self.end]


class StopStrings:
    """The text contains one of some strings. They are looked for in the text, not in
    the symbols, so it does not matter how a vocabulary cuts them up.

    stop (Sequence[str]): The strings, none of them empty.
    symbols (Sequence[str]): What each symbol looks like, to know which can end a string.
    decode (Callable): Turns ids into text.
    min_length (int): Number of symbols before which no string counts.
    """

    reason = "stop"

    def __init__(
        self,
        stop: Sequence[str],
        symbols: Sequence[str],
        decode: Callable[[Iterable[int]], str],
        min_length: int = 0,
    ):
        self.stop = tuple(stop)
        self.decode = decode
        self.min_length = min_length
        last = {text[-1] for text in self.stop}
        self._can_end = {i for i, text in enumerate(symbols) if not last.isdisjoint(text)}
        self._longest = max(len(text) for text in self.stop)

    def __call__(self, chosen: list[int], generated: np.ndarray) -> Iterable[int]:
        if generated.shape[1] <= self.min_length or self._can_end.isdisjoint(chosen):
            return ()
        return [
            row
            for row, symbol in enumerate(chosen)
            if symbol in self._can_end and self._ends(generated[row])
        ]

    def _ends(self, ids: np.ndarray) -> bool:
        # Every symbol is at least one character, so the string lies in this tail. It ends
        # in the newest symbol: one that ended before `min_length` does not count later.
        last = ids[-self._longest :].tolist()
        tail, before = self.decode(last), len(self.decode(last[:-1]))
        return any(tail.find(text, max(0, before + 1 - len(text))) >= 0 for text in self.stop)

    def trim(self, text: str) -> str:
        """Cut the stop string that ended a text, and what follows it."""
        found = [(text.rfind(stop) + len(stop), len(stop)) for stop in self.stop if stop in text]
        if not found:
            return text
        end, length = max(found)
        return text[: end - length]

    def pending(self, text: str) -> int:
        """How many characters at the end of a text could be the beginning of a stop
        string, and so must not be shown yet."""
        return max(
            (n for stop in self.stop for n in range(1, len(stop)) if text.endswith(stop[:n])),
            default=0,
        )
