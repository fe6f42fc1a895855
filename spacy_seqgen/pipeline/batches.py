"""From Docs to batches of ids."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..models.language_model import LanguageBatch
from ..vocabularies import BOS, EOS, PAD
from ..windows import Window


def pad_texts(
    ids: np.ndarray, lengths: np.ndarray, before: Sequence[int], ends: Sequence[bool]
) -> LanguageBatch:
    """A batch in which each symbol is predicted from those before it.

    ids (np.ndarray): The ids of all texts, one text after the other.
    lengths (np.ndarray): Shape (texts,): how many ids each has.
    before (Sequence[int]): The symbol before each text.
    ends (Sequence[bool]): Whether `</s>` follows it.
    """
    padded = lengths + np.asarray(ends, dtype=np.int64)
    rows, width = len(lengths), int(padded.max(initial=0))
    if len(ids) == rows * width:  # nothing to pad
        targets = ids.reshape(rows, width)
    else:
        targets = np.full((rows, width), PAD, dtype=np.int64)
        targets[np.arange(width) < lengths[:, None]] = ids
        (ending,) = np.nonzero(padded > lengths)
        targets[ending, lengths[ending]] = EOS
    inputs = np.empty_like(targets)
    inputs[:, 1:] = targets[:, :-1]
    if width:
        inputs[:, 0] = before
    return LanguageBatch(inputs, targets, padded)


def in_time_chunks(batch: LanguageBatch, size: int) -> Iterator[tuple[np.ndarray, LanguageBatch]]:
    """Cut a batch into pieces of at most `size` columns. Rows that have ended are left
    out of later pieces: yields the rows that are in, and the piece."""
    if 0 < batch.targets.shape[1] <= size and batch.lengths.all():
        yield np.arange(len(batch.lengths)), batch
        return
    for first in range(0, batch.targets.shape[1], size):
        rows = np.flatnonzero(batch.lengths > first)
        lengths = np.minimum(batch.lengths[rows] - first, size)
        columns = slice(first, first + int(lengths.max()))
        yield (
            rows,
            LanguageBatch(batch.inputs[rows, columns], batch.targets[rows, columns], lengths),
        )


class CarriedState:
    """Hidden states at the ends of windows, for the windows that follow them."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._windows: Sequence[Window | None] = ()
        self._full = np.empty(0, dtype=bool)
        self._state: tuple[torch.Tensor, ...] = ()
        self._last = np.empty(0, dtype=np.int64)

    def begin(
        self,
        windows: Sequence[Window | None],
        make_start: Callable[[int], tuple[torch.Tensor, ...]],
    ) -> tuple[tuple[torch.Tensor, ...], Sequence[int]]:
        """The states in which windows begin, and the symbols before them.

        windows (Sequence[Window | None]): The windows.
        make_start (Callable): Makes the states of some rows at the beginning of a text,
            batch first.
        """
        if self._all_follow(windows):
            return self._state, self._last.tolist()
        ends = {self._end(row): row for row in range(len(self._windows))}
        places = [ends.get((w.source, w.start)) if w else None for w in windows]
        start = make_start(len(places))
        known = [row for row, place in enumerate(places) if place is not None]
        if not known:
            return start, [BOS] * len(places)
        found = torch.tensor([place for place in places if place is not None])
        state = tuple(
            # Kept ones are in bfloat16 where that is computed in.
            new.index_copy(
                0, torch.tensor(known, device=new.device), old[found.to(old.device)].to(new)
            )
            for new, old in zip(start, self._state, strict=True)
        )
        return state, [BOS if place is None else int(self._last[place]) for place in places]

    def remember(
        self,
        windows: Sequence[Window | None],
        state: tuple[torch.Tensor, ...],
        batch: LanguageBatch,
    ) -> None:
        """Keep the states in which windows ended."""
        self._windows, self._state = windows, state
        self._last = batch.targets[:, -1]
        # Behind rows that are shorter than the longest there was padding.
        self._full = batch.lengths == batch.targets.shape[1]

    def _all_follow(self, windows: Sequence[Window | None]) -> bool:
        """The usual case: each row continues the same row."""
        return len(windows) == len(self._windows) and all(
            after is not None and self._end(row) == (after.source, after.start)
            for row, after in enumerate(windows)
        )

    def _end(self, row: int) -> tuple[str, int] | None:
        """Where a kept row would go on, if it can."""
        window = self._windows[row]
        if window is None or window.is_last or not self._full[row]:
            return None
        return window.source, window.stop

    # For checkpoints

    def to_tensors(self) -> dict[str, Any]:
        """Everything kept: tensors, and what says to whom they belong."""
        tensors = {f"state/{i}": item for i, item in enumerate(self._state)}
        tensors["last"] = torch.from_numpy(self._last.copy())
        tensors["full"] = torch.from_numpy(self._full.copy())
        return {"tensors": tensors, "keys": [window and list(window) for window in self._windows]}

    def from_tensors(self, data: dict[str, Any], device: torch.device) -> None:
        tensors = dict(data["tensors"])
        self._last = tensors.pop("last").numpy().copy()
        self._full = tensors.pop("full").numpy().copy()
        ordered = sorted(tensors, key=lambda name: int(name.rpartition("/")[2]))
        self._state = tuple(tensors[name].clone().to(device) for name in ordered)
        self._windows = [window and Window(*window) for window in data["keys"]]
